"""BioC: what its XML and its JSON have in common.

In: a BioC document as BioC JSON has it (plain dicts and lists). Out: a :class:`~featstore.records.Document`; and the
other way round, with relations added.

*Offsets.* BioC's run over the whole document, and here so does the document's text: each passage (or, where the
passage has no text of its own, each sentence) stands at its offset, and what lies between them is line breaks, so that
no sentence goes from one passage into the next. They count characters, which are Unicode code points here; a file made
by a tool that counts UTF-16 units or bytes shows by its mentions and is refused.

*What is kept.* The document as it was read stays with the :class:`Document`, so that writing adds relations and
changes nothing else. Relations that are there already are kept. What they say is in the document's ``relations``: the
label is the infon ``type``, ``label`` or ``relation``; the arguments are the nodes or, where there are none, the
values of the infons ``entity1`` and ``entity2`` (BioRED) or of all but the label's (BC5CDR). A document that comes
from elsewhere is written with the passages that it is known to have (title, abstract), or as one. Mentions that are
found later are added to their passages (:func:`with_mentions`). The type of an entity is its infon ``type``, its
concept the infon ``identifier``.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from featstore.formats.content import Flaw, check_text, make_document, make_entity
from featstore.formats.contract import ModelFacts
from featstore.records import Document, Entity, Passage, Relation, StatedRelation

Json = Mapping[str, Any]

_LABELS = ("type", "label", "relation")  # infons that name a relation
_ARGUMENTS = ("entity1", "entity2")
_MAX_GAP = 1_000_000  # characters; offsets that leave more between two passages are a mistake
# part -> its members that must be there, and those that may
_SHAPES: dict[str, tuple[dict[str, type], dict[str, type]]] = {
    "document": ({"id": str, "passages": list}, {"infons": dict, "annotations": list, "relations": list}),
    "passage": (
        {"offset": int},
        {"infons": dict, "text": str, "sentences": list, "annotations": list, "relations": list},
    ),
    "sentence": ({"offset": int}, {"infons": dict, "text": str, "annotations": list, "relations": list}),
    "annotation": ({"id": str, "locations": list}, {"infons": dict, "text": str}),
    "location": ({"offset": int, "length": int}, {}),
    "relation": ({"nodes": list}, {"id": str, "infons": dict}),
    "node": ({"refid": str}, {"role": str}),
}


def document_of(given: object) -> Document:
    """Return the document.

    Raises:
        Flaw: a member is not there or of another type, passages overlap, an annotation is not one stretch of the text.
    """
    found = _checked("document", given)
    text = check_text(_text(found))
    entities = [_entity(text, annotation) for part in _parts(found) for annotation in members(part, "annotations")]
    return replace(make_document(found["id"], text, entities), bioc=found, relations=tuple(_stated(found)))


def with_relations(document: Document, relations: Sequence[Relation], model: ModelFacts) -> dict[str, Any]:
    """Return a document as BioC JSON has it, with the relations added to those that it has."""
    given = document.bioc if document.bioc is not None else _in_passages(document)
    taken = {relation.get("id") for part in _parts(given) for relation in members(part, "relations")}
    free = (id_ for id_ in map("R{}".format, count(1)) if id_ not in taken)
    added = [_relation(next(free), relation, model) for relation in relations]
    return {**given, "relations": [*members(given, "relations"), *added]}


def with_mentions(document: Document, added: Sequence[Entity]) -> Document:
    """Return a document with further mentions; if it was read from BioC, they are annotations of their passages too."""
    whole = replace(document, entities=(*document.entities, *added))
    if document.bioc is None or not added:
        return whole
    passages = [_with_annotations(passage, added) for passage in members(document.bioc, "passages")]
    return replace(whole, bioc={**document.bioc, "passages": passages})


def model_infons(model: ModelFacts) -> dict[str, str]:
    """Return what a collection says of the model."""
    return {"model": model.name, "fingerprint": model.fingerprint}


def members(part: Json, name: str) -> Sequence[Json]:
    """Return a list that a part has, may have, or has as ``null``."""
    return part.get(name) or ()


def _parts(document: Json) -> Iterator[Json]:
    """Yield all that can hold annotations and relations: the document, its passages, their sentences."""
    yield document
    for passage in members(document, "passages"):
        yield passage
        yield from members(passage, "sentences")


def _stated(document: Json) -> Iterator[StatedRelation]:
    """Yield what the relations of a document say."""
    for part in _parts(document):
        for relation in members(part, "relations"):
            infons = {name: value for name, value in (relation.get("infons") or {}).items() if isinstance(value, str)}
            label = next((name for name in _LABELS if name in infons), None)
            arguments = [str(node["refid"]) for node in relation.get("nodes") or ()]
            if not arguments:
                named = [name for name in infons if name in _ARGUMENTS]
                arguments = [infons[name] for name in named or infons if name != label]
            yield StatedRelation(infons.get(label or "", ""), tuple(arguments))


def _checked(what: str, given: object) -> dict[str, Any]:
    """Return a part, and all that is in it, if it has the members that it needs and each is of its type."""
    if not isinstance(given, dict):
        raise Flaw(f"a {what} is {str(given)[:60]!r}; a JSON object is wanted.")
    required, optional = _SHAPES[what]
    for name, type_ in (required | optional).items():
        value = given.get(name)
        if value is None and name in optional:
            continue
        if type(value) is not type_:
            raise Flaw(f"the {name} of a {what} is {str(value)[:60]!r}; {type_.__name__} is wanted.")
        if type_ is list:
            for part in given[name]:
                _checked(name.removesuffix("s"), part)
    return given


def _text(document: Json) -> str:
    """Return the text in which each piece stands at its offset."""
    whole: list[str] = []
    end = 0
    for passage in document["passages"]:
        pieces = [passage] if passage.get("text") else members(passage, "sentences")
        for piece in pieces:
            offset, text = piece["offset"], piece.get("text") or ""
            if not end <= offset <= end + _MAX_GAP:
                raise Flaw(f"a passage or sentence begins at {offset}, but the one before it ends at {end}.")
            whole += ["\n" * (offset - end), text]
            end = offset + len(text)
    return "".join(whole)


def _entity(text: str, annotation: Json) -> Entity:
    id_, infons, locations = annotation["id"], annotation.get("infons") or {}, annotation["locations"]
    if len(locations) != 1:
        raise Flaw(
            f"the entity {id_} is in {len(locations)} pieces; discontinuous mentions are not supported, one is wanted."
        )
    type_, concept = infons.get("type"), infons.get("identifier")
    if not isinstance(type_, str):
        raise Flaw(f"the entity {id_} has no infon 'type'.")
    start = locations[0]["offset"]
    return make_entity(
        text,
        id_,
        type_,
        start,
        start + locations[0]["length"],
        mention=annotation.get("text"),
        concept=concept if isinstance(concept, str) else None,
    )


def _with_annotations(part: Json, added: Sequence[Entity]) -> dict[str, Any]:
    """Return a passage or sentence with those of the mentions that lie in its text as annotations."""
    text = part.get("text") or ""
    if not text and members(part, "sentences"):
        return {**part, "sentences": [_with_annotations(sentence, added) for sentence in members(part, "sentences")]}
    start, end = part["offset"], part["offset"] + len(text)
    own = [_annotation(entity) for entity in added if start <= entity.start and entity.end <= end]
    return {**part, "annotations": [*members(part, "annotations"), *own]}


def _in_passages(document: Document) -> dict[str, Any]:
    """Return a document that does not come from BioC: its passages, or all of it as one."""
    parts = document.passages or (Passage(0, len(document.text)),)
    passages = [
        {
            "offset": part.start,
            "infons": {
                **({"type": part.kind} if part.kind else {}),
                **({"section": part.section} if part.section else {}),
            },
            "text": document.text[part.start : part.end],
            "sentences": [],
            "annotations": annotations,
            "relations": [],
        }
        for part, annotations in zip(parts, _by_passage(parts, document.entities), strict=True)
    ]
    return {"id": document.id, "infons": {}, "passages": passages, "annotations": [], "relations": []}


def _by_passage(parts: Sequence[Passage], entities: Sequence[Entity]) -> list[list[dict[str, Any]]]:
    """Return the mentions of each passage, as annotations: those that begin in it."""
    starts = [part.start for part in parts]
    found: list[list[dict[str, Any]]] = [[] for _ in parts]
    for entity in entities:
        found[max(bisect_right(starts, entity.start) - 1, 0)].append(_annotation(entity))
    return found


def _annotation(entity: Entity) -> dict[str, Any]:
    concept = {} if entity.concept is None else {"identifier": entity.concept}
    return {
        "id": entity.id,
        "infons": {"type": entity.type, **concept},
        "text": entity.text,
        "locations": [{"offset": entity.start, "length": entity.end - entity.start}],
    }


def _relation(id_: str, relation: Relation, model: ModelFacts) -> dict[str, Any]:
    attention = [[start, end, round(weight, 4)] for start, end, weight in relation.attention]
    return {
        "id": id_,
        "infons": {
            "label": relation.label,
            "probability": f"{relation.probability:.6f}",
            "model": model.fingerprint,
            **({"attention": json.dumps(attention)} if attention else {}),
        },
        "nodes": [
            {"refid": relation.head.id, "role": "head"},
            {"refid": relation.tail.id, "role": "tail"},
        ],
    }
