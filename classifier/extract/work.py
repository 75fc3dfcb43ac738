"""Documents and pairs on their way through a model.

In: candidates, marked one by one. Out: chunks of them that are scored at once, and, when all pairs of a document have
been scored, what the model says of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from classifier.data.pairing import Pairing
from classifier.extract.candidates import Candidate
from classifier.extract.reasons import why_nothing
from classifier.extract.wanted import Extraction, Wanted, likeliest
from featstore.corpora.pairs import SplitDocument
from featstore.formats import BadDocument
from featstore.records import Document, Instance, Relation

WINDOW_TOKENS = 16384  # of distinct sentences: two of the encoders' batches
MOST_PAIRS = 4096  # scored at once


@dataclass(slots=True)
class Work:
    """A document whose pairs are being scored.

    Attributes:
        document: the document.
        split: the document as the model sees it, its mentions named by the model's types, split into sentences.
        candidates: its pairs.
        relations: those of the pairs that were scored so far.
        lost: whether memory had no room for one of its sentences.
    """

    document: Document
    split: SplitDocument
    candidates: list[Candidate]
    relations: list[Relation] = field(default_factory=list)
    lost: bool = False


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
        self.tokens = 0
        self._sentences: set[bytes] = set()

    def add(self, pair: MarkedPair) -> None:
        self.pairs.append(pair)
        if pair.instance.key not in self._sentences:
            self._sentences.add(pair.instance.key)
            self.tokens += len(pair.instance.tokens)

    def is_full_before(self, instance: Instance) -> bool:
        """Whether what is here should be scored before this pair comes; the pairs of a sentence stay together."""
        if len(self.pairs) >= MOST_PAIRS:
            return True
        return self.tokens >= WINDOW_TOKENS and instance.key not in self._sentences


def finish(work: Work | BadDocument, wanted: Wanted, pairing: Pairing) -> Extraction | BadDocument:
    """Return what the model says of a document whose pairs have all been scored."""
    if isinstance(work, BadDocument):
        return work
    document, pairs = work.document, len(work.candidates)
    if work.lost:
        return BadDocument(document.id, "", "memory has no room to encode one of its sentences.")
    relations = likeliest(work.relations, wanted.top)
    if not relations:
        return Extraction(document, (), pairs, why_nothing(document, pairing, wanted, pairs))
    if document is not work.split.document:
        own = {entity.id: entity for entity in document.entities}
        relations = tuple(replace(r, head=own[r.head.id], tail=own[r.tail.id]) for r in relations)
    return Extraction(document, relations, pairs)
