"""Rows of shards at an address: read by range, or whole once that is cheaper.

In: the rows that are wanted of a shard. Out: their bytes. A few sentences are read by range, all ranges of a shard in
one go. What was read so is counted, with an allowance for each request; as soon as it amounts to the shard, the shard
is fetched whole and kept in memory, of which a fixed amount is used. So neither a look at one sentence nor many epochs
over a small set fetch more than twice what they need.
"""

from __future__ import annotations

from collections.abc import Sequence

from featstore.errors import DamagedStoreError
from featstore.stores.layout import ShardIndex, repair_advice
from featstore.stores.places import join
from featstore.stores.rows import ArrayRows, DecodedShards, Extent
from featstore.stores.shards import ShardFiles

REQUEST_BYTES = 2**20  # that could be read in the time that a request takes
_GAP = 2**16  # bytes between two ranges that are read along


class RangedShards:
    """The rows of a set's shards at an address.

    Args:
        files: the set's shards.
        budget: bytes of whole shards that are kept.
    """

    def __init__(self, files: ShardFiles, budget: int) -> None:
        self._files = files
        self._whole = DecodedShards(budget)
        self._row_bytes = files.meta.dim * files.dtype.itemsize
        self._extents: dict[str, list[Extent] | None] = {}
        self._spent: dict[str, int] = {}

    def read(self, name: str, index: ShardIndex, pieces: Sequence[tuple[int, memoryview]]) -> None:
        """Fill the buffers of some pieces of a shard, each given with its first row.

        Raises:
            MissingFileError, DamagedStoreError: the shard is gone, or is not what its index says.
        """
        rows = self._whole.get(name)
        if rows is None:
            cost = sum(len(out) + REQUEST_BYTES for _, out in pieces)
            spent = self._spent.get(name, 0) + cost
            if spent < index.rows * self._row_bytes:
                if name not in self._extents:
                    self._extents[name] = self._files.extents(name, index)
                if (extents := self._extents[name]) is not None:
                    self._spent[name] = spent
                    self._read_ranges(extents, pieces)
                    return
            rows = ArrayRows(self._files.load_data(name, index))
            self._whole.put(name, rows)
            self._spent.pop(name, None)
        for first, out in pieces:
            rows.read_into(first, out)

    def _read_ranges(self, extents: Sequence[Extent], pieces: Sequence[tuple[int, memoryview]]) -> None:
        parts = sorted(
            (part for first, out in pieces for part in self._parts(extents, first, out)), key=lambda part: part[:2]
        )
        groups: list[list[tuple[str, int, memoryview]]] = []
        for part in parts:
            if groups and groups[-1][0][0] == part[0] and part[1] - _end(groups[-1]) <= _GAP:
                groups[-1].append(part)
            else:
                groups.append([part])
        spans = [(group[0][0], group[0][1], _end(group) - group[0][1]) for group in groups]
        for group, (path, start, size), raw in zip(groups, spans, self._files.place.read_spans(spans), strict=True):
            if len(raw) != size:
                where = join(self._files.place.location, path)
                raise DamagedStoreError(f"{where} ends before byte {start + size}. {repair_advice(where)}")
            for _, at, out in group:
                out[:] = raw[at - start : at - start + len(out)]

    def _parts(self, extents: Sequence[Extent], first: int, out: memoryview) -> list[tuple[str, int, memoryview]]:
        """Return file, offset and buffer of the parts in which a piece lies."""
        parts = []
        for extent in extents:
            if extent.first <= first < extent.stop and len(out):
                part = out[: (extent.stop - first) * self._row_bytes]
                parts.append((extent.path, extent.offset + (first - extent.first) * self._row_bytes, part))
                first, out = extent.stop, out[len(part) :]
        return parts

    def clear(self) -> None:
        """Drop what is kept."""
        self._whole.clear()
        self._extents.clear()
        self._spent.clear()


def _end(group: Sequence[tuple[str, int, memoryview]]) -> int:
    return max(at + len(out) for _, at, out in group)
