"""Open, create and find the feature sets of a store.

In: the place of a store or of a set. Out: an open :class:`~featstore.stores.contract.FeatureStore`, or what the store
holds.
"""

from __future__ import annotations

from pathlib import Path

from featstore.stores.contract import MEMORY, FeatureMeta, FeatureStore
from featstore.stores.location import place_of
from featstore.stores.memory import MemoryStore
from featstore.stores.places import join
from featstore.stores.sets import SetInfo, check_meta, directory_name, ensure, open_files, shard_files
from featstore.stores.sets import list_sets as _list_sets
from featstore.stores.sharded import ShardedStore


def create_store(root: str | Path, meta: FeatureMeta, *, check: bool = False) -> FeatureStore:
    """Open the feature set of ``meta`` in the store ``root`` for writing. Both are created if they do not exist.

    Any number of processes may do this at the same time.

    Args:
        root: the store, a directory or an address.
        meta: the facts of the set; its backend decides how it is stored.
        check: compare every sentence with its checksum when it is read.

    Raises:
        UsageError: an unknown backend or dtype, or a name that no set can have.
        MismatchError: a set in that place holds something else.
        ResourceError: no room, or no right, to write.
    """
    check_meta(meta)
    if meta.backend == MEMORY:
        return MemoryStore(meta)
    place = place_of(join(str(root), directory_name(meta)))
    ensure(place, meta)
    return ShardedStore(shard_files(place, meta), check=check)


def open_store(path: str | Path, *, check: bool = False) -> FeatureStore:
    """Open the feature set at ``path``, a directory or an address; nothing is written.

    Args:
        path: the set, as :func:`list_sets` gives it.
        check: compare every sentence with its checksum when it is read.

    Raises:
        MissingFileError: there is no feature set.
        DamagedStoreError: there is one, but its content has changed.
        MismatchError: a newer version of featstore wrote it.
    """

    return ShardedStore(open_files(path), check=check)


def list_sets(root: str | Path) -> list[SetInfo]:
    """Return the feature sets of a store, sorted by path; an empty list if there is no such store."""

    return _list_sets(str(root))


def find_sets(root: str | Path, name: str) -> list[SetInfo]:
    """Return the feature sets of an encoder.

    Args:
        root: the store.
        name: the encoder's name; ``NAME@PREFIX`` takes only identities that begin with the prefix. The
            name of a set's directory means that set alone: one encoder may be stored in several dtypes and backends.
    """
    encoder, _, prefix = name.partition("@")

    def is_meant(meta: FeatureMeta) -> bool:
        return (meta.name == encoder and meta.identity.startswith(prefix)) or directory_name(meta) == name

    return _list_sets(str(root), is_meant)
