"""Check whether every stored byte is unchanged, and save what is left of damaged shards.

In: the path of a feature set. Out: each damage by shard and sentence key; after a repair, the keys whose vectors are
lost and have to be encoded again. Stores know no corpora and no encoders, so the caller of :func:`repair` has to encode
the lost keys (``cli store repair`` does this).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DamagedStoreError, MissingFileError, count_of
from featstore.progress import Progress
from featstore.ragged import Ragged
from featstore.records import KEY_BYTES
from featstore.stores import catalogue
from featstore.stores.index import KeyIndex
from featstore.stores.layout import (
    ShardIndex,
    check_name,
    checksums,
    files_checksum,
    key_array,
    pack_index,
    unpack_index,
)
from featstore.stores.segments import INDEX
from featstore.stores.sets import leftovers, open_files
from featstore.stores.shards import DAMAGED, ShardFiles

_BROKEN = (DamagedStoreError, MissingFileError)

# Called with shards done and shards in all.


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of a shard, or of the key index, that has changed.

    Attributes:
        shard: the shard, or the segment of the index.
        what: description of the damage.
        keys: the sentences whose vectors are lost with it; empty if no vector is.
    """

    shard: str
    what: str
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """What :func:`verify` found.

    Attributes:
        path: the feature set.
        shards: shards examined.
        sentences: sentences in them.
        damages: all damage; empty if the set is sound.
        leftovers: what dead (or live) writers have in the set that no reader sees; harmless.
    """

    path: str
    shards: int
    sentences: int
    damages: tuple[Damage, ...]
    leftovers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repair:
    """What :func:`repair` did, or would do.

    Attributes:
        path: the feature set.
        set_aside: the damaged shards, now in the set's folder ``damaged``.
        saved: sentences of those shards whose vectors were whole and are in a new shard.
        lost: keys that the set no longer has and that have to be encoded again.
        unreadable: shards among ``set_aside`` of which not even the keys could be read; encode the corpus again.
    """

    path: str
    set_aside: tuple[str, ...]
    saved: int
    lost: tuple[bytes, ...]
    unreadable: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Examined:
    """A shard under examination: what is wrong, its index if there is a sound one, its best rows, which are whole."""

    name: str
    problems: list[str]
    index: ShardIndex | None
    values: NDArray[np.floating]
    whole: NDArray[np.bool_]
    guess: tuple[bytes, ...]  # keys that a damaged index lists

    @property
    def lost(self) -> tuple[bytes, ...]:
        if self.index is None:
            return self.guess
        return tuple(self.index.keys[i].tobytes() for i in np.flatnonzero(~self.whole))


def verify(path: str | Path, *, progress: Progress | None = None) -> Verification:
    """Check every byte of a feature set against its checksums, and read it both as readers do and by the library.

    Raises:
        MissingFileError: there is no feature set.
        DamagedStoreError: ``set.json`` itself is damaged; then nothing else can be judged.
    """
    files = open_files(path)
    damages, shards, sentences = [], 0, 0
    for shard in _examine_all(files, progress):
        shards += 1
        sentences += len(shard.index) if shard.index is not None else len(shard.guess)
        if shard.problems:
            damages.append(Damage(shard.name, "; ".join(shard.problems), shard.lost))
    damages += [
        Damage(f"{INDEX}/{segment.name}", "its bytes changed; the vectors are not concerned", ())
        for segment in catalogue.damaged(files.place, files.sizes())
    ]
    return Verification(str(path), shards, sentences, tuple(damages), tuple(leftovers(files.place)))


def repair(path: str | Path, *, dry_run: bool = False, progress: Progress | None = None) -> Repair:
    """Set damaged shards aside, keep what is whole in them, and say which sentences have to be encoded again.

    Raises:
        MissingFileError, DamagedStoreError: as :func:`verify`.
        ResourceError: no room, or no right, to write.
    """
    files = open_files(path)
    aside: list[str] = []
    unreadable: list[str] = []
    broken: list[bytes] = []
    saved, sound = 0, KeyIndex()
    for shard in _examine_all(files, progress):
        if shard.problems:
            aside.append(shard.name)
            broken += shard.lost
            saved += int(shard.whole.sum())
            if shard.index is None:
                unreadable.append(shard.name)
            if not dry_run:
                _set_aside(files, shard.name)
                _save(files, shard)
        if shard.index is not None:
            sound.add(shard.index.keys[shard.whole])
    if not dry_run:
        catalogue.mend(files)
    broken = list(dict.fromkeys(broken))
    gone = np.flatnonzero(sound.find(key_array(broken)) < 0).tolist()
    return Repair(str(path), tuple(aside), saved, tuple(broken[i] for i in gone), tuple(unreadable))


def _examine_all(files: ShardFiles, progress: Progress | None) -> Iterator[_Examined]:
    names = list(files.sizes())
    for done, name in enumerate(names):
        yield _examine(files, name)
        if progress:
            progress(done + 1, len(names))


def _examine(files: ShardFiles, name: str) -> _Examined:
    """Examine all files of a shard, its index and its data."""
    shard = _Examined(name, [], None, np.zeros((0, files.meta.dim), files.dtype), np.zeros(0, dtype=bool), ())
    listed, crc = _listed(files, shard)
    tree = _tree(files, shard, crc)
    inner, decoded = _decoded(files, shard, tree)
    for index in (listed, inner):
        if shard.index is None and index is not None and _fits(files, name, index):
            shard.index = index
    if shard.index is None:
        shard.guess = tuple(k.tobytes() for k in listed.keys) if listed is not None else ()
        return shard
    if inner is not None and pack_index(inner, 0) != pack_index(shard.index, 0):
        shard.problems.append("its data list other keys, offsets or checksums than its index")
    _choose_rows(shard, [_plain(files, shard), decoded])
    return shard


def _listed(files: ShardFiles, shard: _Examined) -> tuple[ShardIndex | None, int | None]:
    """The index as its file lists it, sound or not, and the checksum of the data files."""
    where = files.index_name(shard.name)
    try:
        index, crc = unpack_index(files.place.read(where), where)
    except _BROKEN as error:
        shard.problems.append(str(error))
        return None, None
    if not _fits(files, shard.name, index):
        shard.problems.append("its index does not fit its name")
        return index, None
    return index, crc


def _fits(files: ShardFiles, name: str, index: ShardIndex) -> bool:
    try:
        check_name(files.meta, index, name, name)
    except DamagedStoreError:
        return False
    return True


def _tree(files: ShardFiles, shard: _Examined, crc: int | None) -> dict[str, bytes]:
    """The data files; empty if there are none."""
    try:
        tree = files.place.read_tree(files.data_name(shard.name))
    except MissingFileError as error:
        shard.problems.append(str(error))
        return {}
    if crc is not None and files_checksum(tree) != crc:
        shard.problems.append("bytes of its data files changed")
    return tree


def _decoded(
    files: ShardFiles, shard: _Examined, tree: dict[str, bytes]
) -> tuple[ShardIndex | None, NDArray[np.floating] | None]:
    """The rows that the backend's library reads from the data files."""
    if not tree:
        return None, None
    try:
        index, values = files.layout.decode(tree, files.data_name(shard.name))
    except DamagedStoreError as error:
        shard.problems.append(str(error))
        return None, None
    if index.keys.shape == (len(index.keys), KEY_BYTES) and index.offsets.shape == (len(index.keys) + 1,):
        return index, values
    return None, values


def _plain(files: ShardFiles, shard: _Examined) -> NDArray[np.floating] | None:
    """The rows that readers read by byte offset."""
    assert shard.index is not None
    try:
        return files.load_plain(shard.name, shard.index)
    except _BROKEN as error:
        shard.problems.append(str(error))
        return None


def _choose_rows(shard: _Examined, candidates: list[NDArray[np.floating] | None]) -> None:
    """Of the ways to read the rows, choose the one that returns most sentences undamaged; report the failures of the
    others."""
    index = shard.index
    assert index is not None
    shard.whole = np.zeros(len(index), dtype=bool)
    for values in candidates:
        if values is None:
            continue
        if values.shape != (index.rows, shard.values.shape[1]) or values.dtype != shard.values.dtype:
            shard.problems.append(
                f"its data hold {values.shape} {values.dtype}, its index lists {count_of(index.rows, 'row')}"
            )
            continue
        whole = checksums(np.ascontiguousarray(values), index.offsets) == index.checksums
        if not whole.all():
            shard.problems.append(f"{int((~whole).sum())} of {len(index)} sentences are not what was written")
        if whole.sum() >= shard.whole.sum():
            shard.values, shard.whole = values, whole
    shard.problems = list(dict.fromkeys(shard.problems))


def _set_aside(files: ShardFiles, name: str) -> None:
    catalogue.remove_naming(files.place, [name])
    with files.place.alone(wait=True):
        for part in (files.index_name(name), files.data_name(name)):
            if files.place.exists(part):
                files.place.move(part, f"{DAMAGED}/{part.rpartition('/')[2]}")


def _save(files: ShardFiles, shard: _Examined) -> None:
    """Write the sentences of a damaged shard that are whole as a shard of their own."""
    if shard.index is None or not shard.whole.any():
        return
    kept = np.flatnonzero(shard.whole)
    edges = shard.index.offsets
    rows = Ragged.from_list([shard.values[edges[i] : edges[i + 1]] for i in kept], shard.values.shape[1])
    files.write(ShardIndex(shard.index.keys[kept], rows.offsets, shard.index.checksums[kept]), rows.values)
