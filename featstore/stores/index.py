"""The row that holds a key: a sorted table with binary search.

In: the keys of shards, as arrays of 16-byte rows. Out: positions. Only two 64-bit columns and a position for each key
stay in memory (24 bytes a key), and no step handles keys one at a time. Keys that come later (a shard that this or
another process wrote) form a small table of their own. Tables are merged when there are many of them, as in a
log-structured merge tree, so appending stays cheap. What large sets hold is searched where it lies instead
(:mod:`featstore.stores.segments`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class SortedKeys:
    """Distinct keys in ascending order of (high, low); the smallest position stands where a key came twice.

    Attributes:
        high: first half of each key, as a little-endian number; Shape: (n,).
        low: second half; Shape: (n,).
        position: where each is; Shape: (n,).
    """

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    position: NDArray[np.int64]

    @classmethod
    def sort(cls, high: NDArray[np.uint64], low: NDArray[np.uint64], position: NDArray[np.int64] | int) -> SortedKeys:
        """Make a table; ``position`` is that of each key, or of the first where they follow each other."""
        order = np.argsort(high)
        high, low = high[order], low[order]
        if isinstance(position, int):
            order += position
            position = order
        else:
            position = position[order]
        # Keys are hashes: the high half alone nearly always decides. Only equal ones are sorted by all three.
        same = high[1:] == high[:-1]
        if same.any():
            run = np.zeros(len(high), dtype=bool)
            run[1:] |= same
            run[:-1] |= same
            at = np.flatnonzero(run)
            fine = at[np.lexsort((position[at], low[at], high[at]))]
            low[at], position[at] = low[fine], position[fine]
            first = np.ones(len(high), dtype=bool)
            first[1:] = ~(same & (low[1:] == low[:-1]))
            high, low, position = high[first], low[first], position[first]
        return cls(high, low, position)

    @classmethod
    def of(cls, keys: NDArray[np.uint8], position: NDArray[np.int64] | int) -> SortedKeys:
        """Make a table of keys; Shape: (n, 16). The positions are as in :meth:`sort`."""
        halves = np.ascontiguousarray(keys).view("<u8")
        return cls.sort(halves[:, 0], halves[:, 1], position)

    @classmethod
    def join(cls, tables: Sequence[SortedKeys]) -> SortedKeys:
        """Make one table of several."""
        if len(tables) == 1:
            return tables[0]
        return cls.sort(
            np.concatenate([np.zeros(0, dtype=np.uint64), *(t.high for t in tables)]),
            np.concatenate([np.zeros(0, dtype=np.uint64), *(t.low for t in tables)]),
            np.concatenate([np.zeros(0, dtype=np.int64), *(t.position for t in tables)]),
        )

    def __len__(self) -> int:
        return len(self.high)

    def find(self, high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the position of each key, -1 where it is not there; Shape: all (m,)."""
        found = np.full(len(high), -1, dtype=np.int64)
        if not len(self.high):
            return found
        last = len(self.high) - 1
        at = np.searchsorted(self.high, high, side="left")
        open_ = np.flatnonzero(at <= last)
        open_ = open_[self.high[at[open_]] == high[open_]]
        while len(open_):  # a second round only for keys that share their high half with another
            hit = self.low[at[open_]] == low[open_]
            found[open_[hit]] = self.position[at[open_[hit]]]
            open_ = open_[~hit]
            at[open_] += 1
            open_ = open_[at[open_] <= last]
            open_ = open_[self.high[at[open_]] == high[open_]]
        return found

    def between(self, first: int, last: int) -> SortedKeys:
        """Return the keys whose high half is from ``first`` to ``last``."""
        a = np.searchsorted(self.high, np.uint64(first), side="left")
        b = np.searchsorted(self.high, np.uint64(last), side="right")
        return SortedKeys(self.high[a:b], self.low[a:b], self.position[a:b])

    def keys(self) -> NDArray[np.uint8]:
        """Return the keys; Shape: (n, 16)."""
        return np.stack((self.high, self.low), axis=1).astype("<u8").view(np.uint8)


class KeyIndex:
    """Positions of keys. Of a key that was added twice, the position added first counts."""

    def __init__(self) -> None:
        self._tables: list[SortedKeys] = []

    def add(self, keys: NDArray[np.uint8], position: NDArray[np.int64] | int = 0) -> None:
        """Add keys, whose positions are larger than those of earlier ones; Shape: (n, 16).

        Args:
            keys: the keys.
            position: that of each, or of the first where they follow each other.
        """
        if not len(keys):
            return
        self._tables.append(SortedKeys.of(keys, position))
        # As a binary counter: no table stays beside a larger newer one, so there are never more than log2 of all keys.
        first, size = len(self._tables) - 1, len(keys)
        while first > 0 and len(self._tables[first - 1]) <= size:
            first -= 1
            size += len(self._tables[first])
        self._tables[first:] = [SortedKeys.join(self._tables[first:])]

    def find(self, keys: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the position of each key, -1 where it is not there; Shape: keys (m, 16), result (m,)."""
        halves = np.ascontiguousarray(keys).view("<u8")
        found = np.full(len(keys), -1, dtype=np.int64)
        for table in self._tables:
            todo = np.flatnonzero(found < 0)
            found[todo] = table.find(halves[todo, 0], halves[todo, 1])
        return found

    def table(self) -> SortedKeys:
        """Return all keys as one table."""
        self._tables = [SortedKeys.join(self._tables)]
        return self._tables[0]
