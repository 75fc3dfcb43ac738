"""BioC JSON.

In: a collection, a list of collections, or documents one a line (as the ``bioc`` package streams them); what PubTator
3 exports is a collection whose ``documents`` go by its name. Out: documents; and a collection with relations added.
What a document is, is in :mod:`featstore.formats.bioc`.

Read a document at a time: the ``bioc`` package would load the whole collection.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from featstore.documents import Document, Relation
from featstore.errors import DataError
from featstore.formats.bioc import about_collection, document_of, with_relations
from featstore.formats.content import Flaw, check_text
from featstore.formats.contract import BadDocument, ModelFacts, Nothing
from featstore.formats.draft import place_of
from featstore.formats.json_pieces import JsonPieces
from featstore.formats.members import repeated
from featstore.formats.source import Begun, pieces

separator = ",\n"

_DOCUMENTS = ("documents", "PubTator3")


def read(path: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of a file."""
    json_ = JsonPieces(path, pieces(path))
    while json_.peek():
        for number, (line, given, about, why) in enumerate(_documents(path, json_), start=1):
            try:
                if why:
                    raise Flaw(why)
                check_text(json.dumps(given, ensure_ascii=False))
                yield replace(document_of(given, path, line), collection=about)
            except Flaw as flaw:
                id_ = given.get("id") if isinstance(given, dict) else None
                where = f"{place_of(path, line)}, document {number}"
                yield BadDocument(id_ if isinstance(id_, str) else "", where, flaw.why)


def header(model: ModelFacts, collection: Mapping[str, Any] | None = None) -> str:
    """Return the beginning of a collection, with what the input's says of itself."""
    return json.dumps(about_collection(model, collection), ensure_ascii=False).removesuffix("}") + ', "documents": [\n'


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


# The line that a document begins in, the document, what its collection says of itself, and what is wrong with it.
_Found = tuple[int, Any, Mapping[str, Any] | None, str]


def _documents(path: Path, json_: JsonPieces) -> Iterator[_Found]:
    """Yield each document of the next value."""
    if json_.peek() == "[":
        for _ in json_.items():
            yield from _collection(path, json_)
    else:
        yield from _collection(path, json_)


def _collection(path: Path, json_: JsonPieces) -> Iterator[_Found]:
    """Yield each document of a collection, or the one that takes its place."""
    if json_.peek() != "{":
        raise DataError(f"{path}, line {json_.line}: not BioC JSON; an object with 'documents' is wanted.")
    line, collection, why = json_.line, False, ""
    kept: dict[str, Any] = {}
    for name in json_.names():
        if name in _DOCUMENTS and json_.peek() == "[":
            collection = True
            about = dict(kept) if kept else _after_the_documents(path)
            for _ in json_.items():
                first, value = json_.line, json_.value()
                yield first, value, about, json_.why
        else:
            why = why or repeated([*kept.items(), (name, None)])
            kept[name] = json_.value()
            why = why or json_.why
    if not collection:
        if "passages" not in kept:
            raise DataError(f"{path}, line {line}: not BioC JSON; the object has no 'documents' and no 'passages'.")
        yield line, kept, None, why


def _after_the_documents(path: Path) -> dict[str, Any]:
    """Return the members of a collection that begins with its documents; they are needed before those are written."""
    kept: dict[str, Any] = {}
    try:
        if not isinstance(path, Begun):  # which cannot be read twice
            json_ = JsonPieces(path, pieces(path))
            if json_.peek() == "{":
                for name in json_.names():
                    value = json_.value()
                    if name not in _DOCUMENTS:
                        kept[name] = value
    except DataError:
        pass  # whoever reads on will find it again
    return kept
