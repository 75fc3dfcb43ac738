"""Documents and pairs on their way through a model.

In: candidates, marked one by one. Out: chunks of them that are scored at once, windows of documents that are done, and
what the model says of each. Chunks and windows are small enough that one takes a few seconds with the slowest encoder,
so that whoever writes the documents down can do so in steps that short. Where they end depends on the documents alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from classifier.extract.candidates import Candidate
from classifier.extract.reasons import why_nothing
from classifier.extract.wanted import Extraction, Wanted, likeliest
from featstore.corpora.pairs import SplitDocument
from featstore.documents import Document, Problem, Relation
from featstore.formats import BadDocument
from featstore.pairing import Pairing
from featstore.records import Instance

WINDOW_TOKENS = 8192  # of distinct sentences, encoded at once; a sixth faster than with half of it
WINDOW_STEPS = 1 << 17  # tokens of all pairs, scored at once
WINDOW_DOCUMENTS = 512


@dataclass(slots=True)
class Work:
    """A document whose pairs are being scored.

    Attributes:
        document: the document.
        wanted: which of its relations are wanted.
        split: the document as the model sees it, its mentions named by the model's types, split into sentences.
        candidates: its pairs.
        relations: those of the pairs that were scored so far.
        scored: how many were.
        lost: whether memory had no room for one of its sentences.
        problems: what was left out as its pairs were found.
    """

    document: Document
    wanted: Wanted
    split: SplitDocument
    candidates: list[Candidate]
    relations: list[Relation] = field(default_factory=list)
    scored: int = 0
    lost: bool = False
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True)
class MarkedPair:
    """A marked candidate.

    Attributes:
        work: its document.
        candidate: the pair.
        instance: the pair, marked.
    """

    work: Work
    candidate: Candidate
    instance: Instance


class Chunk:
    """Pairs that are scored at once, and the tokens of their distinct sentences."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.pairs: list[MarkedPair] = []
        self._tokens = self._steps = 0
        self._sentences: set[bytes] = set()

    def add(self, pair: MarkedPair) -> None:
        self.pairs.append(pair)
        self._steps += len(pair.instance.layout)
        if pair.instance.key not in self._sentences:
            self._sentences.add(pair.instance.key)
            self._tokens += len(pair.instance.tokens)

    @property
    def is_full(self) -> bool:
        """Whether what is here should be scored."""
        return self._tokens >= WINDOW_TOKENS or self._steps >= WINDOW_STEPS

    def is_full_before(self, instance: Instance) -> bool:
        """Whether it should before this pair comes; the pairs of a sentence stay together, if they are not too many."""
        return self._steps >= WINDOW_STEPS or (self.is_full and instance.key not in self._sentences)


def windows(
    groups: Iterable[Sequence[Work | BadDocument]],
    marked: Callable[[Work], Iterable[MarkedPair]],
    score: Callable[[Chunk], None],
) -> Iterator[list[Work | BadDocument]]:
    """Yield documents in windows, all their pairs scored.

    Args:
        groups: documents that were read together; a window ends with one of them.
        marked: gives the pairs of one.
        score: scores a chunk of pairs and empties it.
    """
    window: list[Work | BadDocument] = []
    chunk, is_done = Chunk(), False
    for group in groups:
        window += group
        for pair in (pair for work in group if isinstance(work, Work) for pair in marked(work)):
            if chunk.is_full_before(pair.instance):
                score(chunk)
                is_done = True
            chunk.add(pair)
        if is_done or len(group) > 1 or chunk.is_full or len(window) >= WINDOW_DOCUMENTS:
            score(chunk)
            yield window
            window, is_done = [], False
    score(chunk)
    if window:
        yield window


def finish(work: Work | BadDocument, pairing: Pairing) -> Extraction | BadDocument:
    """Return what the model says of a document whose pairs have all been scored."""
    if isinstance(work, BadDocument):
        return work
    document, pairs = work.document, len(work.candidates)
    if work.lost:
        return BadDocument(document.id, document.place, "memory has no room to encode one of its sentences.")
    relations = likeliest(work.relations, work.wanted.top)
    problems = (*document.problems, *work.problems)
    if not relations:
        return Extraction(document, (), pairs, why_nothing(document, pairing, work.wanted, pairs), problems)
    if document is not work.split.document:
        own = {entity.id: entity for entity in document.entities}
        relations = tuple(replace(r, head=own[r.head.id], tail=own[r.tail.id]) for r in relations)
    return Extraction(document, relations, pairs, problems=problems)
