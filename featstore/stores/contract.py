"""What a feature set is: its facts, and the protocol of an open one.

In: nothing; these are records and a protocol. Out: the vocabulary of the stores and of whoever uses them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from featstore.ragged import Ragged

MEMORY = "memory"  # the backend that keeps nothing: for tests, and the oracle of the others
DTYPES = ("float16", "float32")


@dataclass(frozen=True, slots=True)
class FeatureMeta:
    """What a feature set holds.

    Attributes:
        name: the encoder's name, as in ``--features``.
        identity: the encoder's identity, 64 hex digits.
        dim: number of columns of a row.
        layers: number of layers of equal width in those columns, layer-major.
        dtype: ``float16`` or ``float32``.
        backend: ``hdf5``, ``zarr`` or ``memory``.
        facts: the declared facts behind the identity.
    """

    name: str
    identity: str
    dim: int
    layers: int
    dtype: str
    backend: str
    facts: Mapping[str, object] = field(default_factory=dict)


class FeatureStore(Protocol):
    """One feature set, open."""

    @property
    def meta(self) -> FeatureMeta: ...

    def keys(self) -> Iterable[bytes]:
        """All keys that complete shards hold."""
        ...

    def missing(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those of ``keys`` that are not stored: distinct, in the order given."""
        ...

    def append(self, keys: Sequence[bytes], vectors: Ragged) -> None:
        """Commit one shard. It is complete when this returns, or it does not exist.

        Keys that are stored already, or that are given twice, keep their first vectors.

        Raises:
            DataError: a value that is not finite, or too large for float16, or one key with two lengths.
            MismatchError: rows of another width than the set's.
            ResourceError: no room, or no right, to write.
        """
        ...

    def read(self, keys: Sequence[bytes]) -> Ragged:
        """Return the vectors of ``keys`` in the order asked (repeats allowed).

        Raises:
            MissingFeatureError: a key is not stored.
            DamagedStoreError: what is stored is not what was written.
        """
        ...

    def shards_of(self, keys: Sequence[bytes]) -> NDArray[np.int64]:
        """Return the number of the shard that each of ``keys`` is read from; keys of one shard are best read together.

        Shape: (n,), -1 where a key is not stored.
        """
        ...

    def refresh(self) -> None:
        """Look for shards that other processes have stored since the set was opened."""
        ...

    def close(self) -> None:
        """Let go of files and of decoded vectors; a later read opens them again."""
        ...
