"""The space that the SVMs work in: which features have a column, and the columns of an instance.

In: the names of each instance's features, by family, and averages of stored vectors. Out: for each instance the columns
that it has (sparse, all of weight one) and its averaged vectors (dense), each scaled to length one.

A space is fitted on training instances alone. It keeps the features that enough of them have and, of each family, those
that tell most of the label (chi-squared test), and it remembers mean and deviation of the vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_selection import chi2

from classifier.data.features import parse_features
from classifier.data.vectors import DistinctSentences, Vectors
from classifier.systems.svm.features import FAMILIES, UntaggedPair, features_of, pair_of
from featstore.records import Instance
from featstore.stores import FeatureStore

PARTS = ("head", "tail", "before", "between", "after", "sentence")
_AT_ONCE = 512  # sentences whose vectors are read together
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureNames:
    """What the SVMs read of some instances, before any of it is chosen.

    Attributes:
        names: the features of each instance, by family; see :func:`classifier.systems.svm.features.features_of`.
        averages: the mean vector of each part of the sentence; D is 0 without stored vectors. Shape: (n, 6, D) float32.
    """

    names: Sequence[Mapping[str, Sequence[str]]]
    averages: NDArray[np.float32]

    def take(self, places: NDArray[np.int64]) -> FeatureNames:
        """Return the instances at ``places``."""
        return FeatureNames([self.names[place] for place in places], self.averages[places])


@dataclass(frozen=True, slots=True, eq=False)
class SpaceRows:
    """Instances in a space.

    Attributes:
        families: for each family, the columns that each instance has, as a matrix of ones. Shape: (n, columns) each.
        parts: the standardised averages of each part, scaled to length one. Shape: (n, 6, D) float32.
    """

    families: tuple[sparse.csr_matrix, ...]
    parts: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.parts)

    def take(self, places: NDArray[np.int64]) -> SpaceRows:
        """Return the rows at ``places``."""
        return SpaceRows(tuple(family[places] for family in self.families), self.parts[places])


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Which features have a column.

    Attributes:
        vocabulary: for each family the names of its features, in the order of their columns.
        mean: of each number of the averages, over the training instances. Shape: (6, D) float32.
        deviation: the same; 1 where a number never changes. Shape: (6, D) float32.
    """

    vocabulary: tuple[tuple[str, ...], ...]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def fit(cls, described: FeatureNames, gold: NDArray[np.int64], *, least: int, select: int) -> Space:
        """Choose the features by training instances.

        Args:
            described: the instances.
            gold: the number of the label of each. Shape: (n,).
            least: how many instances must have a feature.
            select: how many features of a family are kept at most.
        """
        vocabulary = []
        for family in FAMILIES:
            lists = [names[family] for names in described.names]
            everything = sorted({name for names in lists for name in names})
            matrix = _columns(lists, everything)
            frequent = np.flatnonzero(np.diff(matrix.tocsc().indptr) >= least)
            if len(frequent) > select:
                told = np.nan_to_num(chi2(matrix[:, frequent], gold)[0])
                # Of features that tell the same, the first in the alphabet is kept.
                frequent = np.sort(frequent[np.argsort(-told, kind="stable")[:select]])
            vocabulary.append(tuple(everything[column] for column in frequent))
        mean = described.averages.mean(0, dtype=np.float64)
        deviation = described.averages.std(0, dtype=np.float64)
        deviation[deviation < 1e-6] = 1.0
        return cls(tuple(vocabulary), mean.astype(np.float32), deviation.astype(np.float32))

    def rows(self, described: FeatureNames) -> SpaceRows:
        """Return instances in this space; features without a column are left out."""
        families = tuple(
            _columns([names[family] for names in described.names], words)
            for family, words in zip(FAMILIES, self.vocabulary, strict=True)
        )
        parts = (described.averages - self.mean) / self.deviation
        lengths = np.linalg.norm(parts, axis=2, keepdims=True)
        return SpaceRows(families, (parts / np.maximum(lengths, 1e-12)).astype(np.float32))


def _columns(lists: Sequence[Sequence[str]], vocabulary: Sequence[str]) -> sparse.csr_matrix:
    """Return a matrix with a one where an instance has the feature; Shape: (n, len(vocabulary))."""
    place = {name: column for column, name in enumerate(vocabulary)}
    rows = [sorted(place[name] for name in names if name in place) for names in lists]
    offsets = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    indices = np.array([column for row in rows for column in row], dtype=np.int32)
    return sparse.csr_matrix((np.ones(len(indices)), indices, offsets), shape=(len(rows), len(vocabulary)))


def describe(instances: Sequence[Instance], features: str, stores: Sequence[FeatureStore]) -> FeatureNames:
    """Return what the SVMs read of instances; their labels are not looked at.

    Args:
        instances: the instances.
        features: what the averages are of, as ``--features`` spells it; empty for none.
        stores: an open feature set for each word of ``features``, which holds the sentences.

    Raises:
        DataError: a mention without a word, or a vector that is not finite.
        MismatchError: a sentence has another number of vectors than tokens.
    """
    pairs = [pair_of(instance) for instance in instances]
    return FeatureNames([features_of(pair) for pair in pairs], _averages(instances, pairs, features, stores))


def _averages(
    instances: Sequence[Instance], pairs: Sequence[UntaggedPair], features: str, stores: Sequence[FeatureStore]
) -> NDArray[np.float32]:
    if not features or not instances:
        return np.zeros((len(instances), len(PARTS), 0), dtype=np.float32)
    sentences = DistinctSentences.of(instances)
    vectors = Vectors(parse_features(features), stores, sentences)
    width = sum(spec.dim * spec.layers for spec in vectors.specs)
    averages = np.zeros((len(instances), len(PARTS), width), dtype=np.float32)
    members: list[list[int]] = [[] for _ in sentences.keys]
    for place, number in enumerate(sentences.of_instance):
        members[number].append(place)
    for start in range(0, len(members), _AT_ONCE):
        numbers = np.arange(start, min(start + _AT_ONCE, len(members)))
        rows = np.concatenate([each.float().numpy() for each in vectors.rows(numbers)], axis=1)
        for number, words in zip(numbers, np.split(rows, np.cumsum(sentences.lengths[numbers])[:-1]), strict=True):
            for place in members[number]:
                averages[place] = _parts(words[list(pairs[place].rows)], pairs[place])
    return averages


def _parts(words: NDArray[np.float32], pair: UntaggedPair) -> NDArray[np.float32]:
    """Return the mean vector of each part of a sentence, zeros for an empty one; Shape: (words, D) -> (6, D)."""
    spans = (pair.head, pair.tail, *pair.sides, (0, len(words)))
    return np.stack([words[slice(*span)].sum(0) / max(span[1] - span[0], 1) for span in spans])
