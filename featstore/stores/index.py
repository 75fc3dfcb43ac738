"""The row that holds a key: a sorted table with binary search.

In: the keys of shards, as arrays of 16-byte rows in the order of the shards. Out: positions in that order.
Only two 64-bit columns and a position for each key stay in memory (24 bytes a key), and no step handles keys one at a
time, so ten million keys open in seconds. Keys that come later (a shard that this or another process wrote) form a
small table of their own. Tables are merged when there are many of them, as in a log-structured merge tree, so appending
stays cheap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Distinct keys in ascending order of (high, low); the smallest position stands where a key came twice."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    position: NDArray[np.int64]

    @classmethod
    def sort(cls, high: NDArray[np.uint64], low: NDArray[np.uint64], position: NDArray[np.int64] | int) -> _Table:
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

    def find(self, high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.int64]:
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


class KeyIndex:
    """Positions of keys. Of a key that was added twice, the position added first counts."""

    def __init__(self) -> None:
        self._tables: list[_Table] = []
        self._total = 0

    def add(self, keys: NDArray[np.uint8]) -> None:
        """Add keys; Shape: (n, 16). They take the next n positions."""
        if not len(keys):
            return
        halves = np.ascontiguousarray(keys).view("<u8")
        self._tables.append(_Table.sort(halves[:, 0], halves[:, 1], self._total))
        self._total += len(keys)
        # As a binary counter: no table stays beside a larger newer one, so there are never more than log2 of all keys.
        first, size = len(self._tables) - 1, len(keys)
        while first > 0 and len(self._tables[first - 1].high) <= size:
            first -= 1
            size += len(self._tables[first].high)
        self._merge(first)

    def _merge(self, first: int) -> None:
        """Make one table of the tables from ``first`` on."""
        tables = self._tables[first:]
        if len(tables) > 1:
            self._tables[first:] = [
                _Table.sort(
                    np.concatenate([t.high for t in tables]),
                    np.concatenate([t.low for t in tables]),
                    np.concatenate([t.position for t in tables]),
                )
            ]

    def find(self, keys: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the position of each key, -1 where it is not there; Shape: keys (m, 16), result (m,)."""
        halves = np.ascontiguousarray(keys).view("<u8")
        found = np.full(len(keys), -1, dtype=np.int64)
        for table in self._tables:
            todo = np.flatnonzero(found < 0)
            found[todo] = table.find(halves[todo, 0], halves[todo, 1])
        return found

    def keys(self) -> NDArray[np.uint8]:
        """Return the distinct keys in the order in which they were added; Shape: (k, 16)."""
        if not self._tables:
            return np.zeros((0, 16), dtype=np.uint8)
        self._merge(0)
        table = self._tables[0]
        order = np.argsort(table.position)
        halves = np.stack((table.high[order], table.low[order]), axis=1).astype("<u8")
        return halves.view(np.uint8)
