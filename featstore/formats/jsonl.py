"""JSONL: a document with its entities, one JSON object a line.

In: a UTF-8 file. Out: its documents; and the other way round, documents with their relations. What is read:

=========  ========  =======================================================================================
id         required  the document's id
text       required  the whole text; offsets run over its characters (Unicode code points)
entities   required  a list of ``{"id": "T1", "type": "CHEMICAL", "start": 0, "end": 7}``, half-open; may have a
                     ``text``, which must then be the characters, and a ``concept``, an id of some vocabulary
=========  ========  =======================================================================================

Any other member is refused, but for those that writing adds. Of these reading takes the head, tail and label of each
relation, and the split:

=========  =================================================================================================
relations  a list of ``{"head": "T1", "tail": "T2", "label": .., "probability": .., "probabilities": {..},
           "sentence": [start, end]}``; with attention ``[[start, end, weight], ..]`` where it was asked for
model      ``{"name": .., "fingerprint": ..}``
split      the part of a corpus that the document is in: ``train``, ``dev`` or ``test``
nothing    ``{"reason": .., "why": ..}`` where there are no relations: why not
=========  =================================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from featstore.documents import Document, Entity, Relation, StatedRelation
from featstore.errors import DataError
from featstore.formats.content import Flaw
from featstore.formats.contract import BadDocument, ModelFacts, Nothing
from featstore.formats.draft import Draft, place_of
from featstore.formats.members import MENTION, PAIR, load_json, members_of
from featstore.formats.source import Line, lines

separator = ""

_DOCUMENT = {"id": str, "text": str, "entities": list}
_ADDED = {"relations": list, "model": dict, "nothing": dict, "split": str}
_ENTITY = {"id": str, **MENTION}
_ENTITY_OPTIONAL = {"text": str, "concept": str}


def read(path: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of a file; blank lines are passed over."""
    first = True
    for line in lines(path):
        if not line.raw.strip():
            continue
        if first and not line.raw.lstrip().startswith(b"{"):
            raise DataError(f"{path}, line {line.number}: not JSONL; every line must be a JSON object.")
        first = False
        yield _document(path, line)


def header(model: ModelFacts, collection: Mapping[str, object] | None = None) -> str:  # noqa: ARG001
    """Return nothing: each line says all."""
    return ""


def document(
    document: Document,
    relations: Sequence[Relation],
    model: ModelFacts,
    nothing: Nothing | None = None,
) -> str:
    """Return the document with its relations, as one line."""
    written: dict[str, Any] = {
        "id": document.id,
        "text": document.text,
        "entities": [_entity_members(entity) for entity in document.entities],
        "relations": [_relation_members(relation) for relation in relations],
        "model": {"name": model.name, "fingerprint": model.fingerprint},
    }
    if document.split:
        written["split"] = document.split
    if nothing:
        written["nothing"] = asdict(nothing)
    return json.dumps(written, ensure_ascii=False) + "\n"


def footer() -> str:
    """Return nothing."""
    return ""


def _document(path: Path, line: Line) -> Document | BadDocument:
    """Return the document of a line."""
    id_ = ""
    try:
        given = load_json(line.text)
        if isinstance(given, dict) and isinstance(given.get("id"), str):
            id_ = given["id"]
        if isinstance(given, dict) and given.keys() >= PAIR.keys():
            raise Flaw("this is a sentence with a marked pair, not a document; read the file with --format pairs.")
        members = members_of("the document", given, _DOCUMENT, _ADDED)
        draft = Draft(id_, members["text"], path, line.number)
        for entity in members["entities"]:
            with draft.part():
                _add(draft, entity)
        draft.relations += [_stated(each, line) for each in members.get("relations", ())]
        return replace(draft.document(), split=members.get("split"))
    except Flaw as flaw:
        return BadDocument(id_, place_of(path, line.number), flaw.why)


def _add(draft: Draft, given: Any) -> None:
    """Add the mention of an object."""
    found = members_of("an entity", given, _ENTITY, _ENTITY_OPTIONAL)
    span = found["start"], found["end"]
    draft.mention(found["id"], found["type"], [span], mention=found.get("text"), concept=found.get("concept"))


def _stated(given: Any, line: Line) -> StatedRelation:
    """Return a relation as the line states it; what is not there is empty."""
    members = given if isinstance(given, dict) else {}
    arguments = tuple(str(members[name]) for name in ("head", "tail") if name in members)
    return StatedRelation(str(members.get("label", "")), arguments, line.number)


def _entity_members(entity: Entity) -> dict[str, Any]:
    members = {name: getattr(entity, name) for name in (*_ENTITY, "text")}
    return members if entity.concept is None else members | {"concept": entity.concept}


def _relation_members(relation: Relation) -> dict[str, Any]:
    members: dict[str, Any] = {
        "head": relation.head.id,
        "tail": relation.tail.id,
        "label": relation.label,
        "probability": relation.probability,
        "probabilities": dict(relation.probabilities),
        "sentence": relation.sentence,
    }
    return members | {"attention": relation.attention} if relation.attention else members
