"""MEDLINE text, as PubMed exports it (Save > Format: PubMed; ``.nbib`` and ``pubmed-*.txt``). Read only.

    PMID- 123
    TI  - Aspirin and
          COX-2.
    AB  - Aspirin blocks COX-2.

In: such a file. Out: its records, with the PMID for an id and the title and abstract for passages, a line break between
them. A field goes on in lines that begin with blanks, and a record ends where the next PMID is, or a second title or
abstract: that is of a record without a PMID, which is reported and not added to the one before. A book has its title in
``BTI``. Fields other than these are not read. A record without an abstract is its title.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from featstore.documents import Document
from featstore.errors import DataError
from featstore.formats.content import LONGEST_TEXT, Flaw
from featstore.formats.contract import BadDocument
from featstore.formats.plain import make_plain
from featstore.formats.source import Line, lines

_FIELD = re.compile(r"([A-Z][A-Z0-9]{1,3}) *- ?(.*)")
_PASSAGE_RAW = re.compile(rb"(TI|BTI|AB) *- ")
_PASSAGES = {"TI": "title", "BTI": "title", "AB": "abstract"}


def read(path: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of a file."""
    record: _Record | None = None
    for line in lines(path):
        if line.raw.startswith(b"PMID") or (record is not None and record.has_read(line)):
            if record is not None:
                yield record.document(path)
            record = _Record(line.number)
        elif record is None and line.raw.strip():
            raise DataError(
                f"{path}, line {line.number}: not MEDLINE as PubMed exports it; PMID- NUMBER is wanted first."
            )
        if record is not None:
            record.add(line)
    if record is not None:
        yield record.document(path)


class _Record:
    """The fields of a record that are read, as far as it has been read."""

    def __init__(self, line: int) -> None:
        self._line = line
        self._fields: dict[str, list[str]] = {}
        self._open: list[str] | None = None
        self._size = 0
        self._flaw: Flaw | None = None
        self._is_apart = False  # a blank line came last

    def has_read(self, line: Line) -> bool:
        """Tell whether a line begins a title or an abstract that the record has already."""
        field = _PASSAGE_RAW.match(line.raw)
        return field is not None and field[1].decode() in self._fields

    def add(self, line: Line) -> None:
        """Take the next line."""
        try:
            text = line.text
        except Flaw as flaw:
            self._flaw = self._flaw or flaw
            return
        if not text.strip():
            self._is_apart = True
            return
        if text[0].isspace() and self._is_apart:
            self._flaw = self._flaw or Flaw(
                f"'{text.strip()[:60]}' goes on with a field after a blank line.", line.number
            )
            return
        self._is_apart = False
        if text[0].isspace():
            part = text.strip()
        elif field := _FIELD.match(text):
            name, part = field[1], field[2].strip()
            self._open = self._fields.setdefault(name, []) if name in (*_PASSAGES, "PMID") else None
        else:
            self._flaw = self._flaw or Flaw(f"'{text[:60]}' is not a field; NAME- TEXT is wanted.", line.number)
            return
        if part and self._open is not None and self._size <= LONGEST_TEXT:
            self._open.append(part)
            self._size += len(part) + 1

    def document(self, path: Path) -> Document | BadDocument:
        """Return the document, or why there is none."""
        id_ = "".join(self._fields.get("PMID", ()))
        try:
            if self._flaw:
                raise self._flaw
            if "PMID" not in self._fields:
                raise Flaw("the record that begins here has no PMID.")
            passages = ((kind, "", " ".join(self._fields.get(name, ()))) for name, kind in _PASSAGES.items())
            return make_plain(id_, passages, path, self._line)
        except Flaw as flaw:
            return BadDocument(id_, f"{path}, line {flaw.line or self._line}", flaw.why)
