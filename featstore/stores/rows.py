"""Rows out of shards: straight from the file where its bytes are plain, from decoded arrays otherwise.

In: where the rows lie (extents of files, or an array). Out: rows copied into the caller's array. Positional reads
(``preadv``) are used instead of a memory map. They are as fast here, but a truncated file or a lost file system raises
an error instead of killing the process, and a descriptor can be shared over a fork.
"""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DamagedStoreError, MissingFileError
from featstore.stores.layout import repair_advice


@dataclass(frozen=True, slots=True)
class Extent:
    """Consecutive rows that lie one after the other in a file.

    Attributes:
        path: the file.
        first: the first of the rows.
        stop: the row after the last.
        offset: byte offset of the first row in the file.
    """

    path: str
    first: int
    stop: int
    offset: int


class Rows(Protocol):
    """The rows of one shard."""

    def read_into(self, start: int, out: memoryview) -> None:
        """Fill ``out``, the bytes of whole rows, with the rows from ``start`` on."""
        ...


class _OpenFile:
    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self.fd)


class OpenFiles:
    """The files that were read last, kept open. If there are more than ``most``, the least recently used one is
    closed."""

    def __init__(self, most: int = 128) -> None:
        self._most = most
        self._files: OrderedDict[str, _OpenFile] = OrderedDict()

    def get(self, path: str) -> _OpenFile:
        """Return the file, opened if need be.

        Raises:
            MissingFileError: there is none.
        """
        file = self._files.get(path)
        if file is None:
            try:
                file = self._files[path] = _OpenFile(path)
            except FileNotFoundError as error:
                raise MissingFileError(f"{path} does not exist.") from error
            while len(self._files) > self._most:
                self._files.popitem(last=False)
        else:
            self._files.move_to_end(path)
        return file

    def clear(self) -> None:
        """Close all files (each as soon as no read is using it)."""
        self._files.clear()


class FileRows:
    """Rows of ``row_bytes`` each, read from extents of files."""

    def __init__(self, extents: list[Extent], row_bytes: int, files: OpenFiles) -> None:
        self._extents = extents
        self._row_bytes = row_bytes
        self._files = files

    def read_into(self, start: int, out: memoryview) -> None:
        """Fill ``out``, the bytes of whole rows, with the rows from ``start`` on.

        Raises:
            DamagedStoreError: the file ends before the rows do.
            MissingFileError: the file is gone.
        """
        for extent in self._extents:
            if extent.first <= start < extent.stop:
                part = out[: (extent.stop - start) * self._row_bytes]
                self._fill(part, extent.path, extent.offset + (start - extent.first) * self._row_bytes)
                if len(part) == len(out):
                    return
                start, out = extent.stop, out[len(part) :]

    def _fill(self, out: memoryview, path: str, where: int) -> None:
        file = self._files.get(path)
        done = os.preadv(file.fd, [out], where)
        while 0 < done < len(out):  # a read may stop early (2 GiB limit, a signal)
            more = os.preadv(file.fd, [out[done:]], where + done)
            if more == 0:
                break
            done += more
        if done < len(out):
            raise DamagedStoreError(
                f"{path} ends at byte {where + done}, rows were expected up to byte {where + len(out)}. "
                f"{repair_advice(path)}"
            )


class ArrayRows:
    """Rows of a decoded shard; Shape: values (sum T, D)."""

    def __init__(self, values: NDArray[np.floating]) -> None:
        self._bytes = byte_view(np.ascontiguousarray(values))
        self._row_bytes = values.shape[1] * values.itemsize

    @property
    def nbytes(self) -> int:
        """Memory that the rows take."""
        return len(self._bytes)

    def read_into(self, start: int, out: memoryview) -> None:
        """Fill ``out``, the bytes of whole rows, with the rows from ``start`` on."""
        where = start * self._row_bytes
        out[:] = self._bytes[where : where + len(out)]


def byte_view(values: NDArray[np.floating]) -> memoryview:
    """Return the bytes of a C-contiguous array, not copied."""
    return values.reshape(-1).view(np.uint8).data


class DecodedShards:
    """The decoded shards that were read last, up to ``budget`` bytes together (one at least)."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._shards: OrderedDict[str, ArrayRows] = OrderedDict()

    def get(self, name: str) -> ArrayRows | None:
        """Return a shard's rows if they are kept."""
        if name in self._shards:
            self._shards.move_to_end(name)
        return self._shards.get(name)

    def put(self, name: str, rows: ArrayRows) -> None:
        """Keep a shard's rows, and drop those that were least recently used."""
        self._shards[name] = rows
        held = sum(r.nbytes for r in self._shards.values())
        while held > self._budget and len(self._shards) > 1:
            held -= self._shards.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Drop all."""
        self._shards.clear()
