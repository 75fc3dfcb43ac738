"""Rows out of shards: straight from the file where its bytes are plain, from decoded arrays otherwise.

In: where the rows lie (extents of files, or an array). Out: rows copied into the caller's array. Positional
reads (``preadv``) are used and not a memory map: as fast here, but a file that was cut short or a file system that
went away gives an error and not a dead process, and a descriptor can be shared over a fork.
"""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DamagedStoreError


@dataclass(frozen=True, slots=True)
class Extent:
    """Consecutive rows that lie one after the other in a file.

    Attributes:
        path: the file.
        first: the first of the rows.
        stop: the row after the last.
        offset: byte offset of the first row in the file.
    """

    path: Path
    first: int
    stop: int
    offset: int


class Rows(Protocol):
    """The rows of one shard."""

    def read_into(self, start: int, out: NDArray[np.floating]) -> None:
        """Fill ``out``, of shape (t, D), with rows ``start`` to ``start + t``."""
        ...


class _OpenFile:
    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self.fd)


class OpenFiles:
    """The files that were read last, open; the least recently used is closed when there are more than ``most``."""

    def __init__(self, most: int = 128) -> None:
        self._most = most
        self._files: OrderedDict[Path, _OpenFile] = OrderedDict()

    def get(self, path: Path) -> _OpenFile:
        """Return the file, opened if need be.

        Raises:
            FileNotFoundError: there is none.
        """
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = _OpenFile(path)
            while len(self._files) > self._most:
                self._files.popitem(last=False)
        else:
            self._files.move_to_end(path)
        return file

    def clear(self) -> None:
        """Close all files (each as soon as no read is using it)."""
        self._files.clear()


class FileRows:
    """Rows read from extents of files."""

    def __init__(self, extents: list[Extent], files: OpenFiles) -> None:
        self._extents = extents
        self._files = files

    def read_into(self, start: int, out: NDArray[np.floating]) -> None:
        """Fill ``out``, C-contiguous (t, D), with rows ``start`` to ``start + t``.

        Raises:
            DamagedStoreError: the file ends before the rows do.
            FileNotFoundError: the file is gone.
        """
        stop = start + len(out)
        row_bytes = out.strides[0]
        for extent in self._extents:
            a, b = max(start, extent.first), min(stop, extent.stop)
            if a < b:
                where = extent.offset + (a - extent.first) * row_bytes
                self._fill(extent.path, where, out[a - start : b - start])

    def _fill(self, path: Path, where: int, out: NDArray[np.floating]) -> None:
        file = self._files.get(path)
        buffer = out.reshape(-1).view(np.uint8).data
        done = os.preadv(file.fd, [buffer], where)
        while 0 < done < len(buffer):  # a read may stop early (2 GiB limit, a signal)
            more = os.preadv(file.fd, [buffer[done:]], where + done)
            if more == 0:
                break
            done += more
        if done < len(buffer):
            raise DamagedStoreError(
                f"{path} ends at byte {where + done}, rows were expected up to byte {where + len(buffer)}; "
                "`cli store verify` lists the damage and `cli store repair` mends it."
            )


class ArrayRows:
    """Rows of a decoded shard."""

    def __init__(self, values: NDArray[np.floating]) -> None:
        self._values = values

    @property
    def nbytes(self) -> int:
        """Memory that the rows take."""
        return self._values.nbytes

    def read_into(self, start: int, out: NDArray[np.floating]) -> None:
        """Fill ``out``, (t, D), with rows ``start`` to ``start + t``."""
        out[:] = self._values[start : start + len(out)]


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
        """Keep a shard's rows, letting go of the least recently used."""
        self._shards[name] = rows
        held = sum(r.nbytes for r in self._shards.values())
        while held > self._budget and len(self._shards) > 1:
            held -= self._shards.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Let go of all."""
        self._shards.clear()
