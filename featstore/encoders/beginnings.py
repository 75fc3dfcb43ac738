"""The beginnings that sentences share, as a tree: a recurrent network reads each distinct beginning once.

In: sentences as rows of numbers (of characters or tokens), end to end. Out: the distinct beginnings. The state of a
network that reads in one direction depends on what it has read alone, so sentences that begin alike share their states
up to the item where they part, in every layer. A pair of mentions is marked in its own copy of a sentence, so that the
copies of a sentence share their beginnings, and, read from the end, their ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Beginnings:
    """The distinct beginnings of sentences, each at least one item long.

    A segment is a stretch of beginnings, each one item longer than the one before, after whose last one sentences part
    or end. Beginnings are numbered along the segments, and a segment comes after the one that it continues.

    Attributes:
        of_item: for each item of the sentences, laid end to end, the beginning that ends with it. Shape: (items,).
        last_item: for each beginning an item that it ends with. Shape: (beginnings,).
        bounds: the first beginning of each segment, and the number of beginnings. Shape: (segments + 1,).
        parents: the segment that each one continues; -1 if it begins a sentence. Shape: (segments,).
    """

    of_item: Ints
    last_item: Ints
    bounds: Ints
    parents: Ints


def find_beginnings(items: Ints, lengths: Ints) -> Beginnings:
    """Return the distinct beginnings of sentences.

    Args:
        items: the items of all sentences, end to end, as numbers from 0 to 2^32 - 1. Shape: (items,).
        lengths: of the sentences. Shape: (n,).
    """
    of_item = np.empty(len(items), dtype=np.int64)
    last_item = np.empty(len(items), dtype=np.int64)
    begins = np.cumsum(lengths) - lengths
    known, firsts, follows = 0, [], []
    before = slice(0, 0)
    for sentence in _in_order(items, begins, lengths):
        at = slice(int(begins[sentence]), int(begins[sentence] + lengths[sentence]))
        shared = _shared(items[before], items[at])
        of_item[at.start : at.start + shared] = of_item[before.start : before.start + shared]
        own = slice(at.start + shared, at.stop)
        new = own.stop - own.start
        if new:
            firsts.append(known)
            follows.append(int(of_item[own.start - 1]) if shared else -1)
            of_item[own] = np.arange(known, known + new)
            last_item[known : known + new] = np.arange(own.start, own.stop)
            known += new
        before = at
    return Beginnings(of_item, last_item[:known], *_segments(firsts, follows, known))


def _in_order(items: Ints, begins: Ints, lengths: Ints) -> list[int]:
    """Return the sentences in an order in which each shares the most with those beside it."""
    ends = begins + lengths
    spelled = items.astype(">u4")  # most significant byte first, so that bytes are in the order of the numbers
    keys = [spelled[begin:end].tobytes() for begin, end in zip(begins, ends, strict=True)]
    return sorted(range(len(keys)), key=keys.__getitem__)


def _shared(one: Ints, other: Ints) -> int:
    """Return how many items two sentences share from their beginning."""
    most = min(len(one), len(other))
    differ = one[:most] != other[:most]
    first = int(differ.argmax()) if most else 0
    return first if most and differ[first] else most


def _segments(firsts: Sequence[int], follows: Sequence[int], known: int) -> tuple[Ints, Ints]:
    """Cut chains of beginnings where others part from them; see ``bounds`` and ``parents``.

    Args:
        firsts: the first beginning of each chain, rising.
        follows: the beginning that each chain continues; -1 if it begins a sentence.
        known: the number of beginnings.
    """
    chains, parts = np.array(firsts, dtype=np.int64), np.array(follows, dtype=np.int64)
    starts = np.union1d(chains, parts[parts >= 0] + 1)
    last = starts - 1  # the beginning that each segment continues
    last[np.searchsorted(starts, chains)] = parts
    parents = np.searchsorted(starts, last, side="right") - 1
    return np.append(starts, known), parents
