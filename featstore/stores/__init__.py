"""Stores: vectors on disk, keyed by sentence.

In: keys and :class:`~featstore.ragged.Ragged` vectors of one encoder. Out: the same vectors, in the order
asked. A store is a directory (or an address such as ``s3://bucket/features``) of feature sets; a feature set is a
directory of immutable shards (FORMAT.md). Each backend lives in a file of its own that is imported when it is
asked for; adding one is that file and a line in ``BACKENDS``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featstore.ragged import Ragged

if TYPE_CHECKING:
    from featstore.stores.sets import SetInfo

# name -> "module:class" of the layout of a shard in files (a featstore.stores.shards.ShardFormat).
BACKENDS: dict[str, str] = {
    "hdf5": "featstore.stores.hdf5:Hdf5Shards",
    "zarr": "featstore.stores.zarr:ZarrShards",
}
MEMORY = "memory"  # the backend that keeps nothing: for tests, and the oracle of the others
DTYPES = ("float16", "float32")


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
        """Commit one shard: wholly there when this returns, or not at all.

        Keys that are stored already, or that come twice, keep the vectors that came first.

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
        """Take notice of what other processes stored since the set was opened."""
        ...

    def close(self) -> None: ...


def create_store(root: str | Path, meta: FeatureMeta, *, check: bool = False) -> FeatureStore:
    """Open the feature set of ``meta`` in the store ``root`` for writing; create both if need be.

    Any number of processes may do so at once.

    Args:
        root: the store, a directory or an address.
        meta: what the set holds; its backend decides how.
        check: compare every sentence with its checksum when it is read.

    Raises:
        UsageError: an unknown backend or dtype, or a name that no set can have.
        MismatchError: a set in that place holds something else.
        ResourceError: no room, or no right, to write.
    """
    from featstore.stores import sets
    from featstore.stores.location import place_of
    from featstore.stores.places import join
    from featstore.stores.sharded import ShardedStore

    sets.check_meta(meta)
    if meta.backend == MEMORY:
        from featstore.stores.memory import MemoryStore

        return MemoryStore(meta)
    place = place_of(join(str(root), sets.directory_name(meta)))
    sets.ensure(place, meta)
    return ShardedStore(sets.shard_files(place, meta), check=check)


def open_store(path: str | Path, *, check: bool = False) -> FeatureStore:
    """Open the feature set at ``path``, a directory or an address; nothing is written.

    Args:
        path: the set, as :func:`list_sets` gives it.
        check: compare every sentence with its checksum when it is read.

    Raises:
        MissingFileError: there is no feature set.
        DamagedStoreError: there is one, but not as it was written.
        MismatchError: a newer version of featstore wrote it.
    """
    from featstore.stores.sets import open_files
    from featstore.stores.sharded import ShardedStore

    return ShardedStore(open_files(path), check=check)


def list_sets(root: str | Path) -> list[SetInfo]:
    """Return the feature sets of a store, sorted by path; an empty list if there is no such store."""
    from featstore.stores import sets

    return sets.list_sets(str(root))


def find_sets(root: str | Path, name: str) -> list[SetInfo]:
    """Return the feature sets of an encoder.

    Args:
        root: the store.
        name: the encoder's name; ``NAME@PREFIX`` narrows it to identities that begin so.
    """
    encoder, _, prefix = name.partition("@")
    return [s for s in list_sets(root) if s.meta.name == encoder and s.meta.identity.startswith(prefix)]
