"""Where segtok ends a sentence, found in time that grows with the length of the text and no faster.

In: a line of text. Out: the spans of its sentences, the same that ``segtok.segmenter.split_single`` gives. segtok joins
pieces of a line into sentences, and looks through the whole sentence so far for each piece that it adds. For a line of
many short pieces ("n.d. n.d. n.d.", as a table that was flattened to text has) its time grows with the square of the
length. Its rules, though, look at the edges of the pieces, and at brackets, which can be counted on the way. Here
segtok's own patterns are given the edges only. Differences are possible only where a word or a number,
or a run of blanks or brackets, is longer than an edge.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from segtok import segmenter as segtok

_EDGE = 128  # characters; no word is longer
_NEAR = 32  # characters; no abbreviation, title, date or run of brackets is longer
_BRACKETS = ("()", "[]")
_ET_AL = " et al. "


def split_line(line: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of the sentences of a line without line breaks, and without the blanks at their ends."""
    for start, end in _sentences(line):
        text = line[start:end]
        if text.strip():
            yield start + len(text) - len(text.lstrip()), start + len(text.rstrip())


def _pieces(line: str) -> Iterator[tuple[int, int]]:
    """Yield the line cut at each end of a sentence that is not the end of an abbreviation or the like."""
    ends = [found.span() for found in segtok.DO_NOT_CROSS_LINES.finditer(line)]
    begin = start = 0
    for (mark, stop), (following, _) in pairwise([*ends, (len(line), len(line))]):
        if not _goes_on(line, start, mark, stop, following):
            yield begin, stop
            begin = stop
        start = stop
    if begin < len(line):
        yield begin, len(line)


def _goes_on(line: str, start: int, mark: int, stop: int, following: int) -> bool:
    """Tell whether a sentence goes on after a mark.

    Args:
        line: the line.
        start: where the stretch before the mark begins.
        mark: where the mark stands.
        stop: where the stretch after it begins, behind the blanks.
        following: where the next mark stands.
    """
    before, after = line[max(start, mark - _EDGE) : mark], line[stop : min(following, stop + _EDGE)]
    if before[-1:].isspace():
        return True
    if line[mark] != ".":
        return False
    if segtok.ABBREVIATIONS.search(before[-_NEAR:]):
        return True
    whole = following - stop <= _EDGE
    return bool(
        (whole and segtok.LONE_WORD.match(after))
        or (segtok.ENDS_IN_DATE_DIGITS.search(before[-_NEAR:]) and segtok.MONTH.match(after))
        or (segtok.MIDDLE_INITIAL_END.search(before) and segtok.UPPER_WORD_START.match(after))
    )


def _sentences(line: str) -> Iterator[tuple[int, int]]:
    """Yield the sentences: pieces, joined where the second is no beginning of a sentence."""
    begin, end = 0, 0
    nesting = [_Nesting(pair) for pair in _BRACKETS]
    for start, stop in _pieces(line):
        if start and not _is_continued(line, begin, start, stop, nesting):
            yield begin, start
            begin = start
            nesting = [_Nesting(pair) for pair in _BRACKETS]
        for each in nesting:
            each.add(line, start, stop)
        end = stop
    if begin < end:
        yield begin, end


def _is_continued(line: str, begin: int, start: int, stop: int, nesting: list[_Nesting]) -> bool:
    """Tell whether the sentence from ``begin`` to ``start`` goes on with the piece from there to ``stop``."""
    before, after = line[max(begin, start - _EDGE) : start], line[start : min(stop, start + _EDGE)]
    if segtok.LOWER_WORD.match(after) and segtok.BEFORE_LOWER.match(before[-_NEAR:]):
        return True
    is_short = min(start - begin, stop - start) < segtok.SHORT_SENTENCE_LENGTH
    if is_short and any(each.is_open for each in nesting):
        if before.endswith(_ET_AL) or (segtok.UPPER_CASE_END.search(before) and segtok.UPPER_CASE_START.match(after)):
            return True
        if any(each.is_open and each.is_closed_in(line, start, stop) for each in nesting):
            return True
    return bool(segtok.CONTINUATIONS.match(after))


class _Nesting:
    """How deep in brackets of one kind a growing sentence is; those closed before the first was opened do not count."""

    def __init__(self, brackets: str) -> None:
        self._opening, self._closing = brackets[0], brackets[1]
        self._depth, self._has_any = 0, False

    def add(self, line: str, start: int, stop: int) -> None:
        """Take in the next piece of the sentence."""
        if not self._has_any:
            start = line.find(self._opening, start, stop)
            if start < 0:
                return
            self._has_any = True
        self._depth += line.count(self._opening, start, stop) - line.count(self._closing, start, stop)

    @property
    def is_open(self) -> bool:
        """Whether more brackets were opened than closed."""
        return self._depth > 0

    def is_closed_in(self, line: str, start: int, stop: int) -> bool:
        """Tell whether a piece closes more brackets, up to the last that it closes, than it opens."""
        last = line.rfind(self._closing, start, stop)
        return last >= 0 and line.count(self._closing, start, last + 1) > line.count(self._opening, start, last)
