"""Shards as HDF5 files: one file a shard, written in memory, read by file offset.

In: a shard's arrays. Out: the bytes of an HDF5 file with the datasets ``values`` (chunked, uncompressed),
``offsets``, ``keys`` and ``checksums``. The library never writes to the disk. A file is made in memory and then stored
like any other bytes, so a full disk or a killed process cannot leave a torn file. For reading, the library returns once
where the chunks lie, and the rows are then read from there without it. This is several times faster and needs no handle
that a fork would share.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import h5py
import numpy as np
from numpy.typing import NDArray

from featstore.errors import DamagedStoreError, FeatstoreError, MissingFileError
from featstore.files import Buffer
from featstore.stores.contract import FeatureMeta
from featstore.stores.layout import FORMAT_VERSION, ShardIndex, chunk_rows, disk_dtype, repair_advice
from featstore.stores.places import Place, join
from featstore.stores.rows import Extent


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Turn the library's errors for damaged bytes into one error."""
    try:
        yield
    except FeatstoreError:
        raise
    except FileNotFoundError as error:
        raise MissingFileError(f"{where} does not exist.") from error
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise DamagedStoreError(f"{where} is not a whole HDF5 shard: {error}. {repair_advice(where)}") from error


@contextmanager
def _opened(place: Place, name: str) -> Iterator[h5py.File]:
    """Open a file; of one at an address only what the library asks for is read."""
    path = place.local(name)
    if path is not None:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    else:
        with place.open(name) as remote, h5py.File(remote, "r") as file:
            yield file


def _dataset(file: h5py.File, name: str, where: str) -> h5py.Dataset:
    """Return a dataset of the file itself: no link may lead to bytes of another file."""
    if isinstance(file.get(name, getlink=True), h5py.HardLink):
        dataset = file[name]
        if isinstance(dataset, h5py.Dataset) and not dataset.is_virtual and not dataset.external:
            return dataset
    raise DamagedStoreError(f"{where} has no dataset '{name}' of its own; it is not a shard of featstore.")


class Hdf5Shards:
    """The HDF5 layout of a shard."""

    suffix = ".h5"

    def encode(self, index: ShardIndex, values: NDArray[np.floating]) -> Mapping[str, Buffer]:
        image = io.BytesIO()
        # Superblock 3: the library checksums its own metadata and every h5py since 2018 reads it.
        with h5py.File(image, "w", libver=("v110", "v110")) as file:
            file.attrs["featstore_format"] = FORMAT_VERSION
            chunks = (chunk_rows(values), values.shape[1]) if len(values) else None
            file.create_dataset("values", data=values, chunks=chunks, track_times=False)
            file.create_dataset("offsets", data=index.offsets.astype("<i8"), track_times=False)
            file.create_dataset("keys", data=index.keys, track_times=False)
            file.create_dataset("checksums", data=index.checksums.astype("<u8"), track_times=False)
        return {"": image.getbuffer()}

    def decode(self, files: Mapping[str, bytes], where: str) -> tuple[ShardIndex, NDArray[np.floating]]:
        with _reading(where), h5py.File(io.BytesIO(files[""]), "r") as file:
            parts = {name: _dataset(file, name, where) for name in ("keys", "offsets", "checksums", "values")}
            stored = sum(d.size * d.dtype.itemsize for d in parts.values())
            if stored > 1024 * len(files[""]):  # what lossless compression of vectors can reach, with a wide margin
                raise DamagedStoreError(f"{where} declares {stored} bytes in a file of {len(files[''])}.")
            index = ShardIndex(
                parts["keys"][...], parts["offsets"][...].astype(np.int64), parts["checksums"][...].astype(np.uint64)
            )
            return index, parts["values"][...]

    def extents(self, place: Place, name: str, rows: int, meta: FeatureMeta) -> list[Extent] | None:
        where, path = join(place.location, name), place.local(name)
        own = name if path is None else str(path)
        with _reading(where), _opened(place, name) as file:
            values = _dataset(file, "values", where)
            if values.shape != (rows, meta.dim) or values.dtype != disk_dtype(meta):
                raise DamagedStoreError(
                    f"{where} holds {values.shape} {values.dtype}; its index says ({rows}, {meta.dim}) {meta.dtype}."
                )
            if values.chunks is None:
                offset = values.id.get_offset()
                return [] if rows == 0 else None if offset is None else [Extent(own, 0, rows, offset)]
            if values.id.get_create_plist().get_nfilters() or values.chunks[1] != meta.dim:
                return None
            places: list[tuple[int, int]] = []
            values.id.chunk_iter(lambda chunk: places.append((chunk.chunk_offset[0], chunk.byte_offset)))
            return _join(own, sorted(places), values.chunks[0], rows, meta.dim * values.dtype.itemsize)


def _join(path: str, places: list[tuple[int, int]], chunk: int, rows: int, row_bytes: int) -> list[Extent] | None:
    """Make extents of chunks (first row, byte offset); chunks that follow each other in the file become one."""
    if [first for first, _ in places] != list(range(0, rows, chunk)):
        return None  # a chunk that was never written has no bytes to read; the library knows what it holds
    extents: list[Extent] = []
    for first, offset in places:
        stop = min(first + chunk, rows)
        if extents and extents[-1].offset + (first - extents[-1].first) * row_bytes == offset:
            extents[-1] = Extent(path, extents[-1].first, stop, extents[-1].offset)
        else:
            extents.append(Extent(path, first, stop, offset))
    return extents
