"""CSV and TSV: a table with a header, one document a row. Read only (what is written as TSV are relations).

In: a table, its cells separated by commas, semicolons or tabs, and the names of the columns with the text and the ids.
Out: documents without mentions; several columns of text are its passages, a line break between each two. Without names
the text is in ``text`` or ``sentence``, or else in ``title`` and ``abstract`` (or ``abstract`` alone); ids are in
``id`` or ``pmid``, or else the rows are numbered. Capitals do not matter.

A cell may stand in quotes, with line breaks and doubled quotes in it. Tables are also written without any quoting: a
quote that opens a cell and is not closed at the end of one is a character like others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from featstore.documents import Document
from featstore.errors import DataError, count_of
from featstore.formats.content import LONGEST_TEXT, Flaw
from featstore.formats.contract import BadDocument
from featstore.formats.guess import EXPORT
from featstore.formats.plain import make_plain
from featstore.formats.source import Line, lines

COMMON = (",", ";", "\t")
_TEXT = (("text",), ("sentence",), ("title", "abstract"), ("abstract",))
_IDS = ("id", "pmid")
_KINDS = ("title", "abstract")


def read(
    path: Path, *, text_column: Sequence[str] = (), id_column: str | None = None, delimiters: Sequence[str] = COMMON
) -> Iterator[Document | BadDocument]:
    """Yield the documents of a table.

    Args:
        path: the file.
        text_column, id_column: see :class:`~featstore.formats.contract.Reading`.
        delimiters: what may part the cells; that one does of which the header shows it.
    """
    found = lines(path)
    first = next((line for line in found if line.raw.strip()), None)
    if first is None:
        raise DataError(f"{path} is empty; a table with the names of its columns in the first line is wanted.")
    try:
        columns, delimiter = _columns(path, first.text, delimiters, text_column, id_column)
    except Flaw as flaw:
        raise DataError(f"{path}, line {first.number}: {flaw.why}") from flaw
    for number, row in enumerate(_rows(found, delimiter, columns.width), start=1):
        id_ = str(number) if columns.id is None or columns.id >= len(row.cells) else row.cells[columns.id].strip()
        try:
            if row.why or len(row.cells) != columns.width:
                raise Flaw(row.why or f"the row has {count_of(len(row.cells), 'cell')}, the header {columns.width}.")
            yield make_plain(id_, [(kind, "", row.cells[place]) for kind, place in columns.text], path, row.line)
        except Flaw as flaw:
            yield BadDocument(id_, f"{path}, line {row.line}", flaw.why)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the text and the id are.

    Attributes:
        width: how many columns there are.
        text: kind of passage and place of each column of text.
        id: place of the ids; None: there is none.
    """

    width: int
    text: tuple[tuple[str, int], ...]
    id: int | None


@dataclass(frozen=True, slots=True)
class _Row:
    """A row.

    Attributes:
        line: the line that it begins in.
        cells: its cells.
        why: what is wrong with it; empty if nothing is.
    """

    line: int
    cells: Sequence[str]
    why: str = ""


def _columns(
    path: Path, header: str, delimiters: Sequence[str], text: Sequence[str], id_: str | None
) -> tuple[_Columns, str]:
    """Return where text and ids are, and what parts the cells: that with which the header has the columns.

    Raises:
        DataError: it has not; the text names those that are there.
    """
    headers = {d: [name.strip() for name in _cells(header, d, literal=True) or ()] for d in delimiters}
    for names in headers.values():
        _check_once(path, names, [*(text or chain(*_TEXT)), *([id_] if id_ else _IDS)])
    fitting = {d: found for d, names in headers.items() if (found := _places(names, text, id_))}
    if len(fitting) == 1:
        return next((found, d) for d, found in fitting.items())
    if fitting and len(set(map(len, headers.values()))) == 1:
        return fitting[delimiters[0]], delimiters[0]  # one column only
    there = max(headers.values(), key=len)
    if fitting:
        raise DataError(
            f"{path}: the separator of its cells is ambiguous; {' and '.join(map(repr, fitting))} would do. "
            "Save it with tabs and name its format, --format tsv."
        )
    lower = {name.lower() for name in there}
    missing = [name for name in [*text, *([id_] if id_ else [])] if name.lower() not in lower]
    named = (
        f"no column {' and no column '.join(map(repr, missing))}" if missing else "no column that is known to hold text"
    )
    more = f" PubMed ids without abstracts are no text; {EXPORT}." if lower & {"pmid", "pmids"} else ""
    raise DataError(
        f"{path} has {named}; its columns are {', '.join(there)[:500]}. Name the one with the text with --text-column, "
        f"and with --id-column the one with the ids, if there is one.{more}"
    )


def _check_once(path: Path, names: Sequence[str], read: Sequence[str]) -> None:
    """Make sure that no column that is read is there twice.

    Raises:
        DataError: one is; it cannot be told which is meant.
    """
    lower = [name.lower() for name in names]
    for name in read:
        if lower.count(name.lower()) > 1:
            raise DataError(f"{path} has {lower.count(name.lower())} columns '{name}'; rename all but the one to read.")


def _places(names: Sequence[str], text: Sequence[str], id_: str | None) -> _Columns | None:
    """Return where the columns are, or None if one of them is not there."""
    lower = [name.lower() for name in names]
    wanted = [name.lower() for name in text]
    if not wanted:
        wanted = next((list(usual) for usual in _TEXT if set(usual) <= set(lower)), [])
    ids = [id_.lower()] if id_ else [name for name in _IDS if name in lower][:1]
    if not wanted or not {*wanted, *ids} <= set(lower):
        return None
    places = tuple((name if name in _KINDS else "", lower.index(name)) for name in wanted)
    return _Columns(len(names), places, lower.index(ids[0]) if ids else None)


def _rows(found: Iterator[Line], delimiter: str, width: int) -> Iterator[_Row]:
    """Yield the rows; a cell in quotes may go on over lines."""
    waiting: deque[Line] = deque()  # lines that were looked at, and are no part of the row before
    while (line := waiting.popleft() if waiting else next(found, None)) is not None:
        if not line.raw.strip():
            continue
        try:
            text = line.text
        except Flaw as flaw:
            yield _Row(line.number, (), flaw.why)
            continue
        cells = _cells(text, delimiter) or _over_lines(text, found, waiting, delimiter, width)
        yield _Row(line.number, cells or _cells(text, delimiter, literal=True) or ())


def _over_lines(text: str, found: Iterator[Line], waiting: deque[Line], delimiter: str, width: int) -> list[str] | None:
    """Return the cells of a row that goes on over lines, or None if it does not: then those lines are ``waiting``.

    It does if the next line with an odd number of quotes closes the cell, and the row then has all its cells.
    """
    parts, taken, size = [text], [], len(text)
    while size <= LONGEST_TEXT and (line := waiting.popleft() if waiting else next(found, None)) is not None:
        taken.append(line)
        try:
            parts.append(line.text)
        except Flaw:
            break  # it will be reported in its own place
        size += len(parts[-1]) + 1
        if parts[-1].count('"') % 2:
            cells = _cells("\n".join(parts), delimiter)
            if cells is not None and len(cells) == width:
                return cells
            break
    waiting.extendleft(reversed(taken))
    return None


def _cells(text: str, delimiter: str, *, literal: bool = False) -> list[str] | None:
    """Return the cells of a line, or None if a quote is open at its end; ``literal``: it is like any character."""
    cells: list[str] = []
    at = 0
    while True:
        end = -1
        if text.startswith('"', at):
            end = _closing(text, at + 1)
            if end < 0 and not literal:
                return None
            if end >= 0 and text[end + 1 : end + 2] in ("", delimiter):
                cells.append(text[at + 1 : end].replace('""', '"'))
                end += 1
            else:
                end = -1  # a quote like any character
        if end < 0:
            end = found if (found := text.find(delimiter, at)) >= 0 else len(text)
            cells.append(text[at:end])
        if end == len(text):
            return cells
        at = end + 1


def _closing(text: str, at: int) -> int:
    """Return where the quote is that is not doubled, or -1."""
    while (end := text.find('"', at)) >= 0 and text.startswith('"', end + 1):
        at = end + 2
    return end
