"""A feature set made of immutable shards: what the file backends share.

In: the shards of a set (HDF5, Zarr). Out: a FeatureStore. Appending writes one shard and then its index; a shard exists
from the moment its index is there. No file stays open for writing or is changed in place. The table of keys is built
from the shards' index files when the set is opened, so there is no file whose loss could make others unreadable. Only
large sets have segments of sorted keys besides (:mod:`featstore.stores.catalogue`), which save reading these files.
Whatever a segment says is compared with the shard's own index before rows are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DamagedStoreError, MissingFileError
from featstore.ragged import Ragged
from featstore.stores.catalogue import is_worth_while, read_keys, segments, update
from featstore.stores.checks import check_vectors, not_stored
from featstore.stores.contract import FeatureMeta
from featstore.stores.key_table import KeyTable
from featstore.stores.layout import ShardIndex, checksums, key_array, repair_advice, sentences_of_size, shard_name
from featstore.stores.opened import OpenShards
from featstore.stores.places import join
from featstore.stores.shards import ShardFiles

_LISTINGS = 10  # how often shards may vanish between their listing and their opening before that is an error


class ShardedStore:
    """A feature set of immutable shards.

    Args:
        files: the set's shards.
        check: compare each sentence with its checksum when it is read.
        listed: the shards and the sizes of their index files, if they were listed just now.
    """

    def __init__(self, files: ShardFiles, *, check: bool = False, listed: Mapping[str, int] | None = None) -> None:
        self.files = files
        self._meta = files.meta
        self._dtype = files.dtype
        self._check = check
        self._open = OpenShards(files)
        self._segmented = True  # False once a segment was found damaged
        self._forget()
        self._refresh(listed)

    def _forget(self) -> None:
        self._names: list[str] = []
        self._known: set[str] = set()
        self._starts = np.zeros(1, dtype=np.int64)  # position of each shard's first sentence, and one past the last
        self._keys = KeyTable()
        self._loose = 0  # sentences that no segment holds
        self._open.close()

    @property
    def meta(self) -> FeatureMeta:
        return self._meta

    def refresh(self) -> None:
        """Look for shards that others have written or removed since."""
        self._refresh(None)

    def _refresh(self, listed: Mapping[str, int] | None) -> None:
        for attempt in range(_LISTINGS):
            sizes = listed if listed is not None and not attempt else self.files.sizes()
            if not self._known <= sizes.keys():
                self._forget()
            try:
                self._adopt({name: size for name, size in sizes.items() if name not in self._known})
                return
            except MissingFileError:  # another process compacts the set at this moment
                self._forget()
                if attempt == _LISTINGS - 1:
                    raise

    def _adopt(self, sizes: Mapping[str, int]) -> None:
        """Add shards whose index files have these sizes."""
        count = {name: max(sentences_of_size(size), 0) for name, size in sizes.items()}
        starts = self._starts[-1] + np.concatenate(([0], np.cumsum(list(count.values()), dtype=np.int64)))
        start = dict(zip(sizes, starts.tolist(), strict=False))
        loose = dict(sizes)
        if self._segmented and is_worth_while(sum(count.values())):
            for segment in segments(self.files.place, sizes):
                names = segment.contents.shards
                first, many = ([at[name] for name in names] for at in (start, count))
                self._keys.hold(segment, np.array(first, dtype=np.int64), np.array(many, dtype=np.int64))
                for name in names:
                    loose.pop(name, None)
        keys = read_keys(self.files, loose)
        if len(loose) == len(sizes):
            self._keys.add(keys, int(self._starts[-1]))
        else:
            self._keys.add(
                keys,
                np.concatenate(
                    [start[name] + np.arange(count[name]) for name in loose] or [np.zeros(0, dtype=np.int64)]
                ),
            )
        self._loose += len(keys)
        self._names += sizes
        self._known.update(sizes)
        self._starts = np.concatenate((self._starts[:-1], starts))

    def _find(self, keys: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the position of each key, -1 where it is not stored."""
        try:
            return self._keys.find(keys)
        except MissingFileError:
            self._forget()
            self.refresh()  # a segment went into a larger one
        except DamagedStoreError:
            self._distrust()
        try:
            return self._keys.find(keys)
        except (MissingFileError, DamagedStoreError):
            self._distrust()
        return self._keys.find(keys)

    def _distrust(self) -> None:
        """Do without segments from now on, as one is not what was written."""
        self._segmented = False
        self._forget()
        self.refresh()

    def keys(self) -> list[bytes]:
        try:
            raw = self._keys.keys().tobytes()
        except (MissingFileError, DamagedStoreError):
            self._distrust()
            raw = self._keys.keys().tobytes()
        return [raw[i : i + 16] for i in range(0, len(raw), 16)]

    def missing(self, keys: Sequence[bytes]) -> list[bytes]:
        found = self._find(key_array(keys))
        return list(dict.fromkeys(keys[i] for i in np.flatnonzero(found < 0).tolist()))

    def locate(self, key: bytes) -> tuple[str, int] | None:
        """Return the shard that a key is read from and its position in it, or None if it is not stored."""
        position = int(self._find(key_array([key]))[0])
        if position < 0:
            return None
        number = int(np.searchsorted(self._starts, position, side="right")) - 1
        return self._names[number], position - int(self._starts[number])

    def shards_of(self, keys: Sequence[bytes]) -> NDArray[np.int64]:
        position = self._find(key_array(keys))
        return np.where(position < 0, -1, np.searchsorted(self._starts, position, side="right") - 1)

    def append(self, keys: Sequence[bytes], vectors: Ragged) -> None:
        """Commit one shard of those keys that are not stored yet. See :class:`featstore.stores.FeatureStore`."""
        table = key_array(keys)
        checked = check_vectors(self._meta, keys, vectors)
        new = self._find(table) < 0
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        take = np.array([i for i, key in enumerate(keys) if new[i] and first[key] == i], dtype=np.int64)
        if not len(take):
            return
        if len(take) < len(keys):
            checked = Ragged.from_list([checked[i] for i in take], checked.dim, self._meta.dtype)
        values = np.ascontiguousarray(checked.values, dtype=self._dtype)
        self.commit(ShardIndex(table[take], checked.offsets, checksums(values, checked.offsets)), values)

    def commit(self, index: ShardIndex, values: NDArray[np.floating]) -> None:
        """Write a shard, for callers that have already made the checks of :meth:`append`."""
        if shard_name(self._meta, index) not in self._known:
            name, size = self.files.write(index, values)
            self._adopt({name: size})
            if is_worth_while(self._loose):
                self._settle()

    def _settle(self) -> None:
        """Have the keys that are only in memory put into a segment; where that fails, they stay there."""
        self._loose = 0  # not tried again before as many more have come
        with suppress(MissingFileError, DamagedStoreError):
            update(self.files)
            self._forget()
        self.refresh()

    def read(self, keys: Sequence[bytes]) -> Ragged:
        """Return vectors in the order asked. See :class:`featstore.stores.FeatureStore`.

        Raises:
            DamagedStoreError: a shard is not what was written.
        """
        table = key_array(keys)
        try:
            return self._read(table, keys)
        except MissingFileError:
            self.refresh()  # another process compacted or cleaned up meanwhile
        try:
            return self._read(table, keys)
        except MissingFileError as error:
            advice = repair_advice(self.files.place.location)
            raise DamagedStoreError(f"a shard is listed but its data are gone: {error} {advice}") from error

    def _read(self, table: NDArray[np.uint8], keys: Sequence[bytes]) -> Ragged:
        position = self._find(table)
        if (position < 0).any():
            position = self._find_surely(table, position < 0)
        if (position < 0).any():
            raise not_stored(self._meta, [keys[i] for i in np.flatnonzero(position < 0).tolist()], len(keys))
        shard = np.searchsorted(self._starts, position, side="right") - 1
        row = position - self._starts[shard]
        start, stop = np.empty_like(row), np.empty_like(row)
        for number, here in _groups(shard):
            index, rows = self._open.index(self._names[number]), row[here]
            if self._keys.segmented and not np.array_equal(index.keys[rows], table[here]):
                self._distrust()
                return self._read(table, keys)
            start[here], stop[here] = index.offsets[rows], index.offsets[rows + 1]
        out = np.zeros(len(position) + 1, dtype=np.int64)
        np.cumsum(stop - start, out=out[1:])
        values = np.empty((int(out[-1]), self._meta.dim), dtype=self._dtype)
        self._open.fill(values, out, self._names, shard, start, stop)
        if self._check:
            self._compare(values, out, shard, row)
        return Ragged(values.astype(self._meta.dtype, copy=False), out)

    def _find_surely(self, table: NDArray[np.uint8], absent: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Find keys again, some of which are absent, after it is sure that no damaged segment hides them."""
        try:
            self._keys.check(table[absent])
        except (MissingFileError, DamagedStoreError):
            self._distrust()
        return self._find(table)

    def _compare(
        self, values: NDArray[np.floating], out: NDArray[np.int64], shard: NDArray[np.int64], row: NDArray[np.int64]
    ) -> None:
        sums = checksums(values, out)
        for i in range(len(row)):
            index = self._open.index(self._names[shard[i]])
            if sums[i] != index.checksums[row[i]]:
                where = join(self.files.place.location, self.files.data_name(self._names[shard[i]]))
                raise DamagedStoreError(
                    f"{where}: the vectors of sentence {index.keys[row[i]].tobytes().hex()} are not those that were "
                    f"written. {repair_advice(where)}"
                )

    def close(self) -> None:
        """Close files and drop decoded shards; a later read opens them again."""
        self._open.close()


def _groups(shard: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Return each shard that occurs and where it does."""
    if not len(shard):
        return
    order = shard.argsort(kind="stable")
    ordered = shard[order]
    heads = [0, *((ordered[1:] != ordered[:-1]).nonzero()[0] + 1).tolist()]
    for number, a, b in zip(ordered[heads].tolist(), heads, [*heads[1:], len(order)], strict=True):
        yield number, order[a:b]
