"""Documents to the sentences that a tagger reads, and mentions to tags and back.

In: documents. Out: their sentences, split and tokenised as plain text, whatever mentions are known: a tagger meets
text without mentions, so it learns on the same tokens. The tags are BIOES (begin, inside, outside, end, single).

*Nested and overlapping mentions.* A token has one tag. Of mentions that overlap the longest stays; of equally long
ones the leftmost; of two with the same characters the one whose type comes first in ``TYPES``. A mention whose edge
lies within a token is learnt as all tokens that it touches. One that crosses a sentence boundary is left out.

*What a corpus does not annotate is not a negative.* A token outside of all mentions may be anything of the types that
its corpus does not annotate, so its tag is a set: ``O`` or any tag of those types (:mod:`classifier.entities.crf`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.entities.types import TYPES
from featstore.corpora.text import Span, split_sentences, tokenise
from featstore.documents import Document, Entity
from featstore.records import known_key

OUTSIDE = "O"
LONGEST = 1024  # tokens; what is longer is no sentence and is tagged in pieces


def tag_names(types: Sequence[str]) -> tuple[str, ...]:
    """Return the tags of some types: ``O``, then B, I, E and S of each."""
    return (OUTSIDE, *(f"{place}-{type_}" for type_ in types for place in "BIES"))


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """A mention in tokens of a sentence, half-open.

    Attributes:
        start: its first token.
        end: the token after its last.
        type: its type.
    """

    start: int
    end: int
    type: str


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """A sentence of a document.

    Attributes:
        document: the number of its document among those given.
        tokens: its tokens.
        offsets: their characters in the document.
        mentions: the mentions that a tagger shall find, rising, none overlapping another.
        key: the key of ``tokens``.
    """

    document: int
    tokens: tuple[str, ...]
    offsets: tuple[Span, ...]
    mentions: tuple[TokenSpan, ...]
    key: bytes


def sentences_of(document: Document, number: int = 0) -> Iterator[TaggedSentence]:
    """Yield the sentences of a document that hold a token, with those of its mentions that can be tagged."""
    flat = without_overlaps(document.entities)
    for begin, end in split_sentences(document.text, ()).spans:
        sentence = tokenise(document.text, (begin, end), ())
        for first in range(0, len(sentence.tokens), LONGEST):
            tokens = sentence.tokens[first : first + LONGEST]
            offsets = sentence.offsets[first : first + LONGEST]
            mentions = tuple(_token_spans(flat, offsets))
            yield TaggedSentence(number, tokens, offsets, mentions, known_key(tokens))


def without_overlaps(entities: Iterable[Entity]) -> list[Entity]:
    """Return the mentions that stay where some overlap, rising: the longest, then the leftmost, then the first type."""
    kept: list[Entity] = []
    taken: list[Span] = []
    for entity in sorted(entities, key=_precedence):
        if all(entity.end <= start or end <= entity.start for start, end in taken):
            taken.append((entity.start, entity.end))
            kept.append(entity)
    return sorted(kept, key=lambda entity: entity.start)


def _precedence(entity: Entity) -> tuple[int, int, int]:
    return entity.start - entity.end, entity.start, TYPES.index(entity.type)


def _token_spans(entities: Sequence[Entity], offsets: Sequence[Span]) -> Iterator[TokenSpan]:
    """Yield the tokens of the mentions that lie in a sentence; of two that share a token the first."""
    if not offsets:
        return
    starts = np.array([start for start, _ in offsets])
    ends = np.array([end for _, end in offsets])
    free = 0
    for entity in entities:
        if entity.start < starts[0] or entity.end > ends[-1]:
            continue
        first = int(np.searchsorted(ends, entity.start, side="right"))
        last = int(np.searchsorted(starts, entity.end, side="left"))
        if free <= first < last:
            yield TokenSpan(first, last, entity.type)
            free = last


def tags_of(mentions: Iterable[TokenSpan], length: int, types: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of each token's tag in ``tag_names(types)``; Shape: (length,)."""
    tags = np.zeros(length, dtype=np.int64)
    for mention in mentions:
        base = 1 + 4 * types.index(mention.type)
        if mention.end - mention.start == 1:
            tags[mention.start] = base + 3
        else:
            tags[mention.start : mention.end] = base + 1
            tags[mention.start], tags[mention.end - 1] = base, base + 2
    return tags


def spans_of(tags: Sequence[int], types: Sequence[str]) -> list[TokenSpan]:
    """Return the mentions that a valid sequence of tags says; the inverse of :func:`tags_of`."""
    spans: list[TokenSpan] = []
    start = 0
    for position, tag in enumerate(tags):
        if tag == 0:
            continue
        type_, place = types[(tag - 1) // 4], (tag - 1) % 4
        if place in (0, 3):
            start = position
        if place in (2, 3):
            spans.append(TokenSpan(start, position + 1, type_))
    return spans


def may_follow(types: Sequence[str]) -> NDArray[np.bool_]:
    """Return which tag may follow which; row and column 0 .. K-1 are the tags, K is the sentence's edge.

    Shape: (K + 1, K + 1); ``[i, j]`` is whether j may come after i, ``[K, j]`` whether j may come first, ``[i, K]``
    whether i may come last.
    """
    names = tag_names(types)
    count = len(names)
    allowed = np.zeros((count + 1, count + 1), dtype=np.bool_)
    for i, before in enumerate((*names, OUTSIDE)):
        for j, after in enumerate((*names, OUTSIDE)):
            if before[0] in "BI":
                allowed[i, j] = after[0] in "IE" and before[2:] == after[2:]
            else:
                allowed[i, j] = after[0] in "OBS"
    return allowed
