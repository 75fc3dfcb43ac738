"""BioC JSON.

In: a collection, a list of collections, or documents one a line (as the ``bioc`` package streams them); what PubTator
3 exports is a collection whose ``documents`` go by its name. Out: documents; and a collection with relations added.
What a document is, is in :mod:`featstore.formats.bioc`.

Read a document at a time: the ``bioc`` package would load the whole collection.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from featstore.errors import DataError
from featstore.formats.bioc import document_of, model_infons, with_relations
from featstore.formats.content import Flaw, check_text
from featstore.formats.contract import BadDocument, ModelFacts, Nothing
from featstore.formats.draft import place_of
from featstore.formats.json_pieces import JsonPieces
from featstore.formats.source import pieces
from featstore.records import Document, Relation

separator = ",\n"

_DOCUMENTS = ("documents", "PubTator3")


def read(path: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of a file."""
    json_ = JsonPieces(path, pieces(path))
    while json_.peek():
        for number, (line, given) in enumerate(_documents(path, json_), start=1):
            try:
                check_text(json.dumps(given, ensure_ascii=False))
                yield document_of(given, path, line)
            except Flaw as flaw:
                id_ = given.get("id") if isinstance(given, dict) else None
                where = f"{place_of(path, line)}, document {number}"
                yield BadDocument(id_ if isinstance(id_, str) else "", where, flaw.why)


def header(model: ModelFacts) -> str:
    """Return the beginning of a collection."""
    about = {"source": "featstore", "date": "", "key": "", "version": "1.0", "infons": model_infons(model)}
    return json.dumps(about, ensure_ascii=False).removesuffix("}") + ', "documents": [\n'


def document(
    document: Document,
    relations: Sequence[Relation],
    model: ModelFacts,
    nothing: Nothing | None = None,  # noqa: ARG001
) -> str:
    """Return the document with the relations added to those that it has."""
    return json.dumps(with_relations(document, relations, model), ensure_ascii=False)


def footer() -> str:
    """Return the end of the collection."""
    return "\n]}\n"


def _documents(path: Path, json_: JsonPieces) -> Iterator[tuple[int, Any]]:
    """Yield each document of the next value, with the line that it begins in."""
    if json_.peek() == "[":
        for _ in json_.items():
            yield from _collection(path, json_)
    else:
        yield from _collection(path, json_)


def _collection(path: Path, json_: JsonPieces) -> Iterator[tuple[int, Any]]:
    """Yield each document of a collection, or the one that takes its place."""
    if json_.peek() != "{":
        raise DataError(f"{path}, line {json_.line}: not BioC JSON; an object with 'documents' is wanted.")
    line, kept, collection = json_.line, {}, False
    for name in json_.names():
        if name in _DOCUMENTS and json_.peek() == "[":
            collection = True
            for _ in json_.items():
                yield json_.line, json_.value()
        else:
            kept[name] = json_.value()
    if not collection:
        if "passages" not in kept:
            raise DataError(f"{path}, line {line}: not BioC JSON; the object has no 'documents' and no 'passages'.")
        yield line, kept
