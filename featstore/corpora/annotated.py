"""Documents with relations to a corpus: the pairs, their labels, and the gold standard.

In: documents whose mentions and relations are known, and what the task is (:class:`RelationTask`). Out: an instance for
each pair of mentions of the task's types in one sentence, labelled by the relations; the gold standard; counts;
problems.

*Relations between concepts* (BC5CDR, BioRED) hold for a document. Each pair of mentions whose concepts are related
carries the label: some of those sentences do not say so, which is the price of annotations that do not say where. The
score runs over documents and concepts (:class:`~featstore.gold.GoldStandard`).

*Nothing is lost silently.* A relation none of whose pairs of mentions lies in one sentence stays in the gold
standard, where it is missed, and is counted in the notes (``gold unreachable test CID``); so does one between types
that the task does not pair. A relation that cannot be one (an unknown label, an argument that the document lacks, three
arguments) becomes a problem and is left out.

*Two labels.* A pair with several labels has all of them in the gold standard; its instance has the one that comes last
among the task's labels.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from featstore.corpora.mark import Marking
from featstore.corpora.pairs import PairTypes, SplitDocument
from featstore.documents import Document, Entity, Problem, StatedRelation
from featstore.errors import DataError
from featstore.gold import GoldPair, GoldRelation, GoldStandard, gold_pair
from featstore.records import Corpus, Instance

NEGATIVE = "NONE"


@dataclass(frozen=True, slots=True)
class RelationTask:
    """What a corpus asks for.

    Attributes:
        positive: the labels of its relations; any other pair is ``NONE``.
        kinds: the pairs of types that may be related, the type of the head first.
        concepts: whether its relations are between concepts, not mentions.
        separators: signs that separate the concepts of a mention that has several.
        ignored: labels that stand in the files and are no part of the task.
    """

    positive: tuple[str, ...]
    kinds: tuple[tuple[str, str], ...]
    concepts: bool = False
    separators: str = ""
    ignored: frozenset[str] = frozenset()

    @property
    def types(self) -> PairTypes:
        """Which entities make a pair."""
        heads, tails = (frozenset(kind[place] for kind in self.kinds) for place in (0, 1))
        return PairTypes(heads, tails, kinds=frozenset(self.kinds))

    def names_of(self, entity: Entity) -> Sequence[str]:
        """Return what a mention is called in the gold standard: its own id, or its concepts."""
        if not self.concepts:
            return (entity.id,)
        if entity.concept is None or entity.concept == "-1":
            return ()
        return re.split(f"[{re.escape(self.separators)}]", entity.concept) if self.separators else (entity.concept,)

    @property
    def related(self) -> frozenset[tuple[str, str]]:
        """The pairs of types that may be related, in either order."""
        return frozenset(self.kinds) | {(tail, head) for head, tail in self.kinds}


@dataclass(frozen=True, slots=True)
class Source:
    """A document and the file that it comes from.

    Attributes:
        document: with its entities, its relations and the part of the corpus that it is in.
        place: the file, as messages name it.
        passages: whether a line break in the text separates two passages, so that no mention may hold one.
    """

    document: Document
    place: Path
    passages: bool = True


@dataclass(slots=True)
class _Found:
    """What is gathered from document to document."""

    instances: list[Instance] = field(default_factory=list)
    relations: list[GoldRelation] = field(default_factory=list)
    pairs: dict[str, tuple[GoldPair, ...]] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)


def corpus_of(
    name: str, sources: Iterable[Source], task: RelationTask, marking: Marking, *, digest: str, problems: list[Problem]
) -> Corpus:
    """Return the corpus of documents with relations.

    Args:
        name: the reader; ids of instances are ``NAME:DOCUMENT:HEAD:TAIL``.
        sources: the documents.
        task: what is related to what.
        marking: indicators and context.
        digest: hash of the files.
        problems: what the reader has found so far.

    Raises:
        DataError: a document is given twice.
    """
    found, known = _Found(), dict[str, Source]()
    for source in sources:
        document = source.document
        if document.id in known:
            raise DataError(
                f"{source.place}: the document {document.id} is given twice, here and in {known[document.id].place}."
            )
        known[document.id] = source
        crossing = [e for e in document.entities if source.passages and "\n" in e.text]
        for entity in crossing:
            why = f"the entity {entity.id} at {entity.start}-{entity.end} lies in two passages"
            problems.append(_problem(source, None, f"{why}; a mention must lie in one."))
        whole = [entity for entity in document.entities if entity not in crossing]
        _add(name, replace(source, document=replace(document, entities=tuple(whole))), task, marking, found, problems)
    return Corpus(
        spec=name,
        name=name,
        instances=tuple(found.instances),
        labels=(NEGATIVE, *task.positive),
        positive=task.positive,
        indicators=marking.indicators,
        context=marking.context,
        digest=digest,
        notes=_in_order(found.notes),
        problems=tuple(problems),
        gold=GoldStandard(tuple(found.relations), found.pairs),
        documents={id_: source.document.split for id_, source in known.items()},
    )


def _add(
    name: str, source: Source, task: RelationTask, marking: Marking, found: _Found, problems: list[Problem]
) -> None:
    """Add the instances and the gold standard of one document."""
    document, notes = source.document, found.notes
    split = SplitDocument.of(document)
    gold: dict[GoldPair, list[str]] = defaultdict(list)
    arguments = types_of(document, task)
    for relation in document.relations:
        try:
            pair = _pair(document, relation, arguments, task)
        except DataError as error:
            problems.append(_problem(source, relation.line, str(error)))
            continue
        if pair is None:
            notes[f"relations that are no part of the task: {relation.label}"] += 1
        elif relation.label in gold[pair]:
            notes["relations stated twice"] += 1
        else:
            gold[pair].append(relation.label)
            notes["relations between types that make no pair"] += not _is_related(relation, arguments, task)
    reached: set[GoldPair] = set()
    for head, tail in split.candidates(task.types):
        pairs = tuple(gold_pair(document.id, *both) for both in product(task.names_of(head), task.names_of(tail)))
        if not pairs:
            notes["pairs of a mention without a concept"] += 1
            continue
        reached.update(pairs)
        labels = [label for pair in pairs for label in gold.get(pair, ())]
        id_ = f"{name}:{document.id}:{head.id}:{tail.id}"
        label = max(labels, key=task.positive.index, default=NEGATIVE)
        try:
            found.instances.append(split.instance(id_, head, tail, task.types, marking, label=label))
        except DataError as error:
            problems.append(_problem(source, None, str(error)))
            continue
        found.pairs[id_] = pairs
        notes["pairs with two gold labels"] += len(set(labels)) > 1
    for pair, labels in gold.items():
        for label in labels:
            found.relations.append(GoldRelation(pair, label, document.split))
            notes[f"gold {document.split} {label}"] += 1
            notes[f"gold unreachable {document.split} {label}"] += pair not in reached
    notes["documents"] += 1
    notes[f"documents {document.split}"] += 1
    notes["mentions"] += len(document.entities)
    notes["mentions agreeing"] += sum(document.text[e.start : e.end] == e.text for e in document.entities)
    notes["sentences"] += len(split.sentences.spans)
    notes["boundaries glued"] += split.sentences.glued


def types_of(document: Document, task: RelationTask) -> Mapping[str, set[str]]:
    """Return all that a relation may name: an id or a concept -> the types of its mentions."""
    types: dict[str, set[str]] = defaultdict(set)
    for entity in document.entities:
        for argument in task.names_of(entity):
            types[argument].add(entity.type)
    return types


def _pair(
    document: Document, relation: StatedRelation, arguments: Mapping[str, set[str]], task: RelationTask
) -> GoldPair | None:
    """Return the pair that a relation states; None if it is no part of the task.

    Raises:
        DataError: it cannot be one; the text says what was found and what is allowed.
    """
    if relation.label in task.ignored:
        return None
    if relation.label not in task.positive:
        raise DataError(f"the relation type is '{relation.label}'; {', '.join(task.positive)} are allowed.")
    if len(relation.arguments) != 2:
        given = ", ".join(relation.arguments) or "none"
        raise DataError(
            f"a relation {relation.label} has {len(relation.arguments)} arguments ({given}); two are wanted."
        )
    what = "concept" if task.concepts else "entity"
    for argument in relation.arguments:
        if argument not in arguments:
            raise DataError(
                f"a relation {relation.label} has the argument '{argument}', but no {what} of the document has this id."
            )
    return gold_pair(document.id, *relation.arguments)


def _is_related(relation: StatedRelation, arguments: Mapping[str, set[str]], task: RelationTask) -> bool:
    """Tell whether the task relates the types of a relation's arguments."""
    first, second = relation.arguments
    return any(both in task.related for both in product(arguments[first], arguments[second]))


def _problem(source: Source, line: int | None, why: str) -> Problem:
    where = f"{source.place}, line {line}" if line else f"{source.place}"
    return Problem(f"{where}: document {source.document.id}: {why}")


def _in_order(notes: Counter[str]) -> dict[str, int]:
    """Return the notes, the gold standard's after the others; of what is missed only what there is."""
    gold = sorted(name for name in notes if name.startswith("gold "))
    others = [name for name in notes if name not in gold]
    return {name: notes[name] for name in (*others, *gold) if notes[name] or "unreachable" not in name}


def with_split(documents: Iterable[Document], split: str | None) -> Iterator[Document]:
    """Yield documents as part of a split."""
    for document in documents:
        yield replace(document, split=split)
