"""The vectors of a corpus part, by the number of the sentence.

In: open feature sets and the distinct sentences that will be asked for. Out: the rows of any of them, feature by
feature, as stored (float16 or float32). Features that fit the memory budget are read once, in the order of the
sentences, and held in one matrix each. The others are read from their sets batch by batch. All vectors are checked:
there must be one row for each token, and every number must be finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classifier.data.features import Feature, FeatureSpec, feature_spec, layer_places
from featstore.errors import DataError, MismatchError, count_of
from featstore.ragged import Ragged
from featstore.records import Instance
from featstore.stores import FeatureStore

RAM_BUDGET = 4 << 30
_CHUNK = 1024  # sentences read at a time


@dataclass(frozen=True, slots=True, eq=False)
class DistinctSentences:
    """The distinct sentences of some instances.

    Attributes:
        keys: their keys, in the order of first appearance.
        lengths: their tokens. Shape: (S,) int64.
        of_instance: the sentence of each instance. Shape: (n,) int64.
        names: an instance of each, for messages.
    """

    keys: tuple[bytes, ...]
    lengths: NDArray[np.int64]
    of_instance: NDArray[np.int64]
    names: tuple[str, ...]

    @classmethod
    def of(cls, instances: Sequence[Instance]) -> DistinctSentences:
        numbers: dict[bytes, int] = {}
        first: list[Instance] = []
        of_instance = np.zeros(len(instances), dtype=np.int64)
        for n, instance in enumerate(instances):
            number = numbers.setdefault(instance.key, len(numbers))
            if number == len(first):
                first.append(instance)
            of_instance[n] = number
        lengths = np.array([len(instance.tokens) for instance in first], dtype=np.int64)
        return cls(tuple(numbers), lengths, of_instance, tuple(instance.id for instance in first))


class Vectors:
    """The vectors of ``sentences`` for several features.

    Attributes:
        sentences: see below.
        shards: the shard of each sentence in the widest set that is not held in memory; zeros if all are.
            Shape: (S,) int64.

    Args:
        features: what ``--features`` asks for.
        stores: an open feature set for each.
        sentences: all sentences that will be asked for.
        ram_budget: bytes that may be held in memory; features are held in the order given while they fit.

    Raises:
        MismatchError: a sentence has another number of rows than tokens.
        DataError: a vector holds NaN or infinity.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        stores: Sequence[FeatureStore],
        sentences: DistinctSentences,
        ram_budget: int = RAM_BUDGET,
    ) -> None:
        self.sentences = sentences
        self.specs = tuple(feature_spec(f, store.meta) for f, store in zip(features, stores, strict=True))
        self._offsets = np.concatenate([[0], np.cumsum(sentences.lengths)])
        self._sources: list[Callable[[NDArray[np.int64]], Tensor]] = []
        self.shards = np.zeros(len(sentences.keys), dtype=np.int64)
        widest = 0
        tokens = int(self._offsets[-1])
        for spec, store in zip(self.specs, stores, strict=True):
            reader = _Reader(spec, store, sentences)
            need = tokens * spec.dim * spec.layers * np.dtype(spec.dtype).itemsize
            if need <= ram_budget:
                ram_budget -= need
                self._sources.append(_held(spec, reader, self._offsets))
            else:
                self._sources.append(reader)
                if need > widest:
                    widest, self.shards = need, store.shards_of(sentences.keys)

    def rows(self, numbers: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Return the rows of sentences, one sentence after the other.

        Shape: numbers (s,) -> for each feature (sum T, layers * D), dtype as stored.
        """
        return tuple(source(numbers) for source in self._sources)

    def moments(self, numbers: NDArray[np.int64]) -> list[tuple[Tensor, Tensor]]:
        """Return mean and standard deviation of each column over all tokens of sentences ``numbers``.

        Shape: (layers * D,) float32, two for each feature.
        """
        totals = [torch.zeros(2, spec.dim * spec.layers, dtype=torch.float64) for spec in self.specs]
        for start in range(0, len(numbers), _CHUNK):
            for total, rows in zip(totals, self.rows(numbers[start : start + _CHUNK]), strict=True):
                values = rows.double()
                total += torch.stack([values.sum(0), values.square().sum(0)])
        count = int(self.sentences.lengths[numbers].sum())
        means = [total[0] / count for total in totals]
        return [
            (mean.float(), (total[1] / count - mean.square()).clamp_(min=0).sqrt().float())
            for mean, total in zip(means, totals, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads sentences from a feature set, checks them and takes the layers that were asked for."""

    spec: FeatureSpec
    store: FeatureStore
    sentences: DistinctSentences

    def __call__(self, numbers: NDArray[np.int64]) -> Tensor:
        vectors = self.store.read([self.sentences.keys[n] for n in numbers])
        self._check(numbers, vectors)
        return torch.from_numpy(self._layers(vectors.values))

    def _layers(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Shape: (R, stored columns) -> (R, layers * D)."""
        layers = values.reshape(len(values), -1, self.spec.dim)
        places = layer_places(self.spec.layer, self.store.meta)
        if places is None:
            average: NDArray[np.floating] = layers.mean(1, dtype=np.float32).astype(values.dtype)
            return average
        if places == tuple(range(layers.shape[1])):
            return values
        if len(places) == 1:
            return layers[:, places[0]]
        return layers[:, list(places)].reshape(len(values), -1)

    def _check(self, numbers: NDArray[np.int64], vectors: Ragged) -> None:
        expected = self.sentences.lengths[numbers]
        where = f"the feature {self.spec.name}@{self.spec.identity[:8]}"
        if (vectors.lengths != expected).any():
            n = int(np.argmax(vectors.lengths != expected))
            raise MismatchError(
                f"{where} holds {count_of(vectors.lengths[n], 'row')} for the sentence of instance "
                f"'{self.sentences.names[numbers[n]]}', which has {count_of(expected[n], 'token')}; the vectors do "
                "not belong to this corpus. Remove the feature set and run cli featurize again."
            )
        if not _all_finite(vectors.values):
            rows = ~np.isfinite(vectors.values.astype(np.float32)).all(1)
            n = int(np.searchsorted(vectors.offsets, np.argmax(rows), side="right")) - 1
            raise DataError(
                f"{where} holds NaN or infinity in the sentence of instance '{self.sentences.names[numbers[n]]}' "
                f"(token {int(np.argmax(rows)) - int(vectors.offsets[n])}); remove the feature set and run cli "
                "featurize again, with --dtype float32 if the encoder's values exceed 65504."
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """Holds the rows of all sentences in one matrix.

    It knows nothing of the :class:`Vectors` that own it: in a circle of references the matrix would stay in memory
    until Python looks for circles, which work on few and large objects puts off for long.
    """

    values: Tensor
    offsets: NDArray[np.int64]

    def __call__(self, numbers: NDArray[np.int64]) -> Tensor:
        starts = self.offsets[numbers]
        lengths = self.offsets[numbers + 1] - starts
        # Runs of consecutive rows, joined.
        shift = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
        return self.values.index_select(0, torch.from_numpy(np.arange(len(shift)) + shift))


def _held(spec: FeatureSpec, reader: _Reader, offsets: NDArray[np.int64]) -> _Held:
    """Read all sentences into one matrix; Shape: (sum T, layers * D)."""
    values = torch.empty(int(offsets[-1]), spec.dim * spec.layers, dtype=getattr(torch, spec.dtype))
    for start in range(0, len(offsets) - 1, _CHUNK):
        stop = min(start + _CHUNK, len(offsets) - 1)
        values[offsets[start] : offsets[stop]] = reader(np.arange(start, stop))
    return _Held(values, offsets)


def _all_finite(values: NDArray[np.floating]) -> bool:
    """Return whether all elements are finite, by the bits of the exponent, because NumPy's own test is slow in
    float16."""
    half = values.dtype == np.float16
    infinity = 0x7C00 if half else 0x7F800000
    bits: NDArray[np.unsignedinteger] = values.view(np.uint16 if half else np.uint32)
    return not values.size or int((bits & (0x7FFF if half else 0x7FFFFFFF)).max()) < infinity
