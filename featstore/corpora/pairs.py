"""Candidate pairs: documents with entities to instances.

In: documents, and which types of entity make a pair. Out: one instance for each pair, marked. The readers of
document corpora use it, and so does extraction, which has documents and no labels.

A pair whose mentions lie in one sentence is seen in that sentence; one whose mentions do not (a corpus lists it) is
seen in the whole stretch from the first of its sentences to the last.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from featstore.corpora.mark import Marking, Mention, mark
from featstore.corpora.text import Sentence, SentenceSpans, Span, split_sentences, tokenise
from featstore.documents import Document, Entity, Problem
from featstore.errors import DataError
from featstore.records import Instance, known_key

# The types that the paper's tags name; any other type is written in lower case.
TAG_TYPES = {"chemical": "chem", "disease": "dise", "gene-y": "gene", "gene-n": "gene", "protein": "gene"}


def tag_type(entity_type: str) -> str:
    """Return a type as the tags spell it: ``CHEMICAL`` is ``chem``, ``GENE-Y`` is ``gene``, ``Drug`` is ``drug``."""
    lower = entity_type.lower()
    return TAG_TYPES.get(lower, lower)


def masking_word(kind: str) -> str:
    """Return the word that replaces a mention of a type (as the tags spell it) where the corpus has none of its own."""
    return f"@{ {'dise': 'DISEASE', 'chem': 'CHEMICAL'}.get(kind, kind.upper()) }$"


def mention(entity: Entity, words: Mapping[str, str]) -> Mention:
    """Return an entity as :func:`mark` takes it."""
    kind = tag_type(entity.type)
    return Mention((entity.start, entity.end), kind, words.get(kind) or masking_word(kind))


@dataclass(frozen=True, slots=True)
class PairTypes:
    """Which entities make a pair, and the words that replace them.

    Attributes:
        head: the entity types of the first member.
        tail: the entity types of the second.
        words: type as the tags spell it -> the word that replaces a mention, where the corpus has its own.
        kinds: the pairs of types that are taken, the type of the head first; empty: each with each.
    """

    head: frozenset[str]
    tail: frozenset[str]
    words: Mapping[str, str] = field(default_factory=dict)
    kinds: frozenset[tuple[str, str]] = frozenset()

    def take(self, head: str, tail: str) -> bool:
        """Tell whether an entity of the one type and one of the other make a pair, in this order."""
        allowed = (head, tail) in self.kinds if self.kinds else True
        return allowed and head in self.head and tail in self.tail


@dataclass(slots=True)
class SplitDocument:
    """A document with its sentences; each stretch of it is tokenised once, when a pair first asks for it."""

    document: Document
    sentences: SentenceSpans
    edges: list[int]
    by_start: list[Entity]
    tokenised: dict[Span, tuple[Sentence, str]]

    @classmethod
    def of(cls, document: Document) -> SplitDocument:
        """Split a document."""
        spans = [(e.start, e.end) for e in document.entities]
        sentences, edges = split_sentences(document.text, spans), sorted({e for span in spans for e in span})
        return cls(document, sentences, edges, sorted(document.entities, key=_start), {})

    @classmethod
    def whole(cls, document: Document) -> SplitDocument:
        """Take a document for one sentence, because its corpus says that it is one."""
        edges = sorted({edge for e in document.entities for edge in (e.start, e.end)})
        spans = SentenceSpans(((0, len(document.text)),), glued=0)
        return cls(document, spans, edges, sorted(document.entities, key=_start), {})

    def sentences_of(self, head: Entity, tail: Entity) -> tuple[Span, int]:
        """Return the characters of the sentences that hold both mentions, and how many sentences they are."""
        return self.sentences.around(min(head.start, tail.start), max(head.end, tail.end) - 1)

    def sentence_of(self, entity: Entity) -> Span:
        """Return the characters of the sentence in which a mention begins."""
        return self.sentences.around(entity.start, entity.start)[0]

    def entities_in(self, span: Span) -> list[Entity]:
        """Return the mentions that lie in a stretch, by where they begin."""
        begin, end = (bisect_left(self.by_start, edge, key=_start) for edge in span)
        return [entity for entity in self.by_start[begin:end] if entity.end <= span[1]]

    def tokens_of(self, span: Span) -> tuple[Sentence, str]:
        """Return a stretch tokenised, and its group: the hex key of its plain tokens."""
        if span not in self.tokenised:
            inside = self.edges[bisect_right(self.edges, span[0]) : bisect_left(self.edges, span[1])]
            sentence = tokenise(self.document.text, span, [(edge, edge) for edge in inside])
            self.tokenised[span] = sentence, known_key(sentence.tokens).hex()
        return self.tokenised[span]

    def candidates(self, types: PairTypes) -> Iterator[tuple[Entity, Entity]]:
        """Yield all pairs of the wanted types whose mentions lie in one sentence, in the order of the corpus.

        Where a type may be head and tail, each two mentions make one pair, the earlier in the text as head.
        """
        tails: defaultdict[Span, list[Entity]] = defaultdict(list)
        for entity in self.document.entities:
            if entity.type in types.tail:
                tails[self.sentence_of(entity)].append(entity)
        for head in self.document.entities:
            if head.type in types.head:
                for tail in tails[self.sentence_of(head)]:
                    if types.take(head.type, tail.type) and _in_order(head, tail, types):
                        yield head, tail

    def instance(
        self,
        id_: str,
        head: Entity,
        tail: Entity,
        types: PairTypes,
        marking: Marking,
        *,
        label: str | None = None,
        source: Mapping[str, str] | None = None,
    ) -> Instance:
        """Return the instance of one pair; without ``source`` it names the document and the two entities.

        Raises:
            DataError: a mention holds no word; the text names the document and the entity.
        """
        span = self.sentences_of(head, tail)[0]
        sentence, group = self.tokens_of(span)
        first, second = mention(head, types.words), mention(tail, types.words)
        others = [mention(e, {}) for e in self.entities_in(span)] if marking.indicators == "blind" else []
        try:
            marked = mark(sentence, first, second, marking, others)
        except DataError as error:
            raise DataError(f"document {self.document.id}, entities {head.id} and {tail.id}: {error}") from error
        return Instance(
            id=id_,
            tokens=marked.tokens,
            layout=marked.layout,
            tags=marked.tags,
            head=marked.head,
            tail=marked.tail,
            head_type=first.type,
            tail_type=second.type,
            label=label,
            split=self.document.split,
            group=group,
            offsets=marked.offsets,
            source=source or {"document": self.document.id, "head": head.id, "tail": tail.id},
        )


def _start(entity: Entity) -> int:
    return entity.start


def _in_order(head: Entity, tail: Entity, types: PairTypes) -> bool:
    """Tell whether this order of two entities is the pair, and not its mirror image or an entity with itself."""
    if types.take(tail.type, head.type):
        return (head.start, head.end, head.id) < (tail.start, tail.end, tail.id)
    return True


def instances_from_documents(
    documents: Iterable[Document], types: PairTypes, marking: Marking, problems: list[Problem], *, prefix: str = ""
) -> Iterator[Instance]:
    """Yield an unlabelled instance for each candidate pair of each document.

    Args:
        types: which entities make a pair.
        marking: indicators and context.
        problems: is added to where a pair is left out, because a mention of it holds no word.
        prefix: what each id begins with; ``DOCUMENT:HEAD:TAIL`` follows.
    """
    for document in documents:
        split = SplitDocument.of(document)
        for head, tail in split.candidates(types):
            try:
                yield split.instance(f"{prefix}{document.id}:{head.id}:{tail.id}", head, tail, types, marking)
            except DataError as error:
                problems.append(Problem(str(error), document.place))
