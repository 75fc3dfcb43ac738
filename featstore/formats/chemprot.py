"""ChemProt (BioCreative VI): abstracts and entities as tab-separated files; the evaluation kit's relations.

In: a folder with ``*abstracts*.tsv`` (id, title, abstract) and beside each the file of the same name with ``entities``
(document id, id, type, start, end, mention), or a folder of such folders, or one file of abstracts. Out: its
documents. The text is title + line break + abstract, which is what the offsets run over.

The entities need not be in the order of the abstracts. What is kept of them in memory is where those of each document
begin: some hundred bytes a document.

Written is what the evaluation kit reads: ``ID<TAB>CPR:4<TAB>Arg1:T1<TAB>Arg2:T2``, no header, relations with a
positive label only. The offsets are those of the entities' ids; the format has no place for a probability or a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from featstore.errors import DataError, MissingFileError
from featstore.formats.content import Flaw, make_document, make_entity, number
from featstore.formats.contract import BadDocument, ModelFacts, Nothing
from featstore.formats.source import BOM, Bytes, Line, lines, opened
from featstore.records import Document, Entity, Relation

separator = ""

# Where the rows of one document are: (offset in bytes, line number) of the first of each run of them.
Runs = list[tuple[int, int]]


def read(path: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of each file of abstracts, in the order of the files' names."""
    for abstracts in _abstracts(path):
        entities = abstracts.with_name(abstracts.name.replace("abstracts", "entities"))
        yield from _pair(abstracts, entities)


def header(model: ModelFacts) -> str:  # noqa: ARG001
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
    runs = _index(entities)
    seen: set[bytes] = set()
    with opened(entities) as file:
        for line in lines(abstracts):
            if not line.raw.strip():
                continue
            columns, id_ = line.raw.count(b"\t") + 1, _id(line.raw)
            if not seen and columns != 3:
                raise DataError(f"{abstracts}, line {line.number}: {columns} columns; id, title, abstract are wanted.")
            try:
                if id_ in seen:
                    raise Flaw("the document is given twice.")
                seen.add(id_)
                yield _document(line, file, runs.get(id_, []))
            except Flaw as flaw:
                where = abstracts if flaw.line is None else entities
                yield BadDocument(_shown(id_), f"{where}, line {flaw.line or line.number}", flaw.why)
    for id_, places in runs.items():
        if id_ not in seen:
            yield BadDocument(_shown(id_), f"{entities}, line {places[0][1]}", f"it is not in {abstracts.name}.")


def _abstracts(path: Path) -> list[Path]:
    """Return the files of abstracts in a folder, or in those just below it."""
    if not path.exists():
        raise MissingFileError(f"{path} does not exist.")
    if path.is_file():
        if "abstracts" not in path.name:
            raise DataError(f"{path} is no file of abstracts: its name must hold 'abstracts', as ChemProt's do.")
        return [path]
    found = sorted(path.glob("*abstracts*.tsv")) or sorted(path.glob("*/*abstracts*.tsv"))
    if not found:
        raise DataError(f"{path} holds no file *abstracts*.tsv.")
    return found


def _index(path: Path) -> dict[bytes, Runs]:
    """Return where the rows of each document are."""
    runs: dict[bytes, Runs] = {}
    offset, last = 0, None
    with opened(path) as file:
        for line, raw in enumerate(file, start=1):
            id_ = _id(raw.removeprefix(BOM) if line == 1 else raw)
            if id_ != last:
                runs.setdefault(id_, []).append((offset, line))
            offset, last = offset + len(raw), id_
    runs.pop(b"", None)  # blank lines
    return runs


def _rows(file: Bytes, runs: Runs) -> Iterator[Line]:
    """Yield the rows of one document."""
    for offset, line in runs:
        file.seek(offset)
        raw = file.readline().removeprefix(BOM)
        id_ = _id(raw)
        while raw and _id(raw) == id_:
            yield Line(line, raw.rstrip(b"\r\n"))
            line, raw = line + 1, file.readline()


def _id(raw: bytes) -> bytes:
    return raw.split(b"\t", maxsplit=1)[0].rstrip(b"\r\n")


def _shown(id_: bytes) -> str:
    return id_.decode("utf-8", errors="replace")


def _document(line: Line, file: Bytes, runs: Runs) -> Document:
    """Return the document of a row of abstracts; ``runs`` are its rows in the file of entities."""
    fields = line.text.split("\t")
    if len(fields) != 3:
        raise Flaw(f"{len(fields)} columns; id, title and abstract are wanted.")
    id_, title, abstract = fields
    text = f"{title}\n{abstract}"
    entities: dict[str, Entity] = {}
    for row in _rows(file, runs):
        try:
            entity = _entity(text, row.text.split("\t"))
            if entity.id in entities:
                raise Flaw(f"the entity id {entity.id} is given twice; ids must be unique in a document.")
            entities[entity.id] = entity
        except Flaw as flaw:
            raise Flaw(flaw.why, row.number) from flaw
    return make_document(id_, text, entities.values())


def _entity(text: str, fields: list[str]) -> Entity:
    if len(fields) != 6:
        raise Flaw(f"{len(fields)} columns; document, id, type, start, end and mention are wanted.")
    _, id_, type_, start, end, mention = fields
    return make_entity(text, id_, type_, number(start, "start"), number(end, "end"), mention=mention)
