"""The records of texts: a document with its entities, and the relations that an input states or a model finds in it.

They are plain frozen data: what formats and corpora read, what the tagger and the extraction add to, and what formats
write, so that none needs to know another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Entity:
    """A mention in a document.

    Attributes:
        id: its id within the document, as the corpus gives it (``T12``).
        type: its type, as the corpus gives it (``CHEMICAL``, ``GENE-Y``).
        start, end: its first character in ``Document.text``, and the one after its last.
        text: the mention; equals ``Document.text[start:end]``.
        concept: what the mention means, as an id of some vocabulary (``MESH:D001241``), where the input says it.
    """

    id: str
    type: str
    start: int
    end: int
    text: str
    concept: str | None = None


@dataclass(frozen=True, slots=True)
class StatedRelation:
    """A relation that an input states, as it states it: nothing of it has been checked.

    Attributes:
        label: its type.
        arguments: ids of entities or, where the input relates what they mean, concepts; two if all is well.
        line: the line it stands in, where the format has lines.
    """

    label: str
    arguments: tuple[str, ...]
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document's text: its title, its abstract, a paragraph.

    Attributes:
        start, end: its first character in ``Document.text``, and the one after its last.
        kind: ``title``, ``abstract``, ``paragraph``, ..; empty if it has no kind.
        section: the heading that it stands under (``METHODS``); empty if there is none.
    """

    start: int
    end: int
    kind: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A place of an input that is not what its format says; the rest was read.

    Attributes:
        why: what was found, and what is allowed or was done.
        place: the file and, where there are lines, the line; empty if ``why`` names it.
        kind: what happened there, in a few words, to count by (``mention left out``).
        lost: whether something was left out.
    """

    why: str
    place: str = ""
    kind: str = "place left out"
    lost: bool = True

    @property
    def text(self) -> str:
        """The place and what is wrong with it."""
        return f"{self.place}: {self.why}" if self.place else self.why

    @classmethod
    def of(cls, error: Exception) -> Problem:
        """Return the problem that an error tells of."""
        return cls(str(error))


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its entities.

    Two documents are equal if their id, text, entities and split are; what else is known of them is not compared.

    Attributes:
        id: the document's id (a PubMed id).
        text: the whole text; all character offsets run over it.
        entities: the mentions, in the order of the corpus.
        split: ``train``, ``dev``, ``test``, or None.
        bioc: the document as BioC JSON has it, if it was read from BioC. Its passages, infons and relations are
            written again as they were.
        collection: all that the BioC collection has besides documents: its source, date, key and infons.
        passages: its parts in the order of the text, where its format knows them and is not BioC.
        relations: the relations that the input states.
        place: the file and line that it was read from, for messages about it; empty if it was not read.
        problems: what was left out of it or changed as it was read.
        unread: sentences in which no tagger looked for mentions, because they can hardly hold a pair to relate.
    """

    id: str
    text: str
    entities: tuple[Entity, ...]
    split: str | None = None
    bioc: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    collection: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    passages: tuple[Passage, ...] = field(default=(), compare=False)
    relations: tuple[StatedRelation, ...] = field(default=(), compare=False)
    place: str = field(default="", compare=False, repr=False)
    problems: tuple[Problem, ...] = field(default=(), compare=False, repr=False)
    unread: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Relation:
    """What a model says of one pair of entities; spans are half-open, in characters of ``Document.text``.

    Attributes:
        head: the first entity.
        tail: the second entity.
        label: the label that is given to the pair.
        probability: of ``label``.
        probabilities: of all labels.
        sentence: span of the stretch of text that the model saw.
        attention: (start, end, weight) of each token that the model saw, in the order of the text; empty unless it
            was asked for.
    """

    head: Entity
    tail: Entity
    label: str
    probability: float
    probabilities: Mapping[str, float]
    sentence: tuple[int, int]
    attention: tuple[tuple[int, int, float], ...] = ()
