"""Stores: vectors on disk, keyed by sentence.

In: keys and :class:`~featstore.ragged.Ragged` vectors of one encoder. Out: the same vectors, in the order
asked. A store is a directory of feature sets; a feature set is a directory of immutable shards (FORMAT.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from featstore.ragged import Ragged


@dataclass(frozen=True, slots=True)
class FeatureMeta:
    """What a feature set holds.

    Attributes:
        name: the encoder's name, the word that ``--features`` uses.
        identity: the encoder's identity, 64 hex digits.
        dim: columns of a row.
        layers: layers of equal width in those columns, layer-major.
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
    facts: dict[str, Any] = field(default_factory=dict)


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
        """Commit one shard: wholly there when this returns, or not at all."""
        ...

    def read(self, keys: Sequence[bytes]) -> Ragged:
        """Return the vectors of ``keys`` in the order asked (repeats allowed).

        Raises:
            MissingFeatureError: a key is not stored.
        """
        ...

    def close(self) -> None: ...


# open_store(path, meta=None) -> FeatureStore ; list_sets(root) -> list of (path, FeatureMeta) : see the issue
