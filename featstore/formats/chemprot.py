"""ChemProt (BioCreative VI): abstracts and entities as tab-separated files; the evaluation kit's relations.

In: a folder with ``*abstracts*.tsv`` (id, title, abstract) and beside each the file of the same name with ``entities``
(document id, id, type, start, end, mention), or a folder of such folders, or one file of abstracts. DrugProt spells it
``abstracs``; each file may be gzipped. Out: its documents. The text is title + line break + abstract, which is what the
offsets run over.

The entities need not be in the order of the abstracts. What is kept of them in memory is where those of each document
begin: some hundred bytes a document.

Written is what the evaluation kit reads: ``ID<TAB>CPR:4<TAB>Arg1:T1<TAB>Arg2:T2``, no header, relations with a
positive label only. The offsets are those of the entities' ids; the format has no place for a probability or a model.
"""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from featstore.documents import Document, Relation
from featstore.errors import DataError, MissingFileError, count_of
from featstore.formats.chemprot_tables import ABSTRACT, abstract_of, entity_of
from featstore.formats.content import Flaw
from featstore.formats.contract import BadDocument, ModelFacts, Nothing
from featstore.formats.draft import Draft, place_of, title_and_abstract
from featstore.formats.folders import plain_or_packed, visible
from featstore.formats.line_ends import with_line_feeds
from featstore.formats.source import BOM, Line, lines, opened

separator = ""

_ABSTRACTS = re.compile("abstra[a-z]*", re.IGNORECASE)

# Where the rows of one document are: (offset in bytes, line number) of the first of each run of them.
Runs = list[tuple[int, int]]


def read(path: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of each file of abstracts, in the order of the files' names."""
    for abstracts in _abstracts(path):
        name = _ABSTRACTS.sub("entities", abstracts.name.removesuffix(".gz"))
        yield from _pair(abstracts, plain_or_packed(abstracts.with_name(name)))


def header(model: ModelFacts, collection: Mapping[str, object] | None = None) -> str:  # noqa: ARG001
    """Return nothing: the format has no header."""
    return ""


def document(
    document: Document,
    relations: Sequence[Relation],
    model: ModelFacts,
    nothing: Nothing | None = None,  # noqa: ARG001
) -> str:
    """Return a line for each relation with a positive label."""
    return "".join(
        f"{document.id}\t{relation.label}\tArg1:{relation.head.id}\tArg2:{relation.tail.id}\n"
        for relation in relations
        if relation.label in model.positive
    )


def footer() -> str:
    """Return nothing."""
    return ""


def _pair(abstracts: Path, entities: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of a file of abstracts, and then the ids that the entities alone have."""
    seen: set[bytes] = set()
    with _searchable(entities) as file:
        table = _Table(entities, file)
        for line in lines(abstracts):
            if not line.raw.strip():
                continue
            columns, id_ = line.raw.count(b"\t") + 1, _id(line.raw)
            if not seen and columns != len(ABSTRACT):
                place = place_of(abstracts, line.number)
                raise DataError(f"{place}: {count_of(columns, 'column')}; {', '.join(ABSTRACT)} are wanted.")
            try:
                if id_ in seen:
                    raise Flaw("the document is given twice.")
                seen.add(id_)
                yield _document(abstracts, line, table)
            except Flaw as flaw:
                yield BadDocument(_shown(id_), place_of(abstracts, line.number), flaw.why)
        for id_, first in table.others(seen):
            yield BadDocument(_shown(id_), place_of(entities, first), f"it is not in {abstracts.name}.")


def _abstracts(path: Path) -> list[Path]:
    """Return the files of abstracts in a folder, or in those just below it."""
    if not path.exists():
        raise MissingFileError(f"{path} does not exist.")
    if path.is_file():
        if not _ABSTRACTS.search(path.name):
            raise DataError(f"{path} is not a file of abstracts: its name must hold 'abstracts', as ChemProt's do.")
        return [path]
    for level in ("", "*/"):
        if found := visible(path, [f"{level}*[Aa]bstra*.tsv", f"{level}*[Aa]bstra*.tsv.gz"]):
            return found
    raise DataError(f"{path} holds no file *abstracts*.tsv.")


@contextmanager
def _searchable(path: Path) -> Iterator[IO[bytes]]:
    """Open a file in which lines end with LF and any place can be read; what is packed is unpacked first."""
    with opened(path) as file, TemporaryFile() as unpacked:
        if isinstance(file, gzip.GzipFile):
            shutil.copyfileobj(file, unpacked)
            unpacked.seek(0)
        yield with_line_feeds(unpacked if isinstance(file, gzip.GzipFile) else file)


class _Table:
    """The table of entities, and where the rows of each document are."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        self._runs: dict[bytes, Runs] = {}
        offset, last = 0, None
        for row, raw in enumerate(file, start=1):
            id_ = _id(raw)
            if id_ != last:
                self._runs.setdefault(id_, []).append((offset, row))
            offset, last = offset + len(raw), id_
        self._runs.pop(b"", None)  # blank lines

    def rows(self, id_: bytes) -> Iterator[Line]:
        """Yield the rows of one document."""
        for offset, row in self._runs.get(id_, []):
            self._file.seek(offset)
            raw = self._file.readline()
            while raw and _id(raw) == id_:
                yield Line(row, raw.removeprefix(BOM).rstrip(b"\r\n"))
                row, raw = row + 1, self._file.readline()

    def others(self, known: Collection[bytes]) -> Iterator[tuple[bytes, int]]:
        """Yield the documents that are not known, with the first line of each."""
        yield from ((id_, runs[0][1]) for id_, runs in self._runs.items() if id_ not in known)


def _id(raw: bytes) -> bytes:
    return raw.removeprefix(BOM).split(b"\t", maxsplit=1)[0].rstrip(b"\r\n")


def _shown(id_: bytes) -> str:
    return id_.decode("utf-8", errors="replace")


def _document(path: Path, line: Line, table: _Table) -> Document:
    """Return the document of a row of abstracts, with its rows in the table of entities."""
    id_, text = abstract_of(line.text.split("\t"))
    draft = Draft(id_, text, path, line.number, passages=title_and_abstract(text))
    for row in table.rows(_id(line.raw)):
        with draft.part(row.number, table.path):
            found = entity_of(row.text.split("\t"))
            draft.mention(found.id, found.type, [(found.start, found.end)], mention=found.mention)
    return draft.document()
