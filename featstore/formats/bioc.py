"""BioC: what its XML and its JSON have in common.

In: a BioC document as BioC JSON has it (plain dicts and lists). Out: a :class:`~featstore.documents.Document`; and the
other way round, with relations added.

*Offsets.* BioC's run over the whole document, and here so does the document's text: each passage (or, where the
passage has no text of its own, each sentence) stands at its offset, and what lies between them is line breaks, so that
no sentence goes from one passage into the next. A passage whose offset lies inside the one before, or far behind it,
stands right after that one, with its annotations, and is reported. Offsets count characters, which are Unicode code
points here. In a file whose tool counts UTF-16 units or bytes, mentions disagree with their offsets, so it is refused.

*What is kept.* The document as it was read stays with the :class:`Document`, so that writing adds relations and
changes nothing else. Relations that are there already are kept. What they say is in the document's ``relations``: the
label is the infon ``type``, ``label`` or ``relation``; the arguments are the nodes or, where there are none, the
values of the infons ``entity1`` and ``entity2`` (BioRED) or of all but the label's (BC5CDR). A document that comes
from elsewhere is written with the passages that it is known to have (title, abstract), or as one. Mentions that are
found later are added to their passages (:func:`with_mentions`). The type of an entity is its infon ``type``. Its
concept is the infon ``identifier`` or one that is named by a vocabulary (``MESH`` in BC5CDR). An infon that is given
several times is a list.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from featstore.documents import Document, Entity, Passage, Relation, StatedRelation
from featstore.formats.content import Flaw
from featstore.formats.contract import ModelFacts
from featstore.formats.draft import Draft
from featstore.formats.members import WORDS

Json = Mapping[str, Any]

_LABELS = ("type", "label", "relation")  # infons that name a relation
_ARGUMENTS = ("entity1", "entity2")
_CONCEPTS = ("identifier", "mesh", "ncbi gene", "gene id", "omim", "chebi")  # infons that hold it, in small letters
_MAX_GAP = 1_000_000  # characters; offsets that leave more between two passages are a mistake
MOVED = "passage moved"
_NOWHERE = Path("document")
# part -> its members that must be there, and those that may
_SHAPES: dict[str, tuple[dict[str, type], dict[str, type]]] = {
    "document": ({"passages": list}, {"infons": dict, "annotations": list, "relations": list}),
    "passage": (
        {"offset": int},
        {"infons": dict, "text": str, "sentences": list, "annotations": list, "relations": list},
    ),
    "sentence": ({"offset": int}, {"infons": dict, "text": str, "annotations": list, "relations": list}),
    "annotation": ({"locations": list}, {"infons": dict, "text": str}),
    "location": ({"offset": int, "length": int}, {}),
    "relation": ({}, {}),
}


class Annotation(dict[str, Any]):
    """An annotation that knows the line that it stands in."""

    line: int | None = None


def document_of(given: object, path: Path = _NOWHERE, line: int | None = None) -> Document:
    """Return the document; a malformed annotation is left out of its entities and reported.

    Args:
        given: the document as BioC JSON has it.
        path: the file that it was read from.
        line: the line that it begins in; None if it was not read from a file.

    Raises:
        Flaw: a member is not there or of another type.
    """
    found = _checked("document", given)
    text, placed, moved = _placed(found)
    draft = Draft(_id_of("a document", found), text, path, line)
    for problem in moved:
        draft.tell(problem, MOVED, lost=False)
    for part, shift in placed:
        for annotation in part.get("annotations") or ():
            at = getattr(annotation, "line", None)
            with draft.part(at):
                _add(draft, _checked("annotation", annotation), shift, at)
    draft.relations += _stated(found)
    split = (found.get("infons") or {}).get("split")
    return replace(draft.document(), bioc=found, split=split if isinstance(split, str) else None)


def with_relations(document: Document, relations: Sequence[Relation], model: ModelFacts) -> dict[str, Any]:
    """Return a document as BioC JSON has it, with the relations added to those that it has."""
    given = document.bioc if document.bioc is not None else _in_passages(document)
    taken = {str(relation.get("id")) for part in _parts(given) for relation in members(part, "relations")}
    free = (id_ for id_ in map("R{}".format, count(1)) if id_ not in taken)
    added = [_relation(next(free), relation, model) for relation in relations]
    return {**given, "relations": [*members(given, "relations"), *added]}


def with_mentions(document: Document, added: Sequence[Entity]) -> Document:
    """Return a document with further mentions; if it was read from BioC, they are annotations of their passages too."""
    whole = replace(document, entities=(*document.entities, *added))
    if document.bioc is None or not added:
        return whole
    moved = {id(part): shift for part, shift in _placed(document.bioc)[1]}
    passages = [_with_annotations(passage, added, moved) for passage in members(document.bioc, "passages")]
    return replace(whole, bioc={**document.bioc, "passages": passages})


def about_collection(model: ModelFacts, collection: Json | None) -> dict[str, Any]:
    """Return what a collection says of itself: what that of the input does, and the model.

    An infon of the model's that the input has too, because relations were added to it before, has both values.
    """
    given = collection or {"source": "featstore", "version": "1.0"}
    infons = dict(infons_of(given))
    for key, value in (("model", model.name), ("fingerprint", model.fingerprint)):
        before = infons.get(key, value)
        earlier = before if isinstance(before, list) else [before]
        infons[key] = value if earlier == [value] else [*(each for each in earlier if each != value), value]
    return {"source": "", "date": "", "key": "", **given, "infons": infons}


def members(part: Json, name: str) -> Sequence[Json]:
    """Return the objects in a list that a part has, may have, or has as ``null``."""
    given = part.get(name)
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else ()


def infons_of(part: Json) -> Json:
    """Return the infons of a part, if it has any."""
    given = part.get("infons")
    return given if isinstance(given, dict) else {}


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
            infons = {name: value for name, value in infons_of(relation).items() if isinstance(value, str)}
            label = next((name for name in _LABELS if name in infons), None)
            arguments = [str(node.get("refid", "")) for node in members(relation, "nodes")]
            if not arguments:
                named = [name for name in infons if name in _ARGUMENTS]
                arguments = [infons[name] for name in named or infons if name != label]
            yield StatedRelation(infons.get(label or "", ""), tuple(arguments))


def _checked(what: str, given: object) -> dict[str, Any]:
    """Return a part, and all that is in it, if it has the members that it needs and each is of its type."""
    if not isinstance(given, dict):
        raise Flaw(f"{_a(what)} is {str(given)[:60]!r}; a JSON object is wanted.")
    required, optional = _SHAPES[what]
    for name, type_ in (required | optional).items():
        value = given.get(name)
        if value is None and name in optional:
            continue
        if type(value) is not type_:
            raise Flaw(f"the {name} of {_a(what)} is {str(value)[:60]!r}; {WORDS[type_]} is wanted.")
        if type_ is list and name != "annotations":  # those are looked at one by one
            for part in given[name]:
                _checked(name.removesuffix("s"), part)
    return given


def _a(what: str) -> str:
    return f"an {what}" if what.startswith("a") else f"a {what}"


def _id_of(what: str, part: Json) -> str:
    """Return an id, which some programs write as a number."""
    id_ = part.get("id")
    if type(id_) not in (str, int):
        raise Flaw(f"the id of {what} is {str(id_)[:60]!r}; a string is wanted.")
    return str(id_)


def _placed(document: Json) -> tuple[str, list[tuple[Json, int]], list[str]]:
    """Return the text in which each piece stands, how far each part was moved for it, and what is to be reported."""
    whole: list[str] = []
    placed: list[tuple[Json, int]] = [(document, 0)]
    moved: list[str] = []
    end = 0
    for passage in document["passages"]:
        own, sentences = bool(passage.get("text")), members(passage, "sentences")
        shifts: list[int] = []
        for piece in [passage] if own else sentences:
            given, text = piece["offset"], piece.get("text") or ""
            offset = given if end <= given <= end + _MAX_GAP or not text else end + bool(end)
            if offset != given:
                moved.append(
                    f"a passage or sentence begins at {given}, but the one before it ends at {end}; here it begins at "
                    f"{offset}."
                )
            if text:
                whole += ["\n" * (offset - end), text]
                end = offset + len(text)
            shifts.append(offset - given)
        placed.append((passage, shifts[0] if shifts else 0))
        placed += [(sentence, shifts[0] if own else shifts[n]) for n, sentence in enumerate(sentences)]
    return "".join(whole), placed, moved


def _add(draft: Draft, annotation: Json, shift: int, line: int | None) -> None:
    """Add the mention of an annotation."""
    id_ = _id_of("an annotation", annotation)
    infons = {name.lower(): _texts(value) for name, value in infons_of(annotation).items()}
    if not infons.get("type"):
        raise Flaw(f"the entity {id_} has no infon 'type'.")
    concepts = ("|".join(infons.get(name, ())) for name in _CONCEPTS)
    starts = [(one["offset"] + shift, one["length"]) for one in annotation["locations"]]
    draft.mention(
        id_,
        infons["type"][0],
        [(start, start + length) for start, length in starts],
        mention=annotation.get("text"),
        concept=next(filter(None, concepts), None),
        line=line,
    )


def _with_annotations(part: Json, added: Sequence[Entity], moved: Mapping[int, int]) -> dict[str, Any]:
    """Return a passage or sentence with those of the mentions that lie in its text as annotations, at its offsets."""
    text, sentences = part.get("text") or "", members(part, "sentences")
    if not text and sentences:
        return {**part, "sentences": [_with_annotations(sentence, added, moved) for sentence in sentences]}
    shift = moved[id(part)]
    start, end = part["offset"] + shift, part["offset"] + shift + len(text)
    own = [_annotation(entity, shift) for entity in added if start <= entity.start and entity.end <= end]
    return {**part, "annotations": [*(part.get("annotations") or ()), *own]}


def _texts(value: object) -> list[str]:
    """Return the texts, or numbers as text, that are the value of an infon."""
    return [str(each) for each in (value if isinstance(value, list) else [value]) if type(each) in (str, int)]


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


def _annotation(entity: Entity, shift: int = 0) -> dict[str, Any]:
    concept = {} if entity.concept is None else {"identifier": entity.concept}
    return {
        "id": entity.id,
        "infons": {"type": entity.type, **concept},
        "text": entity.text,
        "locations": [{"offset": entity.start - shift, "length": entity.end - entity.start}],
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
