"""XML of sentences with entities and pairs: DDIExtraction 2013 and the unified form of the protein corpora.

In: the bytes of a file with ``document``, ``sentence``, ``entity`` and ``pair`` elements. Out: its sentences as
documents of their own, with the pairs that the corpus lists. The corpus fixes sentences and pairs: nothing is split
again and no pair is made.

*Offsets.* ``charOffset="4-19"`` counts the last character in some releases (DDI) and stops before it in others.
The mentions decide which it is: the reading that more of a file's mentions agree with.

*Discontinuous mentions* (``59-65;75-78``; some files write a comma) are taken from their first to their last character,
and counted.

A file cannot reach outside of itself: one that declares entities of its own is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, XMLParser, fromstring

from featstore.corpora.mark import Marking
from featstore.corpora.pairs import PairTypes, SplitDocument
from featstore.documents import Document, Entity, Problem
from featstore.errors import DataError, count_of
from featstore.records import Instance

_OFFSET = re.compile(r"\d{1,9}-\d{1,9}([;,]\d{1,9}-\d{1,9})*")


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair that the corpus lists.

    Attributes:
        id: its id.
        head, tail: ids of entities.
        attributes: all that the element says.
    """

    id: str
    head: str
    tail: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ListedSentence:
    """A sentence with its entities and pairs.

    Attributes:
        document: id of the document that it belongs to.
        id: its own id.
        text: the sentence with its entities, as a document of its own.
        pairs: the pairs.
    """

    document: str
    id: str
    text: SplitDocument
    pairs: tuple[Pair, ...]


def sentences_of(
    raw: bytes, place: Path, type_: str, problems: list[Problem], notes: Counter[str]
) -> Iterator[ListedSentence]:
    """Yield the sentences of a file.

    Args:
        raw: the file's bytes.
        place: the file, as messages name it.
        type_: the type that all its entities get.
        problems: collects the entities and pairs that are malformed.
        notes: takes counts.

    Raises:
        DataError: not well-formed, or not of this form.
    """
    root = _parsed(raw, place)
    documents = [root] if root.tag == "document" else root.findall("document")
    if root.tag not in ("document", "corpus") or not documents:
        raise DataError(f"{place}: the outermost element is <{root.tag}>; <document>, or <corpus> of them, is wanted.")
    inclusive = _is_inclusive(root)
    for document in documents:
        notes["documents"] += 1
        for sentence in document.iter("sentence"):
            notes["sentences"] += 1
            yield _sentence(document.get("id", ""), sentence, place, type_, inclusive, problems, notes)


def instance_of(
    sentence: ListedSentence, pair: Pair, types: PairTypes, marking: Marking, id_: str, label: str
) -> Instance:
    """Return the instance of a pair.

    Raises:
        DataError: a mention holds no word.
    """
    entities = {entity.id: entity for entity in sentence.text.document.entities}
    head, tail = sorted((entities[pair.head], entities[pair.tail]), key=lambda e: (e.start, e.end, e.id))
    source = {"document": sentence.document, "sentence": sentence.id, "head": head.id, "tail": tail.id}
    return sentence.text.instance(id_, head, tail, types, marking, label=label, source=source)


def _parsed(raw: bytes, place: Path) -> Element:
    if b"<!ENTITY" in raw:
        raise DataError(f"{place} declares an entity, which is not allowed here; write its characters instead.")
    try:
        return fromstring(raw, XMLParser())
    except (ParseError, LookupError, ValueError) as error:
        raise DataError(f"{place} is not well-formed XML: {error}.") from error


def _is_inclusive(root: Element) -> bool:
    """Tell whether offsets count the last character: whether more mentions agree with it than not."""
    votes = 0
    for sentence in root.iter("sentence"):
        text = sentence.get("text", "")
        for entity in sentence.iter("entity"):
            found = re.fullmatch(r"(\d{1,9})-(\d{1,9})", entity.get("charOffset", ""))
            if found:
                start, end = int(found[1]), int(found[2])
                votes += (text[start : end + 1] == entity.get("text")) - (text[start:end] == entity.get("text"))
    return votes > 0


def _sentence(
    document: str,
    sentence: Element,
    place: Path,
    type_: str,
    inclusive: bool,
    problems: list[Problem],
    notes: Counter[str],
) -> ListedSentence:
    id_, text = sentence.get("id", ""), sentence.get("text", "")
    entities: dict[str, Entity] = {}
    for element in sentence.iter("entity"):
        notes["mentions"] += 1
        try:
            entity = _entity(element, text, type_, inclusive)
            if entity.id in entities:
                raise DataError(f"the entity {entity.id} is given twice.")
        except DataError as error:
            problems.append(Problem(f"{place}: sentence {id_}: {error}"))
            continue
        entities[entity.id] = entity
        notes["mentions agreeing"] += 1
        notes["mentions in several pieces"] += element.get("charOffset", "").count("-") > 1
    pairs = []
    for element in sentence.iter("pair"):
        notes["pairs"] += 1
        pair = Pair(element.get("id", ""), element.get("e1", ""), element.get("e2", ""), dict(element.attrib))
        absent = [argument for argument in (pair.head, pair.tail) if argument not in entities]
        if absent:
            why = f"the pair {pair.id} has the argument '{absent[0]}', which is no entity of the sentence."
            problems.append(Problem(f"{place}: sentence {id_}: {why}"))
        elif pair.head == pair.tail:
            why = f"the pair {pair.id} has the entity {pair.head} for both arguments; two entities are wanted."
            problems.append(Problem(f"{place}: sentence {id_}: {why}"))
        else:
            pairs.append(pair)
    return ListedSentence(
        document, id_, SplitDocument.whole(Document(id_, text, tuple(entities.values()))), tuple(pairs)
    )


def _entity(element: Element, text: str, type_: str, inclusive: bool) -> Entity:
    """Return the entity of an element.

    Raises:
        DataError: malformed offsets, or a mention that is not its characters.
    """
    id_, given, mention = element.get("id", ""), element.get("charOffset", ""), element.get("text", "")
    if not _OFFSET.fullmatch(given):
        raise DataError(f"the entity {id_} has the charOffset '{given}'; START-END is wanted.")
    pieces = [tuple(map(int, piece.split("-"))) for piece in re.split("[;,]", given)]
    start, end = pieces[0][0], pieces[-1][1] + inclusive
    if not start < end <= len(text):
        raise DataError(
            f"the entity {id_} is at {given}, outside the sentence of {count_of(len(text), 'character')}, or empty."
        )
    found = " ".join(text[a : b + inclusive] for a, b in pieces)
    if _squeezed(found) != _squeezed(mention):
        raise DataError(f"the entity {id_} is '{mention}', but the sentence has '{found}' at {given}.")
    return Entity(id_, type_, start, end, text[start:end])


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)
