"""Text to sentences to tokens, with character offsets kept all the way.

In: a text and the character spans of its entities. Out: sentences and tokens as spans of that text. One tokeniser
serves all encoders, so that their vectors can be stacked row by row. Two promises hold whatever the text: a
sentence boundary never cuts an entity, and every edge of an entity is an edge of a token, so that all pairs of a
sentence share one tokenisation and it can be encoded once.

Both were chosen by measurement on ChemProt and on a list of abbreviations (``benchmarks/splitters.py``). segtok splits
best, and fastest, of four libraries; :mod:`featstore.corpora.segments` applies its rules, and
:mod:`featstore.corpora.abbreviations` joins what they cut at an abbreviation. For tokens one pattern (words, decimal
numbers, single signs) meets entity edges and the vocabulary of GloVe more often than any library, and leaves no token
that is too long for ELMo.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from itertools import accumulate, pairwise
from operator import itemgetter

from featstore.corpora.abbreviations import ABBREVIATIONS, ends_no_sentence

Span = tuple[int, int]

# Recorded with every corpus and run; raise the number when the pattern below changes what comes out.
TOKENISER = "words-1"
SPLITTER = f"segtok-{version('segtok')}+{ABBREVIATIONS}"
REMEMBERED = 20_000  # characters of a text whose sentences are kept in mind; 512 such texts are 10 MB
_BLANKS = re.compile(r"\s+")
_LINE_BREAK = re.compile(r"[\n\r\u2028\u2029]")

# Python's \s holds the no-break, thin and other Unicode spaces, but not these, which are blanks all the same:
# zero-width space, word joiner, zero-width no-break space, soft hyphen.
_INVISIBLE = "\u200b\u2060\ufeff\u00ad"
_TOKEN = re.compile(rf"[^\W_]+(?:[.,]\d+)*|[^\w\s{_INVISIBLE}]|_")

_start, _end = itemgetter(0), itemgetter(1)


@dataclass(frozen=True, slots=True)
class SentenceSpans:
    """The sentences of a text.

    Attributes:
        spans: their character spans, rising, without the blanks at their ends.
        glued: boundaries of the splitter that cut an entity and were dropped.
    """

    spans: tuple[Span, ...]
    glued: int

    def around(self, first: int, last: int) -> tuple[Span, int]:
        """Return the span of the sentences that hold the characters ``first`` to ``last``, and their number."""
        low = max(bisect_right(self.spans, first, key=_start) - 1, 0)
        high = max(bisect_right(self.spans, last, key=_start) - 1, low)
        return (self.spans[low][0], self.spans[high][1]), high - low + 1


@dataclass(frozen=True, slots=True)
class Sentence:
    """A tokenised stretch of text.

    Attributes:
        tokens: the tokens as they stand in the text.
        offsets: their character spans in the text.
    """

    tokens: tuple[str, ...]
    offsets: tuple[Span, ...]

    def find(self, span: Span) -> Span:
        """Return the half-open token span of a character span (empty if no token lies in it)."""
        first = bisect_left(self.offsets, span[0], key=_start)
        last = bisect_right(self.offsets, span[1], key=_end)
        return first, max(first, last)

    def meeting(self, span: Span) -> Span:
        """Return the half-open token span of the tokens that share a character with a character span."""
        return bisect_right(self.offsets, span[0], key=_end), bisect_left(self.offsets, span[1], key=_start)


def split_sentences(text: str, entities: Iterable[Span]) -> SentenceSpans:
    """Split a text into sentences; a line break always ends one, except inside an entity.

    Args:
        entities: the character spans that no boundary may cut.
    """
    starts = _known_starts(text) if len(text) <= REMEMBERED else _starts(text)
    cut = _cut(text, starts, entities)
    kept = [start for start, is_cut in zip(starts, cut, strict=True) if not is_cut]
    spans = tuple((a, a + len(text[a:b].rstrip())) for a, b in pairwise([*kept, len(text)]))
    return SentenceSpans(spans, glued=sum(cut))


def _starts(text: str) -> tuple[int, ...]:
    """Return where the sentences begin, whatever entities are there."""
    from featstore.corpora.segments import split_line  # its patterns take a fifth of a second to load

    starts, offset = [], 0
    for line in _LINE_BREAK.split(text):
        position = 0
        for start, end in split_line(line):
            if not position or not ends_no_sentence(line, position, start):
                starts.append(offset + start)
            position = end
        offset += len(line) + 1
    return tuple(starts)


# A tagger splits a document before a relation head does.
_known_starts = lru_cache(maxsize=512)(_starts)


def _cut(text: str, starts: Sequence[int], entities: Iterable[Span]) -> list[bool]:
    """Tell for each boundary whether it cuts an entity.

    Blanks before a boundary are no part of a mention, even where its offsets take them in.
    """
    changes = [0] * (len(starts) + 1)  # in the number of entities that are cut, from one boundary to the next
    for start, end in entities:
        blanks = _BLANKS.match(text, start, end)
        first = bisect_right(starts, blanks.end() if blanks else start)
        after = max(first, bisect_left(starts, end))
        changes[first] += 1
        changes[after] -= 1
    return [number > 0 for number in accumulate(changes[:-1])]


def tokenise(text: str, span: Span, entities: Iterable[Span], whole: Collection[Span] = ()) -> Sentence:
    """Tokenise ``text[span[0]:span[1]]``.

    Args:
        entities: character spans whose edges become edges of tokens; those outside ``span`` do not matter.
        whole: those of them that are one token each (``@GENE$``).
    """
    start, end = span
    cuts = {start, end}
    cuts.update(edge for entity in entities for edge in entity if start < edge < end)
    edges = sorted(cuts)
    offsets: list[Span] = []
    for piece in pairwise(edges):
        offsets += [piece] if piece in whole else [match.span() for match in _TOKEN.finditer(text, *piece)]
    return Sentence(tuple(text[a:b] for a, b in offsets), tuple(offsets))


def tokens_of(text: str) -> tuple[str, ...]:
    """Return the tokens of a text, which is taken for one sentence."""
    return tokenise(text, (0, len(text)), ()).tokens
