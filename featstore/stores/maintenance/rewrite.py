"""Stored vectors in another form: another backend or number type, or fewer and larger shards.

In: a feature set. Out: the same vectors, shard by shard, after each sentence was compared with its checksum. Only a few
shards are in memory at a time. An interrupted run goes on when it is started again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featstore.errors import UsageError
from featstore.progress import Progress
from featstore.ragged import Ragged
from featstore.stores.access import create_store
from featstore.stores.catalogue import remove_naming, update
from featstore.stores.layout import ShardIndex, shard_name
from featstore.stores.places import join
from featstore.stores.sets import check_meta, directory_name, open_files
from featstore.stores.shards import ShardFiles

TARGET_BYTES = 64 * 1024**2

# Called with shards done and shards in all.


@dataclass(frozen=True, slots=True)
class Converted:
    """What :func:`convert` wrote, or would write.

    Attributes:
        source: the feature set that was read; it stays.
        target: the feature set that was written.
        shards: shards read.
        sentences: sentences in them.
    """

    source: str
    target: str
    shards: int
    sentences: int


@dataclass(frozen=True, slots=True)
class Compacted:
    """What :func:`compact` did, or would do.

    Attributes:
        path: the feature set.
        merged: small shards that went into larger ones.
        made: the larger ones.
        doubles: sentences that were in several of the small shards and are now stored once.
    """

    path: str
    merged: int
    made: int
    doubles: int


def convert(
    path: str | Path,
    root: str | Path,
    *,
    backend: str | None = None,
    dtype: str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Store the vectors of a feature set again, in another backend or another number type.

    Args:
        path: the set to read.
        root: the store to write to; it may be the one that holds ``path``.
        backend: the new backend; None keeps it.
        dtype: the new number type; None keeps it. Only float32 can be changed, to float16, because lost digits cannot
            be restored.
        dry_run: only say what would be written.
        progress: called after each shard.

    Raises:
        UsageError: nothing would change, or float16 is to become float32.
        DataError: a number that float16 cannot hold.
        DamagedStoreError: the set is not what was written.
    """
    files = open_files(path)
    meta = check_meta(replace(files.meta, backend=backend or files.meta.backend, dtype=dtype or files.meta.dtype))
    target = join(str(root), directory_name(meta))
    if (files.meta.dtype, meta.dtype) == ("float16", "float32"):
        raise UsageError(f"{path} holds float16; the digits that float32 would add were never stored. Featurize again.")
    if Path(target).absolute() == Path(str(path)).absolute():
        raise UsageError(f"{path} is in {meta.backend} and {meta.dtype} already; name another backend, dtype or store.")
    names, sentences = list(files.sizes()), 0
    store = None if dry_run else create_store(root, meta)
    for done, name in enumerate(names):
        index = files.load_index(name)
        sentences += len(index)
        if store is not None:
            keys = [key.tobytes() for key in index.keys]
            if store.missing(keys):
                store.append(keys, Ragged(files.load_checked(name, index), index.offsets))
        if progress:
            progress(done + 1, len(names))
    return Converted(str(path), target, len(names), sentences)


def compact(
    path: str | Path,
    *,
    target_bytes: int = TARGET_BYTES,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Compacted:
    """Merge small shards into shards of about ``target_bytes``, and the key index of a large set into one segment.

    The new shards are complete before the old ones are removed, and readers that have the set open continue to work.

    Raises:
        DamagedStoreError: the set is not what was written; nothing of the damaged shards was touched.
        ResourceError: no room, or no right, to write.
    """
    files = open_files(path)
    groups = list(_groups(files, target_bytes))
    merged, doubles = 0, 0
    if not dry_run:
        remove_naming(files.place, {name for names in groups for name in names})
    for done, names in enumerate(groups):
        merged += len(names)
        indexes = [files.load_index(name) for name in names]
        keys = np.concatenate([index.keys for index in indexes])
        _, first = np.unique(keys, axis=0, return_index=True)
        doubles += len(keys) - len(first)
        if not dry_run:
            _merge(files, names, indexes, np.sort(first))
        if progress:
            progress(done + 1, len(groups))
    if not dry_run:
        update(files, everything=True)
    return Compacted(str(path), merged, len(groups), doubles)


def _groups(files: ShardFiles, target_bytes: int) -> Iterator[list[str]]:
    """Give groups of shards, each smaller than half the target, that together reach it."""
    row_bytes = files.meta.dim * files.dtype.itemsize
    group: list[str] = []
    size = 0
    for name in files.sizes():
        weight = files.load_index(name).rows * row_bytes
        if weight < target_bytes / 2:
            group.append(name)
            size += weight
        if size >= target_bytes:
            yield group
            group, size = [], 0
    if len(group) > 1:
        yield group


def _merge(files: ShardFiles, names: list[str], indexes: list[ShardIndex], take: NDArray[np.intp]) -> None:
    """Write one shard of the sentences ``take`` of several, then remove those."""
    parts = [
        rows
        for name, index in zip(names, indexes, strict=True)
        for rows in Ragged(files.load_checked(name, index), index.offsets)
    ]
    rows = Ragged.from_list([parts[i] for i in take], files.meta.dim, files.meta.dtype)
    index = ShardIndex(
        np.concatenate([index.keys for index in indexes])[take],
        rows.offsets,
        np.concatenate([index.checksums for index in indexes])[take],
    )
    made = shard_name(files.meta, index)
    files.write(index, rows.values)
    files.remove([name for name in names if name != made])
