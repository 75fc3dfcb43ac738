"""How often words stand near each other: the statistic that GloVe learns from.

In: sentences of words. Out: for every pair of words of the vocabulary the sum of 1/distance over all places where
they stand at most ``window`` words apart in one sentence (Pennington et al. 2014, section 4.2). Pairs are counted in
runs of a million words by sorting packed keys, and the runs are then merged. Memory therefore grows with the number of
distinct pairs, not with the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RUN = 1_000_000
# Stands between sentences; never a word.
_GAP = -1
# Packed keys of pairs, and the weight of each.
Counted = tuple[NDArray[np.int64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Words that stand near each other.

    Attributes:
        first, second: word numbers, ``first <= second``; Shape: (n,).
        weight: sum of 1/distance; Shape: (n,).
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    weight: NDArray[np.float32]


def count_pairs(sentences: Iterable[NDArray[np.int32]], vocabulary: int, window: int) -> Pairs:
    """Count pairs in sentences of word numbers, from which words outside the vocabulary were removed before.

    Returns:
        each unordered pair once, in order of its words.
    """
    levels: list[Counted | None] = []
    for run in _runs(sentences):
        counted = _count(run, vocabulary, window)
        for level, waiting in enumerate(
            levels
        ):  # merge runs of similar size, in the way in which binary numbers are added
            if waiting is None:
                levels[level] = counted
                break
            counted, levels[level] = _sum([waiting, counted]), None
        else:
            levels.append(counted)
    keys, weights = _sum([part for part in levels if part is not None])
    first, second = np.divmod(keys, vocabulary)
    return Pairs(first.astype(np.int32), second.astype(np.int32), weights.astype(np.float32))


def _runs(sentences: Iterable[NDArray[np.int32]]) -> Iterator[NDArray[np.int32]]:
    gap = np.array([_GAP], np.int32)
    run: list[NDArray[np.int32]] = []
    length = 0
    for sentence in sentences:
        run += [sentence, gap]
        length += len(sentence) + 1
        if length >= _RUN:
            yield np.concatenate(run)
            run, length = [], 0
    if run:
        yield np.concatenate(run)


def _count(run: NDArray[np.int32], vocabulary: int, window: int) -> Counted:
    """Count one run by comparing it with itself, shifted by each distance."""
    parts: list[Counted] = []
    sentence = np.cumsum(run == _GAP)
    for distance in range(1, min(window, len(run) - 1) + 1):
        left, right = run[:-distance], run[distance:]
        together = (sentence[:-distance] == sentence[distance:]) & (left != _GAP) & (right != _GAP)
        low, high = np.minimum(left, right)[together], np.maximum(left, right)[together]
        parts.append((low.astype(np.int64) * vocabulary + high, np.full(len(low), 1 / distance)))
    return _sum(parts)


def _sum(parts: Sequence[Counted]) -> Counted:
    """Add the weights of equal keys; the keys come back sorted."""
    keys = np.concatenate([np.zeros(0, np.int64), *(keys for keys, _ in parts)])
    weights = np.concatenate([np.zeros(0), *(weights for _, weights in parts)])
    distinct, place = np.unique(keys, return_inverse=True)
    total: NDArray[np.float64] = np.bincount(place, weights, minlength=len(distinct)).astype(np.float64)
    return distinct, total
