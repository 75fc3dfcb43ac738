"""A feature set made of immutable shards: what the file backends share.

In: a place, the set's facts, and a shard format (HDF5, Zarr). Out: a FeatureStore. Appending writes one shard and
then its index; a shard counts from the moment its index is there. Nothing stays open for writing, nothing is
ever changed in place, and the table of keys is built from the shards' own index files on opening, so there is no
file whose loss or half-written state could take others with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DamagedStoreError, MissingFileError
from featstore.ragged import Ragged
from featstore.stores import FeatureMeta
from featstore.stores.checks import check_vectors, not_stored
from featstore.stores.index import KeyIndex
from featstore.stores.layout import (
    INDEX_SUFFIX,
    ShardIndex,
    check_name,
    checksums,
    disk_dtype,
    head_size,
    key_array,
    pack_index,
    sentences_of_size,
    shard_name,
    unpack_index,
    unpack_keys,
)
from featstore.stores.places import Buffer, Place, join
from featstore.stores.rows import ArrayRows, DecodedShards, Extent, FileRows, OpenFiles, Rows

SHARDS = "shards"
_CACHE_BYTES = 512 * 1024**2
_REPAIR = "`cli store verify` lists the damage and `cli store repair` mends it."


class ShardFormat(Protocol):
    """How a backend lays a shard out in files."""

    suffix: str

    def encode(self, index: ShardIndex, values: NDArray[np.floating]) -> Mapping[str, Buffer]:
        """Return the shard's files by name relative to the shard; ``{"": content}`` for one file."""
        ...

    def decode(self, files: Mapping[str, bytes], where: str) -> tuple[ShardIndex, NDArray[np.floating]]:
        """Return what :meth:`encode` was given.

        Raises:
            DamagedStoreError: the files are not those of a shard.
        """
        ...

    def extents(self, path: Path, rows: int, meta: FeatureMeta) -> list[Extent] | None:
        """Return where the plain bytes of the rows lie, or None if they have to be decoded.

        Raises:
            DamagedStoreError: the shard does not hold ``rows`` rows of this set's width and type.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _OpenShard:
    index: ShardIndex
    extents: list[Extent] | None


class ShardedStore:
    """A feature set of immutable shards.

    Args:
        place: the set's directory.
        meta: the set's facts.
        shards: the backend's layout.
        check: compare each sentence with its checksum when it is read.
    """

    def __init__(self, place: Place, meta: FeatureMeta, shards: ShardFormat, *, check: bool = False) -> None:
        self.place = place
        self.format = shards
        self._meta = meta
        self._check = check
        self._files = OpenFiles()
        self._decoded = DecodedShards(_CACHE_BYTES)
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        self._names: list[str] = []
        self._known: set[str] = set()
        self._starts = np.zeros(1, dtype=np.int64)  # position of each shard's first sentence, and one past the last
        self._keys = KeyIndex()
        self._open: dict[str, _OpenShard] = {}
        self._files.clear()
        self._decoded.clear()

    @property
    def meta(self) -> FeatureMeta:
        return self._meta

    @property
    def shard_names(self) -> list[str]:
        """Names of the shards that are known, in the order in which they became known."""
        return list(self._names)

    def refresh(self) -> None:
        """Take notice of the shards that others wrote or took away since."""
        sizes = {
            name.removesuffix(INDEX_SUFFIX): size
            for name, size in self.place.sizes(SHARDS).items()
            if name.endswith(INDEX_SUFFIX)
        }
        if not self._known <= sizes.keys():
            self._forget()
        self._adopt({name: size for name, size in sorted(sizes.items()) if name not in self._known})

    def _adopt(self, sizes: Mapping[str, int]) -> None:
        """Add shards whose index files have these sizes."""
        names = {name: self.index_name(name) for name in sizes}
        heads = {names[name]: head_size(max(sentences_of_size(size), 0)) for name, size in sizes.items()}
        keys = [
            unpack_keys(raw, size, join(self.place.location, names[name]))
            for raw, (name, size) in zip(self.place.read_heads(heads), sizes.items(), strict=True)
        ]
        if keys:
            self._keys.add(np.concatenate(keys))
            self._names += sizes
            self._known.update(sizes)
            ends = self._starts[-1] + np.cumsum([len(k) for k in keys])
            self._starts = np.concatenate((self._starts, ends))

    def index_name(self, name: str) -> str:
        """Where the index of a shard lies, relative to the set."""
        return f"{SHARDS}/{name}{INDEX_SUFFIX}"

    def data_name(self, name: str) -> str:
        """Where the data of a shard lie, relative to the set."""
        return f"{SHARDS}/{name}{self.format.suffix}"

    def keys(self) -> list[bytes]:
        raw = self._keys.keys().tobytes()
        return [raw[i : i + 16] for i in range(0, len(raw), 16)]

    def missing(self, keys: Sequence[bytes]) -> list[bytes]:
        found = self._keys.find(key_array(keys))
        return list(dict.fromkeys(keys[i] for i in np.flatnonzero(found < 0).tolist()))

    def append(self, keys: Sequence[bytes], vectors: Ragged) -> None:
        """Commit one shard of those keys that are not stored yet. See :class:`featstore.stores.FeatureStore`."""
        table = key_array(keys)
        checked = check_vectors(self._meta, keys, vectors)
        new = self._keys.find(table) < 0
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        take = np.array([i for i, key in enumerate(keys) if new[i] and first[key] == i], dtype=np.int64)
        if not len(take):
            return
        if len(take) < len(keys):
            checked = Ragged.from_list([checked[i] for i in take], checked.dim, self._meta.dtype)
        values = np.ascontiguousarray(checked.values, dtype=disk_dtype(self._meta))
        self.commit(ShardIndex(table[take], checked.offsets, checksums(values, checked.offsets)), values)

    def commit(self, index: ShardIndex, values: NDArray[np.floating]) -> str:
        """Write a shard, durable when this returns, and give its name; for callers that have checked all else."""
        name = shard_name(self._meta, index)
        packed = pack_index(index)
        with self.place.writing():
            self.place.publish(self.data_name(name), self.format.encode(index, values))
            self.place.publish(self.index_name(name), {"": packed})
        if name not in self._known:
            self._adopt({name: len(packed)})
        return name

    def read(self, keys: Sequence[bytes]) -> Ragged:
        """Return vectors in the order asked. See :class:`featstore.stores.FeatureStore`.

        Raises:
            DamagedStoreError: a shard is not what was written.
        """
        table = key_array(keys)
        try:
            return self._read(table, keys)
        except MissingFileError:
            self.refresh()  # another process compacted or cleaned up meanwhile
        try:
            return self._read(table, keys)
        except MissingFileError as error:
            raise DamagedStoreError(f"a shard is listed but its data are gone: {error} {_REPAIR}") from error

    def _read(self, table: NDArray[np.uint8], keys: Sequence[bytes]) -> Ragged:
        position = self._keys.find(table)
        if (position < 0).any():
            raise not_stored(self._meta, [keys[i] for i in np.flatnonzero(position < 0).tolist()], len(keys))
        shard = np.searchsorted(self._starts, position, side="right") - 1
        row = position - self._starts[shard]
        start, stop = np.zeros_like(row), np.zeros_like(row)
        for number in np.unique(shard).tolist():
            offsets = self._shard(number).index.offsets
            mine = shard == number
            start[mine], stop[mine] = offsets[row[mine]], offsets[row[mine] + 1]
        out = np.zeros(len(row) + 1, dtype=np.int64)
        np.cumsum(stop - start, out=out[1:])
        values = np.empty((int(out[-1]), self._meta.dim), dtype=disk_dtype(self._meta))
        self._fill(values, out, shard, start, stop)
        if self._check:
            self._compare(values, out, shard, row)
        return Ragged(values.astype(self._meta.dtype, copy=False), out)

    def _fill(
        self,
        values: NDArray[np.floating],
        out: NDArray[np.int64],
        shard: NDArray[np.int64],
        start: NDArray[np.int64],
        stop: NDArray[np.int64],
    ) -> None:
        """Copy rows into ``values``, shard by shard; sentences that follow each other on both sides in one go."""
        if not len(shard):
            return
        joins = (shard[1:] == shard[:-1]) & (start[1:] == stop[:-1])
        heads = np.flatnonzero(np.concatenate(([True], ~joins)))
        tails = np.concatenate((heads[1:], [len(shard)])) - 1
        current, rows = -1, None
        for i in np.argsort(shard[heads], kind="stable").tolist():
            a, b = out[heads[i]], out[tails[i] + 1]
            if a == b:
                continue
            if shard[heads[i]] != current or rows is None:
                current = int(shard[heads[i]])
                rows = self._rows(current)
            rows.read_into(int(start[heads[i]]), values[a:b])

    def _compare(
        self, values: NDArray[np.floating], out: NDArray[np.int64], shard: NDArray[np.int64], row: NDArray[np.int64]
    ) -> None:
        sums = checksums(values, out)
        for i in range(len(row)):
            index = self._shard(int(shard[i])).index
            if sums[i] != index.checksums[row[i]]:
                raise DamagedStoreError(
                    f"{join(self.place.location, self.data_name(self._names[shard[i]]))}: the vectors of sentence "
                    f"{index.keys[row[i]].tobytes().hex()} are not those that were written. {_REPAIR}"
                )

    def _shard(self, number: int) -> _OpenShard:
        name = self._names[number]
        if name not in self._open:
            index = self.load_index(name)
            path = self.place.local(self.data_name(name))
            extents = self.format.extents(path, index.rows, self._meta) if path is not None else None
            self._open[name] = _OpenShard(index, extents)
        return self._open[name]

    def _rows(self, number: int) -> Rows:
        name, shard = self._names[number], self._shard(number)
        if shard.extents is not None:
            return FileRows(shard.extents, self._files)
        rows = self._decoded.get(name)
        if rows is None:
            rows = ArrayRows(self.load_data(name, shard.index))
            self._decoded.put(name, rows)
        return rows

    def load_index(self, name: str) -> ShardIndex:
        """Return a shard's index, checked against its name.

        Raises:
            MissingFileError, DamagedStoreError: it is gone, or changed.
        """
        where = join(self.place.location, self.index_name(name))
        index = unpack_index(self.place.read(self.index_name(name)), where)
        check_name(self._meta, index, name, where)
        return index

    def load_data(self, name: str, index: ShardIndex) -> NDArray[np.floating]:
        """Return all rows of a shard through the backend's own library; Shape: (sum T, D).

        Raises:
            MissingFileError, DamagedStoreError: they are gone, or of another shape than the index says.
        """
        where = join(self.place.location, self.data_name(name))
        _, values = self.format.decode(self.place.read_tree(self.data_name(name)), where)
        if values.shape != (index.rows, self._meta.dim) or values.dtype != disk_dtype(self._meta):
            raise DamagedStoreError(
                f"{where} holds {values.shape} {values.dtype}, its index says ({index.rows}, {self._meta.dim}) "
                f"{self._meta.dtype}. {_REPAIR}"
            )
        return values

    def close(self) -> None:
        """Let go of open files and decoded shards; a later read opens them again."""
        self._open.clear()
        self._files.clear()
        self._decoded.clear()
