"""The shards of a feature set as files: writing, reading and naming them.

In: a place, the set's facts, and how the backend lays a shard out. Out: shards. The store (which finds rows by key) and
the maintenance (which goes through all shards, damaged ones too) are built on this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DamagedStoreError
from featstore.files import Buffer
from featstore.stores.contract import FeatureMeta
from featstore.stores.layout import (
    INDEX_SUFFIX,
    SET_FILE,
    ShardIndex,
    check_name,
    checksums,
    disk_dtype,
    files_checksum,
    pack_index,
    repair_advice,
    shard_name,
    unpack_index,
)
from featstore.stores.places import Place, gone, join
from featstore.stores.rows import Extent, FileRows, OpenFiles, byte_view

SHARDS = "shards"
DAMAGED = "damaged"  # where repair puts shards that are not what was written; nobody reads there


def index_sizes(place: Place) -> dict[str, int]:
    """Return the names of all shards of a set, sorted, and the size of each one's index file."""
    suffix, found = INDEX_SUFFIX, sorted(place.sizes(SHARDS).items())
    return {name.removesuffix(suffix): size for name, size in found if name.endswith(suffix)}


class ShardFormat(Protocol):
    """How a backend lays a shard out in files."""

    suffix: str

    def encode(self, index: ShardIndex, values: NDArray[np.floating]) -> Mapping[str, Buffer]:
        """Return the shard's files by name relative to the shard; ``{"": content}`` for one file."""
        ...

    def decode(self, files: Mapping[str, bytes], where: str) -> tuple[ShardIndex, NDArray[np.floating]]:
        """Return the arguments of :meth:`encode`.

        Raises:
            DamagedStoreError: the files are not those of a shard.
        """
        ...

    def extents(self, place: Place, name: str, rows: int, meta: FeatureMeta) -> list[Extent] | None:
        """Return where the plain bytes of the rows lie, or None if they have to be decoded.

        Args:
            place: the feature set.
            name: of the shard's data there. Extents in local files have their paths, others have names there.
            rows: of the shard.
            meta: of the set.

        Raises:
            DamagedStoreError: the shard does not hold ``rows`` rows of this set's width and type.
        """
        ...


class ShardFiles:
    """The shards below ``SET/shards``.

    Args:
        place: the set's directory.
        meta: the set's facts.
        layout: the backend's layout of a shard.
    """

    def __init__(self, place: Place, meta: FeatureMeta, layout: ShardFormat) -> None:
        self.place = place
        self.meta = meta
        self.layout = layout
        self.dtype = disk_dtype(meta)

    def sizes(self) -> dict[str, int]:
        """Names of all shards, sorted, and the size of each one's index file.

        Raises:
            ResourceError: the whole set is gone, which must not be taken for an empty one.
        """
        found = index_sizes(self.place)
        if not found and not self.place.exists(SET_FILE):
            raise gone(self.place.location)
        return found

    def index_name(self, name: str) -> str:
        """Where the index of a shard lies, relative to the set."""
        return f"{SHARDS}/{name}{INDEX_SUFFIX}"

    def data_name(self, name: str) -> str:
        """Where the data of a shard lie, relative to the set."""
        return f"{SHARDS}/{name}{self.layout.suffix}"

    def write(self, index: ShardIndex, values: NDArray[np.floating]) -> tuple[str, int]:
        """Write a shard, which is durable when this returns. Return its name and the size of its index file.

        Args:
            index: its index, of the sentences in ``values``.
            values: (sum T, D), of :attr:`dtype`, finite.

        Raises:
            ResourceError: no room, or no right, to write; then nothing of it is left.
        """
        name = shard_name(self.meta, index)
        files = self.layout.encode(index, values)
        packed = pack_index(index, files_checksum(files))
        self.place.publish({self.data_name(name): files, self.index_name(name): {"": packed}})
        return name, len(packed)

    def remove(self, names: list[str]) -> None:
        """Remove shards, each one's index first, while no writer commits."""
        with self.place.alone(wait=True):
            self.place.remove([self.index_name(name) for name in names])
            self.place.remove([self.data_name(name) for name in names])

    def load_index(self, name: str) -> ShardIndex:
        """Return a shard's index, checked against its name.

        Raises:
            MissingFileError, DamagedStoreError: it is gone, or changed.
        """
        where = join(self.place.location, self.index_name(name))
        index, _ = unpack_index(self.place.read(self.index_name(name)), where)
        check_name(self.meta, index, name, where)
        return index

    def load_plain(self, name: str, index: ShardIndex) -> NDArray[np.floating] | None:
        """Return all rows of a shard as read from local files, or None where they are decoded; Shape: (sum T, D).

        Raises:
            MissingFileError, DamagedStoreError: they are gone, or not as many as the index says.
        """
        extents = None if self.place.local("") is None else self.extents(name, index)
        if extents is None:
            return None
        values = np.empty((index.rows, self.meta.dim), dtype=self.dtype)
        if len(values):
            FileRows(extents, values.strides[0], OpenFiles()).read_into(0, byte_view(values))
        return values

    def load_data(self, name: str, index: ShardIndex) -> NDArray[np.floating]:
        """Return all rows of a shard through the backend's own library; Shape: (sum T, D).

        Raises:
            MissingFileError, DamagedStoreError: they are gone, or of another shape than the index says.
        """
        where = join(self.place.location, self.data_name(name))
        _, values = self.layout.decode(self.place.read_tree(self.data_name(name)), where)
        if values.shape != (index.rows, self.meta.dim) or values.dtype != self.dtype:
            raise DamagedStoreError(
                f"{where} holds {values.shape} {values.dtype}, its index says ({index.rows}, {self.meta.dim}) "
                f"{self.meta.dtype}. {repair_advice(where)}"
            )
        return values

    def load_checked(self, name: str, index: ShardIndex) -> NDArray[np.floating]:
        """Return all rows of a shard, each sentence compared with its checksum; Shape: (sum T, D).

        Raises:
            DamagedStoreError: one is not what was written.
        """
        plain = self.load_plain(name, index)
        values = self.load_data(name, index) if plain is None else plain
        if not np.array_equal(checksums(np.ascontiguousarray(values), index.offsets), index.checksums):
            where = join(self.place.location, self.data_name(name))
            raise DamagedStoreError(
                f"{where} holds vectors that are not those that were written. {repair_advice(where)}"
            )
        return values

    def extents(self, name: str, index: ShardIndex) -> list[Extent] | None:
        """Return where a shard's rows lie, or None where they have to be decoded.

        Raises:
            MissingFileError, DamagedStoreError: they are gone, or not as many as the index says.
        """
        return self.layout.extents(self.place, self.data_name(name), index.rows, self.meta)
