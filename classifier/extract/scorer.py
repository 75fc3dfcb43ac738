"""A model's judgement of the pairs of documents: which there are, how each is marked, and how likely each label is.

In: documents with mentions, and a model with its encoders at work. Out: each document's relations, in its
:class:`~classifier.extract.work.Work`. :mod:`classifier.extract.extractor` decides which documents are scored together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from classifier.entities.encoding import Encoding
from classifier.extract.candidates import find_candidates, seen_by
from classifier.extract.wanted import Wanted, relation_of
from classifier.extract.work import Chunk, MarkedPair, Work
from classifier.training.predictions import Predictions
from featstore.corpora.mark import Marking
from featstore.corpora.pairs import SplitDocument
from featstore.documents import Document
from featstore.errors import ResourceError
from featstore.featurize.threads import running_threads
from featstore.records import Instance
from featstore.stores import FeatureStore

if TYPE_CHECKING:  # torch takes a second to import, and only a model that is loaded needs it
    from classifier.systems.saved import AnyModel


class Scorer:
    """Scores pairs with a model.

    Args:
        checkpoint: the trained head, or the fitted system.
        threads: threads of the matrix products.
    """

    def __init__(self, checkpoint: AnyModel, threads: int) -> None:
        self._checkpoint, self._threads = checkpoint, threads

    @property
    def marking(self) -> Marking:
        """How pairs are marked."""
        corpus, pairing = self._checkpoint.corpus, self._checkpoint.pairing
        masked = pairing is not None and pairing.masks(corpus.indicators)
        return Marking(corpus.indicators, corpus.context, masked)

    def begin(self, document: Document, wanted: Wanted) -> Work:
        """Return a document with its candidates, none of which is scored; the model must say what makes a pair."""
        pairing = self._checkpoint.pairing
        assert pairing is not None
        split = SplitDocument.of(seen_by(pairing, document, dict(wanted.types)))
        candidates, problems = find_candidates(split, pairing, wanted.max_distance)
        return Work(document, wanted, split, candidates, problems=problems)

    def pairs(self, work: Work) -> Iterator[MarkedPair]:
        """Mark the pairs of a document, one after the other: in the tagged context each holds its whole sentence."""
        marking = self.marking
        for c in work.candidates:
            id_ = f"{work.split.document.id}:{c.head.id}:{c.tail.id}"
            yield MarkedPair(work, c, work.split.instance(id_, c.head, c.tail, c.types, marking))

    def score(self, chunk: Chunk, encoding: Encoding) -> None:
        """Give the pairs of a chunk their relations, and empty it."""
        filled, lost = self._encode([pair.instance for pair in chunk.pairs], encoding)
        for pair in chunk.pairs:
            pair.work.scored += 1
            pair.work.lost |= pair.instance.key in lost
        pairs = [pair for pair in chunk.pairs if pair.instance.key not in lost]
        if pairs:
            predictions = self._predict([pair.instance for pair in pairs], filled)
            for pair, row, attention in zip(pairs, predictions.probabilities, predictions.attention, strict=True):
                wanted, relations = pair.work.wanted, pair.work.relations
                if relation := relation_of(pair.candidate, pair.instance, self._checkpoint, row, attention, wanted):
                    relations.append(relation)
        chunk.clear()

    def classify(self, instances: Sequence[Instance], encoding: Encoding) -> Predictions:
        """Score pairs that are marked already.

        Raises:
            ResourceError: memory has no room to encode one of their sentences.
        """
        filled, lost = self._encode(instances, encoding)
        if lost:
            raise ResourceError(f"memory has no room to encode {len(lost):,} of the sentences.")
        return self._predict(instances, filled)

    def _encode(self, instances: Sequence[Instance], encoding: Encoding) -> tuple[list[FeatureStore], set[bytes]]:
        """Return sets that hold the sentences of ``instances``, and the keys of those that memory had no room for."""
        return encoding.fill({instance.key: instance.tokens for instance in instances}, self._checkpoint.features)

    def _predict(self, instances: Sequence[Instance], filled: Sequence[FeatureStore]) -> Predictions:
        from classifier.systems.saved import scored

        with running_threads(self._threads):
            return scored(self._checkpoint, instances, filled)
