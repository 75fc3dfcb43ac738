"""Shards as Zarr v3 groups: one group a shard, on a local disk or an object store.

In: a shard's arrays. Out: the files of a Zarr v3 group with the arrays ``values`` (chunked, uncompressed), ``offsets``,
``keys`` and ``checksums``. The library works in memory only. The files of a shard are stored and fetched together, as
bytes, because reading single sentences through the library is tens of times slower. Uncompressed chunk files are read
by offset, like those of HDF5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.buffer import Buffer as ZarrBuffer
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from featstore.errors import DamagedStoreError, FeatstoreError
from featstore.files import Buffer
from featstore.stores.contract import FeatureMeta
from featstore.stores.layout import FORMAT_VERSION, ShardIndex, chunk_rows, repair_advice
from featstore.stores.places import Place, join
from featstore.stores.rows import Extent

# The errors of the library for damaged metadata and chunks.
_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class ZarrShards:
    """The Zarr v3 layout of a shard."""

    suffix = ".zarr"

    def encode(self, index: ShardIndex, values: NDArray[np.floating]) -> Mapping[str, Buffer]:
        files: dict[str, ZarrBuffer] = {}
        group = zarr.create_group(MemoryStore(files), zarr_format=3, attributes={"featstore_format": FORMAT_VERSION})
        # A missing chunk is read as the fill value, NaN, which no stored vector contains.
        self._add(group, "values", values, chunk_rows(values), fill_value=np.nan)
        for name, array in (
            ("offsets", index.offsets.astype("<i8")),
            ("keys", index.keys),
            ("checksums", index.checksums.astype("<u8")),
        ):
            self._add(group, name, array, len(array), fill_value=0)
        return {name: buffer.as_numpy_array().data for name, buffer in files.items()}

    def _add(self, group: zarr.Group, name: str, data: NDArray[Any], rows: int, fill_value: float) -> None:
        array = group.create_array(
            name,
            shape=data.shape,
            dtype=data.dtype,
            chunks=(max(rows, 1), *data.shape[1:]),
            compressors=None,
            fill_value=fill_value,
            config={"write_empty_chunks": True},
        )
        array[...] = data

    def decode(self, files: Mapping[str, bytes], where: str) -> tuple[ShardIndex, NDArray[np.floating]]:
        prototype = default_buffer_prototype()
        buffers = {name: prototype.buffer.from_bytes(data) for name, data in files.items()}
        given = sum(len(data) for data in files.values())
        try:
            group = zarr.open_group(MemoryStore(buffers), mode="r", zarr_format=3)
            arrays = {name: _array(group, name, given, where) for name in ("keys", "offsets", "checksums", "values")}
        except FeatstoreError:
            raise
        except _BROKEN as error:
            raise DamagedStoreError(f"{where} is not a whole Zarr shard: {error}. {repair_advice(where)}") from error
        index = ShardIndex(arrays["keys"], arrays["offsets"].astype(np.int64), arrays["checksums"].astype(np.uint64))
        return index, arrays["values"]

    def extents(self, place: Place, name: str, rows: int, meta: FeatureMeta) -> list[Extent] | None:
        facts = f"{name}/values/zarr.json"
        chunk = _plain_chunk_rows(place.read(facts), join(place.location, facts), rows, meta)
        if chunk is None:
            return None
        path = place.local(name)
        return [
            Extent(f"{path or name}/values/c/{i}/0", first, min(first + chunk, rows), 0)
            for i, first in enumerate(range(0, rows, chunk))
        ]


def _array(group: zarr.Group, name: str, given: int, where: str) -> NDArray[Any]:
    """Return a whole array; refuse one that declares far more than the ``given`` bytes can hold."""
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise DamagedStoreError(f"{where} has no array '{name}'; it is not a shard of featstore.")
    if array.nbytes > 1024 * given:  # what lossless compression of vectors can reach, with a wide margin
        raise DamagedStoreError(f"{where} declares {array.nbytes} bytes for '{name}' in files of {given}.")
    data = np.asarray(array[...])
    if data.dtype.kind == "f" and np.isnan(data[:: array.chunks[0], :1]).any():
        raise DamagedStoreError(f"{where} lacks a chunk of '{name}'.")
    return data


def _plain_chunk_rows(raw: bytes, path: str, rows: int, meta: FeatureMeta) -> int | None:
    """Return the rows of a chunk if the chunk files hold nothing but the rows, None if they must be decoded.

    Raises:
        DamagedStoreError: the metadata are not JSON, or not those of ``rows`` rows of this feature set.
    """
    try:
        found = json.loads(raw)
        chunk = found["chunk_grid"]["configuration"]["chunk_shape"][0]
        right = found["shape"] == [rows, meta.dim] and found["data_type"] == meta.dtype
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise DamagedStoreError(f"{path} is not the metadata of a Zarr v3 array: {error}.") from error
    if not right:
        raise DamagedStoreError(
            f"{path} is not the metadata of an array of ({rows}, {meta.dim}) {meta.dtype}, which the index says."
        )
    plain = {
        "node_type": "array",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [chunk, meta.dim]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "storage_transformers": [],
    }
    if isinstance(chunk, int) and chunk > 0 and found == {**found, **plain}:
        return chunk
    return None
