"""Where the sentences of an open feature set are: the position of each key, in memory or in segments.

In: keys of shards with their positions, and segments of the key index. Out: the position of any key. Shards are in the
order in which they were found, and a position counts the sentences of all shards before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.stores.index import KeyIndex, SortedKeys
from featstore.stores.segments import Segment


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A segment, and of its shards the position of the first sentence and the number of sentences."""

    segment: Segment
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    def positions(self, where: NDArray[np.int64]) -> NDArray[np.int64]:
        """Turn shard and sentence into positions; -1 stays -1."""
        shard, sentence = where >> 32, where & 0xFFFFFFFF
        if (shard >= len(self.starts)).any() or ((where >= 0) & (sentence >= self.counts[shard])).any():
            raise self.segment.damaged()
        return np.where(where < 0, -1, self.starts[shard] + sentence)


class KeyTable:
    """Positions of the keys of a set: in segments, and in memory for the shards that no segment names."""

    def __init__(self) -> None:
        self._loose = KeyIndex()
        self._segments: list[_Held] = []

    @property
    def segmented(self) -> bool:
        """Whether some of the keys are in segments."""
        return bool(self._segments)

    def add(self, keys: NDArray[np.uint8], position: NDArray[np.int64] | int) -> None:
        """Add keys in memory; see :meth:`KeyIndex.add`."""
        self._loose.add(keys, position)

    def hold(self, segment: Segment, starts: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        """Add the keys of a segment.

        Args:
            segment: the segment.
            starts: of each of its shards, the position of the first sentence; Shape: (shards,).
            counts: of each of its shards, the number of sentences; Shape: (shards,).
        """
        self._segments.append(_Held(segment, starts, counts))

    def find(self, keys: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the smallest position of each key, -1 where it is not there; Shape: keys (m, 16), result (m,).

        Raises:
            MissingFileError, DamagedStoreError: a segment is gone, or is not what was written.
        """
        found = self._loose.find(keys)
        halves = np.ascontiguousarray(keys).view("<u8").astype(np.uint64, copy=False)
        for held in self._segments:
            position = held.positions(held.segment.find(halves[:, 0], halves[:, 1]))
            found = np.where((found < 0) | ((position >= 0) & (position < found)), position, found)
        return found

    def check(self, keys: NDArray[np.uint8]) -> None:
        """Make sure that segments which lack some keys are what was written; errors as :meth:`find`."""
        for held in self._segments:
            held.segment.check(keys)

    def keys(self) -> NDArray[np.uint8]:
        """Return the distinct keys in the order of their positions; Shape: (k, 16)."""
        tables = [self._loose.table()]
        for held in self._segments:
            table = held.segment.between(0, 2**64 - 1)
            tables.append(SortedKeys(table.high, table.low, held.positions(table.position)))
        joined = SortedKeys.join(tables)
        return joined.keys()[np.argsort(joined.position)]
