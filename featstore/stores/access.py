"""Open, create and find the feature sets of a store.

In: the place of a store or of a set. Out: an open :class:`~featstore.stores.contract.FeatureStore`, or what the store
holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from featstore.stores.contract import MEMORY, FeatureMeta, FeatureStore
from featstore.stores.location import place_of
from featstore.stores.memory import MemoryStore
from featstore.stores.places import join
from featstore.stores.sets import SetInfo, check_meta, directory_name, ensure, listed_sets, open_files, shard_files
from featstore.stores.sharded import ShardedStore


@dataclass(frozen=True, slots=True)
class FoundSet:
    """A feature set that was found in a store.

    Attributes:
        info: what it is, and where.
        listed: its shards, and the sizes of their index files.
    """

    info: SetInfo
    listed: Mapping[str, int]

    def open(self, *, check: bool = False) -> FeatureStore:
        """Open the set as :func:`open_store` does, without listing again what was listed when it was found."""
        files = shard_files(place_of(self.info.path), self.info.meta)
        return ShardedStore(files, check=check, listed=self.listed)


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
    return [info for info, _ in listed_sets(str(root))]


def find_sets(root: str | Path, name: str) -> list[SetInfo]:
    """Return the feature sets of an encoder; see :func:`look_up`."""
    return [found.info for found in look_up(root, name)]


def look_up(root: str | Path, name: str) -> list[FoundSet]:
    """Return the feature sets of an encoder, each of which can be opened.

    Args:
        root: the store.
        name: the encoder's name; ``NAME@PREFIX`` takes only identities that begin with the prefix. The
            name of a set's directory means that set alone: one encoder may be stored in several dtypes and backends.
    """
    encoder, _, prefix = name.partition("@")

    def is_meant(meta: FeatureMeta) -> bool:
        return (meta.name == encoder and meta.identity.startswith(prefix)) or directory_name(meta) == name

    return [FoundSet(info, sizes) for info, sizes in listed_sets(str(root), is_meant)]
