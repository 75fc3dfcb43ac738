"""The row of each word of a table, looked up in files that are mapped into memory.

In: the words of a table, in the order of its rows. Out: a folder of four arrays, and the row of any word. A dictionary
of GloVe's 400,000 words takes a quarter of a second and 100 MB in each process; the files take neither, and processes
share them.

``hashes.npy`` has 64 bits of each word's BLAKE2 digest in ascending order, ``rows.npy`` the row of each of them,
``text.npy`` the words in UTF-8, row after row, and ``bounds.npy`` where each begins and the last one ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

_FILES = {"hashes": np.uint64, "rows": np.uint32, "text": np.uint8, "bounds": np.int64}


class Words(Protocol):
    """The words of a table: a dictionary of their rows, or a :class:`WordIndex`."""

    def __len__(self) -> int:
        """Return how many words there are."""

    def get(self, word: str, /) -> int | None:
        """Return the row of a word, or None."""


class WordIndex:
    """The words of a folder that :func:`write_index` has filled.

    Raises:
        OSError: there is no such folder, or it cannot be read.
        ValueError, EOFError: it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._hashes, self._rows, self._text, self._bounds = (_mapped(folder, name) for name in _FILES)
        count = len(self._hashes)
        ascending = (self._hashes[:-1] <= self._hashes[1:]).all() and (self._bounds[:-1] <= self._bounds[1:]).all()
        if not (
            count == len(self._rows) == len(self._bounds) - 1
            and ascending
            and self._rows.max(initial=0) < max(count, 1)
            and (self._bounds[0], self._bounds[-1]) == (0, len(self._text))
        ):
            raise ValueError(f"{folder} holds arrays that do not fit together")

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, word: str, /) -> int | None:
        """Return the row of a word, or None."""
        raw = word.encode("utf-8", "surrogatepass")
        wanted = _hash(raw)
        place = int(np.searchsorted(self._hashes, wanted))
        while place < len(self) and self._hashes[place] == wanted:
            row = int(self._rows[place])
            if self._text[self._bounds[row] : self._bounds[row + 1]].tobytes() == raw:
                return row
            place += 1  # another word with the same hash
        return None


def write_index(folder: Path, words: Sequence[str]) -> None:
    """Write the files of the distinct ``words`` to a folder.

    Raises:
        OSError: it cannot be written.
    """
    raw = [word.encode("utf-8", "surrogatepass") for word in words]
    hashes = np.array([_hash(each) for each in raw], dtype=np.uint64)
    order = np.argsort(hashes, kind="stable")
    arrays: dict[str, NDArray[Any]] = {
        "hashes": hashes[order],
        "rows": order.astype(np.uint32),
        "text": np.frombuffer(b"".join(raw), dtype=np.uint8),
        "bounds": np.cumsum([0, *map(len, raw)], dtype=np.int64),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def _hash(raw: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little"))


def _mapped(folder: Path, name: str) -> NDArray[Any]:
    array: NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    if array.dtype != _FILES[name] or array.ndim != 1:
        raise ValueError(f"{name}.npy of {folder} holds {array.dtype} of {array.ndim} dimensions")
    return np.asarray(array)  # a plain array is faster to index than a memmap
