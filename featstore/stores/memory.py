"""The store in memory: the oracle that the other backends are tested against.

In: keys and vectors. Out: the same vectors, until the process ends. As simple as the contract allows: a
dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featstore.ragged import Ragged
from featstore.stores.checks import check_vectors, not_stored
from featstore.stores.contract import FeatureMeta


class MemoryStore:
    """A feature set in a dictionary."""

    def __init__(self, meta: FeatureMeta) -> None:
        self._meta = meta
        self._rows: dict[bytes, NDArray[np.floating]] = {}

    @property
    def meta(self) -> FeatureMeta:
        return self._meta

    def keys(self) -> list[bytes]:
        return list(self._rows)

    def missing(self, keys: Sequence[bytes]) -> list[bytes]:
        return [key for key in dict.fromkeys(keys) if key not in self._rows]

    def append(self, keys: Sequence[bytes], vectors: Ragged) -> None:
        checked = check_vectors(self._meta, keys, vectors)
        for key, rows in zip(keys, checked, strict=True):
            self._rows.setdefault(key, rows.copy())

    def read(self, keys: Sequence[bytes]) -> Ragged:
        absent = self.missing(keys)
        if absent:
            raise not_stored(self._meta, absent, len(keys))
        return Ragged.from_list([self._rows[key] for key in keys], self._meta.dim, self._meta.dtype)

    def shards_of(self, keys: Sequence[bytes]) -> NDArray[np.int64]:
        return np.array([0 if key in self._rows else -1 for key in keys], dtype=np.int64)

    def refresh(self) -> None:
        """Nothing to do: nobody else can write here."""

    def close(self) -> None:
        """Nothing to do: what is stored stays as long as the object."""
