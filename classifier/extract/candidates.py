"""The candidate pairs of a document: what a model is asked about.

In: a document and how the pairs were made that the model was trained on. Out: all pairs of the types that it knows in
one sentence, in the order of the document, checked so that each can be marked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from featstore.corpora.pairs import PairTypes, SplitDocument, tag_type
from featstore.documents import Document, Entity, Problem
from featstore.errors import DataError
from featstore.pairing import Pairing
from featstore.types import kind_of

LONGEST = 8192  # tokens; what is longer is no sentence, and would take gigabytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair.

    Attributes:
        head: the first entity.
        tail: the second entity.
        types: the kind of pair that it is.
        sentence: characters of its sentence.
    """

    head: Entity
    tail: Entity
    types: PairTypes
    sentence: tuple[int, int]


def seen_by(pairing: Pairing, document: Document, renamed: Mapping[str, str]) -> Document:
    """Return a document whose mentions are named by the model's types where they are of one of them.

    Args:
        pairing: the model's types of pairs.
        document: the document as it was read; it is returned itself if nothing changes.
        renamed: the user's own names for types (:mod:`featstore.types`).
    """
    kinds = {entity.type: kind_of(entity.type, pairing.types, renamed) for entity in document.entities}
    if all(kind in (None, tag_type(type_)) for type_, kind in kinds.items()):
        return document
    entities = (replace(entity, type=kinds[entity.type] or entity.type) for entity in document.entities)
    return replace(document, entities=tuple(entities))


def find_candidates(
    split: SplitDocument, pairing: Pairing, max_distance: int | None = None
) -> tuple[list[Candidate], list[Problem]]:
    """Return the pairs of a document, and what is left out: mentions without a word, sentences that are too long.

    Args:
        split: the document.
        pairing: types of pairs, and the words that replace mentions.
        max_distance: at most so many tokens between the two mentions; None: any number.
    """
    found: list[Candidate] = []
    problems: dict[str, Problem] = {}
    for kinds in pairing.kinds:
        head_types, tail_types = (_types(split.document, kind) for kind in kinds)
        types = PairTypes(head_types, tail_types, pairing.words)
        for head, tail in split.candidates(types):
            span = split.sentences_of(head, tail)[0]
            if problem := _too_long(split, span) or _wordless(split, span, head) or _wordless(split, span, tail):
                problems.setdefault(problem.why, problem)
                continue
            first, second = sorted(_place(split, span, entity) for entity in (head, tail))
            if max_distance is None or second[0] - first[1] <= max_distance:
                found.append(Candidate(head, tail, types, span))
    return found, list(problems.values())


def _types(document: Document, kind: str) -> frozenset[str]:
    """Return the document's entity types that the tags spell ``kind``."""
    return frozenset(entity.type for entity in document.entities if tag_type(entity.type) == kind)


def _place(split: SplitDocument, span: tuple[int, int], entity: Entity) -> tuple[int, int]:
    """Return the tokens of a mention in its sentence."""
    sentence, _ = split.tokens_of(span)
    return sentence.find((entity.start, entity.end))


def _too_long(split: SplitDocument, span: tuple[int, int]) -> Problem | None:
    """Return the problem of a sentence that is too long to be one."""
    tokens = len(split.tokens_of(span)[0].tokens)
    if tokens <= LONGEST:
        return None
    why = (
        f"the sentence at characters {span[0]}-{span[1]} has {tokens:,} tokens, at most {LONGEST:,} are read; a line "
        "break ends a sentence."
    )
    return Problem(why, split.document.place, "pairs of a sentence left out")


def _wordless(split: SplitDocument, span: tuple[int, int], entity: Entity) -> Problem | None:
    """Return the problem of a mention without a word."""
    first, last = _place(split, span, entity)
    if first < last:
        return None
    why = f"the entity {entity.id} at characters {entity.start}-{entity.end} holds no word."
    return Problem(why, split.document.place, "mention left out")


def entity_of(text: str, number: int, given: Entity | tuple[int, int, str]) -> Entity:
    """Return a mention that a caller gives, checked against its text.

    Args:
        text: the text.
        number: of the mention, for its id.
        given: the mention, or its start, end and type.

    Raises:
        DataError: it is empty, outside of the text, or not what stands there.
    """
    if isinstance(given, Entity):
        entity = given
    else:
        start, end, type_ = given
        entity = Entity(f"T{number}", type_, start, end, text[start:end])
    if not 0 <= entity.start < entity.end <= len(text) or entity.text != text[entity.start : entity.end]:
        raise DataError(
            f"the entity {entity.id} at {entity.start}-{entity.end} is empty, outside of the text of {len(text):,} "
            "characters, or not what stands there."
        )
    return entity
