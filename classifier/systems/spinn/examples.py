"""Instances as SPINN reads them: trees, word numbers, marks and distances, put together to batches.

In: instances, their trees and a vocabulary. Out: :class:`Examples`, which give the
:class:`~classifier.systems.spinn.network.Leaves` and the schedule of any batch. The leaf of an entity has a learned
vector that says which entity it is. To it comes the mean of the vectors of the words of the mention, where the instance
shows them: with the indicators ``tags`` it does, with ``replace`` and ``blind`` it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.systems.spinn.network import DISTANCES, Leaves
from classifier.systems.spinn.schedule import StackPlan, schedule
from classifier.systems.spinn.sources import HEAD, TAIL
from classifier.systems.spinn.trees import Tree
from classifier.systems.spinn.words import Vocabulary
from featstore.records import Instance

_POOL = 50  # batches that are sorted by length together
_EXACT = 5  # words up to which a distance has a bucket of its own
_FAR = 10  # the last bucket on either side

Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Example:
    tree: Tree
    words: NDArray[np.int64]
    marks: NDArray[np.int64]
    distances: NDArray[np.int64]
    surfaces: tuple[NDArray[np.int64], NDArray[np.int64]]  # fixed words of either mention


class Examples:
    """Instances by position, for batches."""

    def __init__(self, instances: Sequence[Instance], trees: Sequence[Tree], vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._examples = [_example(*each, vocabulary) for each in zip(instances, trees, strict=True)]
        self._lengths = np.array([len(tree.words) for tree in trees], np.int64)

    def __len__(self) -> int:
        return len(self._examples)

    def batch(self, positions: Positions) -> tuple[Leaves, StackPlan, Positions]:
        """Return the leaves and the schedule of a batch, and its positions in the order of the network's scores."""
        plan = schedule([self._examples[position].tree for position in positions])
        ordered = positions[plan.order]
        chosen = [self._examples[position] for position in ordered]
        words = np.concatenate([example.words for example in chosen])
        first_learned = len(self._vocabulary.fixed)
        is_fixed = words < first_learned
        vectors = np.zeros((len(words), self._vocabulary.vectors.shape[1]), np.float32)
        vectors[is_fixed] = self._vocabulary.vectors[words[is_fixed]]
        marks = np.concatenate([example.marks for example in chosen])
        owner = np.repeat(np.arange(len(chosen)), [len(example.words) for example in chosen])
        for row in np.flatnonzero(marks):
            surface = chosen[owner[row]].surfaces[marks[row] - 1]
            if len(surface):
                vectors[row] = self._vocabulary.vectors[surface].mean(0, dtype=np.float32)
        leaves = Leaves(
            vectors=vectors,
            learned=np.where(is_fixed, -1, words - first_learned),
            marks=marks,
            distances=np.concatenate([example.distances for example in chosen]),
        )
        return leaves, plan, ordered

    def shuffled(self, size: int, generator: np.random.Generator) -> list[Positions]:
        """Return all positions in batches of ``size``, in random order; those of a batch are about equally long."""
        order = generator.permutation(len(self))
        batches: list[Positions] = []
        for start in range(0, len(order), _POOL * size):
            pool = order[start : start + _POOL * size]
            pool = pool[np.argsort(self._lengths[pool], kind="stable")]
            batches += np.split(pool, range(size, len(pool), size))
        return [batches[number] for number in generator.permutation(len(batches))]

    def by_length(self, size: int) -> list[Positions]:
        """Return all positions in batches of ``size``, the shortest first."""
        order = np.argsort(self._lengths, kind="stable")
        return np.split(order, range(size, len(order), size)) if len(order) else []


def _example(instance: Instance, tree: Tree, vocabulary: Vocabulary) -> _Example:
    marks = np.array([(word == HEAD) + 2 * (word == TAIL) for word in tree.words], np.int64)
    surfaces = _surface(instance, instance.head, vocabulary), _surface(instance, instance.tail, vocabulary)
    return _Example(tree, vocabulary.encode(tree.words), marks, distances(marks), surfaces)


def _surface(instance: Instance, span: tuple[int, int], vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Return the numbers of those words of a mention that have a fixed vector."""
    words = [instance.tokens[row].lower() for row in instance.layout[slice(*span)] if row >= 0]
    numbers = vocabulary.encode(words)
    return numbers[numbers < len(vocabulary.fixed)]


def distances(marks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bucket of the distance of each leaf to the nearest leaf of either entity. Shape: (n,) -> (n, 2).

    Up to five words each distance has a bucket; beyond, the buckets grow by half an octave. Bucket 10 is the entity
    itself, the smaller ones are left of it.
    """
    size = len(marks)
    buckets = np.full((size, 2), DISTANCES - 1, np.int64)
    for column, mark in enumerate((1, 2)):
        places = np.flatnonzero(marks == mark)
        if len(places):
            apart = np.arange(size)[:, None] - places
            nearest = apart[np.arange(size), np.abs(apart).argmin(1)]
            far = np.abs(nearest)
            steps = np.where(far > _EXACT, _EXACT + 1 + np.floor(2 * np.log2(np.maximum(far, 1) / _EXACT)), far)
            buckets[:, column] = _FAR + np.sign(nearest) * np.minimum(steps, _FAR).astype(np.int64)
    return buckets
