"""Marking: one pair in one sentence to the two sequences that encoders and head see.

In: a tokenised sentence and the two mentions. Out: the marked part of an :class:`~featstore.records.Instance`. The
indicators (tags around the mentions, or one word in place of each) say *what* is inserted; the context (tagged: the
encoders see it; sentence: a learned vector stands for it) says *where*. Hence two steps: ``_with_tags`` or
``_replaced`` cuts the sentence into pieces, and ``mark`` lays the pieces out for the context. With ``blind`` the pair
is replaced and the sentence's other mentions of the pair's two types too, each by the noun for its type (entity
blinding; the paper replaces the pair alone). A name that no encoder has seen then says at least what it is.

Overlapping mentions are common (a chemical's name inside a gene's). Tags nest: the longer mention is outside; of two
equal spans the head is; mentions that cross keep each tag at its own edge. Replaced, the two words stand side by side
in place of all that the two mentions cover, in the order of their starts (at one start the longer first, of two equal
spans the head). Another mention that overlaps the pair, or one that is replaced already, is not replaced.

Some corpora (GAD) are released with a word such as ``@GENE$`` in place of each mention. Other text is made like them by
``masked``: the pair is first replaced by its words, and the words are then marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from featstore.corpora.text import Sentence, Span
from featstore.errors import DataError
from featstore.records import check_choice

INDICATORS = ("tags", "replace", "blind")
CONTEXTS = ("tagged", "sentence")
_INSERTED: Span = (-1, -1)
_NOUNS = {"chem": "chemical", "dise": "disease"}  # of types whose tag is no word


@dataclass(frozen=True, slots=True)
class Marking:
    """How pairs are marked.

    Attributes:
        indicators: ``tags``, ``replace`` or ``blind``.
        context: ``tagged`` or ``sentence``.
        masked: whether the words of the mentions stand in their place before they are marked.

    Raises:
        UsageError: another word.
    """

    indicators: str = "tags"
    context: str = "tagged"
    masked: bool = False

    def __post_init__(self) -> None:
        check_choice("indicators", self.indicators, INDICATORS)
        check_choice("context", self.context, CONTEXTS)


@dataclass(frozen=True, slots=True)
class Mention:
    """A mention of a sentence.

    Attributes:
        span: its characters in the text.
        type: its type as the tags spell it (``gene``).
        word: the word that replaces it as a member of the pair (``@GENE$``).
    """

    span: Span
    type: str
    word: str


@dataclass(frozen=True, slots=True)
class Marked:
    """The fields of an Instance that marking decides; see :class:`~featstore.records.Instance`."""

    tokens: tuple[str, ...]
    layout: tuple[int, ...]
    tags: tuple[str, ...]
    head: Span
    tail: Span
    offsets: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class _Inserted:
    """A word that the text has not, and the characters it stands for."""

    word: str
    offset: Span = _INSERTED


class _Noun(NamedTuple):
    """The tokens of a mention outside the pair, and the word in their place."""

    tokens: Span
    word: _Inserted


# A run of the sentence's tokens (empty at times), or an inserted word.
_Piece = Span | _Inserted


def mark(sentence: Sentence, head: Mention, tail: Mention, marking: Marking, others: Sequence[Mention] = ()) -> Marked:
    """Mark a pair.

    Args:
        sentence: the tokens.
        head, tail: the pair.
        marking: how.
        others: the mentions that lie in the sentence, the pair too or not; only ``blind`` asks for them.

    Raises:
        DataError: a mention of the pair holds no token of the sentence.
    """
    if marking.masked:
        return _mark_masked(sentence, head, tail, replace(marking, masked=False))
    spans = []
    for mention in (head, tail):
        span = sentence.find(mention.span)
        if span[0] == span[1]:
            raise DataError(f"the mention at characters {mention.span[0]}-{mention.span[1]} holds no word.")
        spans.append(span)
    if marking.indicators == "tags":
        pieces, head_span, tail_span = _with_tags(head, tail, spans[0], spans[1], len(sentence.tokens))
    else:
        same = [other for other in others if other.type in (head.type, tail.type)]
        nouns = _nouns(sentence, same) if marking.indicators == "blind" else []
        pieces, head_span, tail_span = _replaced(head, tail, spans[0], spans[1], len(sentence.tokens), nouns)
    if marking.context == "tagged":
        tokens, offsets = _inserted(sentence, pieces)
        return Marked(tokens, tuple(range(len(tokens))), (), head_span, tail_span, offsets)
    layout, tags = _laid_out(pieces)
    return Marked(sentence.tokens, layout, tags, head_span, tail_span, sentence.offsets)


def _mark_masked(sentence: Sentence, head: Mention, tail: Mention, marking: Marking) -> Marked:
    """Mark a pair in the sentence that has its words in place of the mentions."""
    masked = mark(sentence, head, tail, Marking("replace", "tagged"))
    # Positions serve as characters, so that each word is found again even where the two mentions overlap.
    plain = Sentence(masked.tokens, tuple((i, i + 1) for i in range(len(masked.tokens))))
    marked = mark(plain, replace(head, span=masked.head), replace(tail, span=masked.tail), marking)
    offsets = (_INSERTED if place == _INSERTED else masked.offsets[place[0]] for place in marked.offsets)
    return replace(marked, offsets=tuple(offsets))


def _with_tags(head: Mention, tail: Mention, h: Span, t: Span, length: int) -> tuple[list[_Piece], Span, Span]:
    """Return the pieces with four tags, and where the two mentions stand between theirs."""
    edges = []
    for rank, mention, (start, end) in ((0, head, h), (1, tail, t)):
        # At one place what ends comes before what begins; the inner ends first, the outer begins first.
        edges.append((start, 1, -end, rank, f"<{mention.type}>"))
        edges.append((end, 0, -start, -rank, f"</{mention.type}>"))
    edges.sort()
    pieces: list[_Piece] = []
    inner: list[list[int]] = [[], []]
    position = 0
    for inserted, (place, begins, _, rank, word) in enumerate(edges):
        pieces += [(position, place), _Inserted(word)]
        inner[abs(rank)].append(place + inserted + begins)
        position = place
    pieces.append((position, length))
    return pieces, (inner[0][0], inner[0][1]), (inner[1][0], inner[1][1])


def _replaced(
    head: Mention, tail: Mention, h: Span, t: Span, length: int, nouns: Sequence[_Noun]
) -> tuple[list[_Piece], Span, Span]:
    """Return the pieces with one word for each mention, and where the two words of the pair stand."""
    mentions = sorted(((h, 0, head), (t, 1, tail)), key=lambda m: (m[0][0], -m[0][1], m[1]))
    ((start, end), rank, first), ((next_start, next_end), _, second) = mentions
    before = _blinded((0, start), nouns)
    between = _blinded((end, max(end, next_start)), nouns)  # empty where the two overlap
    after = _blinded((max(end, next_end), length), nouns)
    pieces = [
        *before,
        _Inserted(first.word, first.span),
        *between,
        _Inserted(second.word, second.span),
        *after,
    ]
    place = _steps(before)
    next_place = place + 1 + _steps(between)
    spans = [(place, place + 1), (next_place, next_place + 1)]
    return pieces, spans[rank], spans[1 - rank]


def noun(kind: str) -> str:
    """Return what stands for a blinded mention of a type (as the tags spell it): ``chem`` is ``chemical``."""
    return _NOUNS.get(kind, kind)


def _nouns(sentence: Sentence, others: Sequence[Mention]) -> list[_Noun]:
    """Return what stands for each of the other mentions, in order, the longer first."""
    found = [_Noun(sentence.find(other.span), _Inserted(noun(other.type), other.span)) for other in others]
    return sorted(found, key=lambda each: (each.tokens[0], -each.tokens[1]))


def _blinded(run: Span, nouns: Sequence[_Noun]) -> list[_Piece]:
    """Return a run of tokens with the nouns whose mentions lie in it, as far as they do not overlap."""
    pieces: list[_Piece] = []
    position, stop = run
    for (start, end), word in nouns:
        if position <= start < end <= stop:
            pieces += [(position, start), word]
            position = end
    return [*pieces, (position, stop)]


def _steps(pieces: Sequence[_Piece]) -> int:
    """Return how many steps the pieces are."""
    return sum(1 if isinstance(piece, _Inserted) else piece[1] - piece[0] for piece in pieces)


def _inserted(sentence: Sentence, pieces: list[_Piece]) -> tuple[tuple[str, ...], tuple[Span, ...]]:
    """Return tokens and offsets with the inserted words among them."""
    tokens: list[str] = []
    offsets: list[Span] = []
    for piece in pieces:
        if isinstance(piece, _Inserted):
            tokens.append(piece.word)
            offsets.append(piece.offset)
        else:
            tokens += sentence.tokens[slice(*piece)]
            offsets += sentence.offsets[slice(*piece)]
    return tuple(tokens), tuple(offsets)


def _laid_out(pieces: list[_Piece]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the layout over the plain sentence, and the names of its learned vectors."""
    layout: list[int] = []
    tags: list[str] = []
    for piece in pieces:
        if isinstance(piece, _Inserted):
            layout.append(-1 - len(tags))
            tags.append(piece.word)
        else:
            layout += range(*piece)
    return tuple(layout), tuple(tags)
