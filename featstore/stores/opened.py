"""The shards of a set that rows are taken from: their indexes, and the files or arrays in which their rows lie.

In: which rows of which shards. Out: the rows, in the caller's array. Shards are opened when they are first read from.
The indexes of those read last stay in memory, up to a number of sentences.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from featstore.stores.layout import ShardIndex
from featstore.stores.ranged import RangedShards
from featstore.stores.rows import Extent, FileRows, OpenFiles, byte_view
from featstore.stores.shards import ShardFiles

_CACHE_BYTES = 512 * 1024**2
_OPEN_SENTENCES = 2**20  # whose offsets and checksums stay in memory: 32 MB


@dataclass(frozen=True, slots=True, eq=False)
class _OpenShard:
    index: ShardIndex
    extents: list[Extent] | None  # None: not plain bytes of local files


class OpenShards:
    """The shards of a set that rows are taken from.

    Args:
        files: the set's shards.
    """

    def __init__(self, files: ShardFiles) -> None:
        self._files = files
        self._local = files.place.local("") is not None
        self._row_bytes = files.meta.dim * files.dtype.itemsize
        self._handles = OpenFiles()
        self._decoded = RangedShards(files, _CACHE_BYTES)
        self._open: OrderedDict[str, _OpenShard] = OrderedDict()

    def index(self, name: str) -> ShardIndex:
        """Return the index of a shard.

        Raises:
            MissingFileError, DamagedStoreError: it is gone, or is not what was written.
        """
        return self._shard(name).index

    def fill(
        self,
        values: NDArray[np.floating],
        out: NDArray[np.int64],
        names: Sequence[str],
        shard: NDArray[np.int64],
        start: NDArray[np.int64],
        stop: NDArray[np.int64],
    ) -> None:
        """Copy the rows of n sentences, shard by shard; sentences that follow each other on both sides in one go.

        Args:
            values: where the rows are copied to. Shape: (rows, dim).
            out: where each sentence begins in ``values``, and the end. Shape: (n + 1,).
            names: of the set's shards.
            shard: the number of each sentence's shard. Shape: (n,).
            start, stop: its first row in the shard, and the one after its last. Shape: (n,).

        Raises:
            MissingFileError, DamagedStoreError: a shard is gone, or is not what its index says.
        """
        if not len(shard):
            return
        joins = (shard[1:] == shard[:-1]) & (start[1:] == stop[:-1])
        heads = np.flatnonzero(np.concatenate(([True], ~joins)))
        ends = np.concatenate((heads[1:], [len(shard)]))
        buffer, row_bytes = byte_view(values), values.strides[0]
        pieces = zip(
            shard[heads].tolist(),
            start[heads].tolist(),
            (out[heads] * row_bytes).tolist(),
            (out[ends] * row_bytes).tolist(),
            strict=True,
        )
        for number, group in groupby(sorted(pieces), key=itemgetter(0)):
            parts = [(first, buffer[a:b]) for _, first, a, b in group if a < b]
            if parts:
                self._read_pieces(names[number], parts)

    def _read_pieces(self, name: str, pieces: Sequence[tuple[int, memoryview]]) -> None:
        """Fill the buffers of some pieces of a shard, each given with its first row."""
        shard = self._shard(name)
        if shard.extents is None:
            self._decoded.read(name, shard.index, pieces)
        else:
            rows = FileRows(shard.extents, self._row_bytes, self._handles)
            for first, out in pieces:
                rows.read_into(first, out)

    def _shard(self, name: str) -> _OpenShard:
        if name not in self._open:
            index = self._files.load_index(name)
            self._open[name] = _OpenShard(index, self._files.extents(name, index) if self._local else None)
            held = sum(len(shard.index) for shard in self._open.values())
            while held > _OPEN_SENTENCES and len(self._open) > 1:
                held -= len(self._open.popitem(last=False)[1].index)
        self._open.move_to_end(name)
        return self._open[name]

    def close(self) -> None:
        """Close files, and drop indexes and decoded shards; a later read opens them again."""
        self._open.clear()
        self._handles.clear()
        self._decoded.clear()
