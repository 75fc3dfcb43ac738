"""Instances and vectors to batches, of about equal lengths, the same for the same seed.

In: instances, their labels and the vectors of their sentences. Out: batches whose vectors are rows of distinct
sentences (a sentence that several pairs share occurs once), and a padded index that builds the sequences from the rows
and the learned tag vectors. Padding therefore costs an integer and not a vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classifier.data.vectors import Vectors
from featstore.errors import DataError, MismatchError, count_of
from featstore.records import Instance

WINDOW = 4  # shards whose sentences are shuffled together when they are read from disk
MOST_STEPS = 8192  # of a batch that is only scored: memory is bounded however long its sentences are
FEWEST = 16  # sequences of such a batch: a head computes no fewer at once (classifier.head.inference.SEQUENCES)
POOL = 32  # batches whose instances are sorted by length together: shuffled enough, and hardly any padding


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The instances that a head scores at once, the longest sequence first.

    Shape: ``rows`` (R, layers * D) for each feature; ``index`` (B, T) int64, see ``Head.forward``; ``lengths`` (B,)
    int64; ``mentions`` (B, 2) int64, the steps at which the two mentions of the pair begin; ``labels`` (B,) int64, -1
    where there is none; ``positions`` (B,), the instances' positions; ``targets`` (B, labels) float32, the probability
    of each label that is to be learnt, or None where it is the label alone.
    """

    rows: tuple[Tensor, ...]
    index: Tensor
    lengths: Tensor
    mentions: Tensor
    labels: Tensor
    positions: NDArray[np.int64]
    targets: Tensor | None = None


class Batcher:
    """Makes batches of ``instances``.

    Args:
        instances: as many, and in the order, as ``vectors.sentences`` was made of.
        vectors: of their sentences.
        labels: all labels; a label's number is its place here.
        tags: names of the learned tag vectors; a vector's number is its place here.

    Raises:
        MismatchError: a layout refers to a place outside its sentence, or to a tag that is not in ``tags``.
        DataError: a label that is not in ``labels``.
    """

    def __init__(
        self, instances: Sequence[Instance], vectors: Vectors, labels: Sequence[str], tags: Sequence[str]
    ) -> None:
        self._vectors = vectors
        self._targets: Tensor | None = None
        numbers = {label: n for n, label in enumerate(labels)}
        self._labels = np.array([_label(instance, numbers) for instance in instances], dtype=np.int64)
        layouts = [_layout(instance, tags) for instance in instances]
        self.lengths = np.array([len(layout) for layout in layouts], dtype=np.int64)
        self._mentions = np.array([each.begins for each in instances], dtype=np.int64).reshape(-1, 2)
        self._offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self._layouts = np.concatenate(layouts) if layouts else np.zeros(0, dtype=np.int64)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The label of each instance, -1 where there is none. Shape: (n,)."""
        return self._labels

    def teach(self, positions: NDArray[np.int64], probabilities: NDArray[np.float32], share: float) -> None:
        """Let batches hold targets between the labels and the probabilities that a teacher gives.

        Args:
            positions: of the instances that are learnt from. Shape: (m,).
            probabilities: of each of their labels. Shape: (m, labels).
            share: of the teacher; the labels have the rest. An instance without a label has the teacher's alone.
        """
        targets = np.eye(probabilities.shape[1], dtype=np.float32)[self._labels]
        shares = np.where(self._labels[positions] < 0, 1, share).astype(np.float32)[:, None]
        targets[positions] = (1 - shares) * targets[positions] + shares * probabilities
        self._targets = torch.from_numpy(targets)

    def shuffled(self, positions: NDArray[np.int64], size: int, seed: Sequence[int], pack: int = 1) -> Iterator[Batch]:
        """Yield each of ``positions`` once, in an order that ``seed`` determines.

        See :func:`bucketed`; vectors that are not held in memory are read a few shards at a time.
        """
        sentences = self._vectors.sentences.of_instance[positions]
        rng = np.random.default_rng(seed)
        for window in shard_windows(self._vectors.shards[sentences], rng, WINDOW):
            part = positions[window]
            for chosen in bucketed(self.lengths[part], sentences[window], size, rng, pack):
                yield self.batch(part[chosen])

    def in_order(self, positions: NDArray[np.int64], size: int) -> Iterator[Batch]:
        """Yield each of ``positions`` once, by length, sentence by sentence: the least work.

        A batch has at most ``size`` members; where they are so long that it would exceed MOST_STEPS it has fewer, but
        not less than FEWEST.
        """
        sentences = self._vectors.sentences.of_instance[positions]
        order = np.lexsort((positions, sentences, self.lengths[positions]))
        lengths, start = self.lengths[positions[order]], 0
        while start < len(order):
            stop = start + fitting(lengths[start : start + size])
            yield self.batch(positions[order[start:stop]])
            start = stop

    def batch(self, positions: NDArray[np.int64]) -> Batch:
        """Make the batch of the instances at ``positions``."""
        positions = positions[np.argsort(-self.lengths[positions], kind="stable")]
        lengths = self.lengths[positions]
        sentences, which = np.unique(self._vectors.sentences.of_instance[positions], return_inverse=True)
        tokens = self._vectors.sentences.lengths[sentences]
        starts = (np.cumsum(tokens) - tokens)[which]

        steps = np.arange(lengths[0])
        inside = steps < lengths[:, None]
        places = (self._offsets[positions][:, None] + steps)[inside]
        layout = self._layouts[places]
        index = np.zeros(inside.shape, dtype=np.int64)
        index[inside] = np.where(layout < 0, layout, layout + np.repeat(starts, lengths))
        return Batch(
            rows=self._vectors.rows(sentences),
            index=torch.from_numpy(index),
            lengths=torch.from_numpy(lengths),
            mentions=torch.from_numpy(self._mentions[positions]),
            labels=torch.from_numpy(self._labels[positions]),
            positions=positions,
            targets=None if self._targets is None else self._targets[torch.from_numpy(positions)],
        )


def fitting(lengths: NDArray[np.int64]) -> int:
    """Return how many sequences, the shortest first, make a batch that is only scored; Shape: lengths (n,), n > 0."""
    steps = np.arange(1, len(lengths) + 1) * lengths
    return max(min(FEWEST, len(lengths)), int(np.searchsorted(steps, MOST_STEPS, side="right")))


def bucketed(
    lengths: NDArray[np.int64],
    sentences: NDArray[np.int64],
    size: int,
    rng: np.random.Generator,
    pack: int = 1,
    pool: int = POOL,
) -> list[NDArray[np.int64]]:
    """Cut 0 .. n-1 into batches of about equal lengths.

    Shuffle, cut into pools of ``pool`` batches, sort each pool by length, cut it into batches, shuffle the batches.
    Every number is in one batch; all batches but one have ``size`` members.

    Args:
        lengths: of each sequence. Shape: (n,).
        sentences: number of each one's sentence. Shape: (n,).
        size: number of instances in a batch.
        rng: source of the order.
        pack: number of sequences of one sentence that stay together in the shuffle; they are drawn anew each time.
            Their sentence is projected once for all of them, but batches are less mixed.
        pool: number of batches that are sorted together.
    """
    packs = _packs(sentences, pack, rng)
    order = np.argsort(rng.permutation(packs.max(initial=0) + 1)[packs], kind="stable")
    batches = []
    for start in range(0, len(order), pool * size):
        part = order[start : start + pool * size]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += [part[i : i + size] for i in range(0, len(part), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def shard_windows(shards: NDArray[np.int64], rng: np.random.Generator, size: int) -> list[NDArray[np.int64]]:
    """Cut 0 .. n-1 into windows, each of the members of ``size`` shards drawn at random.

    If a set does not fit in memory, reading at random from all its shards would fetch each shard for nearly every
    batch. Within a window only ``size`` shards are needed. A single shard is one window and draws no number.

    Args:
        shards: number of each one's shard. Shape: (n,).
        rng: source of the order.
        size: number of shards in a window.
    """
    distinct, which = np.unique(shards, return_inverse=True)
    if len(distinct) < 2:
        return [np.arange(len(shards))]
    window = (rng.permutation(len(distinct)) // size)[which]
    return [np.flatnonzero(window == number) for number in range(window.max() + 1)]


def _packs(sentences: NDArray[np.int64], pack: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Number packs of up to ``pack`` sequences of one sentence; Shape: (n,) -> (n,), numbers from 0 without a gap."""
    shuffled = rng.permutation(len(sentences))
    order = shuffled[np.argsort(sentences[shuffled], kind="stable")]
    place = np.arange(len(order))
    begins = np.r_[True, np.diff(sentences[order]) != 0][: len(order)]
    within = place - np.maximum.accumulate(np.where(begins, place, 0))
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.cumsum(within % pack == 0) - 1
    return numbers


def tag_names(instances: Sequence[Instance]) -> tuple[str, ...]:
    """Return the names of all learned tag vectors that ``instances`` use, sorted."""
    return tuple(sorted({tag for instance in instances for tag in instance.tags}))


def _label(instance: Instance, numbers: dict[str, int]) -> int:
    if instance.label is None:
        return -1
    if instance.label not in numbers:
        raise DataError(f"instance '{instance.id}' has the label '{instance.label}'; known are {', '.join(numbers)}.")
    return numbers[instance.label]


def _layout(instance: Instance, tags: Sequence[str]) -> NDArray[np.int64]:
    """Return the layout with tags numbered as in ``tags``; Shape: (T,)."""
    unknown = [tag for tag in instance.tags if tag not in tags]
    if unknown:
        raise MismatchError(
            f"instance '{instance.id}' has the tag '{unknown[0]}', for which the head has no vector; it knows "
            f"{', '.join(tags) or 'none (it was trained in the tagged context)'}."
        )
    layout = np.array(instance.layout, dtype=np.int64)
    if not len(layout) or layout.max() >= len(instance.tokens) or -layout.min() > len(instance.tags):
        raise MismatchError(
            f"the layout of instance '{instance.id}' leads outside its {count_of(len(instance.tokens), 'token')} and "
            f"{len(instance.tags)} tags."
        )
    numbers = np.array([-1 - tags.index(tag) for tag in instance.tags], dtype=np.int64)
    at_tag = layout < 0
    layout[at_tag] = numbers[-1 - layout[at_tag]]
    return layout
