"""The room that feature sets take, and freeing it.

In: a store. Out: what each set holds and weighs; after :func:`collect`, fewer sets and no leftovers. Only whole sets
are removed. A set holds the vectors of one encoder for all corpora, and missing vectors are encoded again on demand.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from featstore.stores.access import list_sets
from featstore.stores.contract import FeatureMeta
from featstore.stores.layout import SET_FILE, sentences_of_size
from featstore.stores.location import place_of
from featstore.stores.places import STAGING, Place, split
from featstore.stores.segments import INDEX
from featstore.stores.sets import leftovers, open_files
from featstore.stores.shards import DAMAGED, SHARDS

# Leftovers of this age belong to no live writer, even where locks do not exist (FORMAT.md, section 10).
STALE_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class SetUsage:
    """The content and the size of a feature set.

    Attributes:
        path: its directory or address.
        meta: what it holds.
        shards: complete shards.
        sentences: sentences in them.
        tokens: rows of them.
        bytes: disk space of its shards and of the key index.
        leftover_bytes: disk space of what no reader sees: staged files, data without an index, damaged shards.
        age: seconds since a shard was last written.
    """

    path: str
    meta: FeatureMeta
    shards: int
    sentences: int
    tokens: int
    bytes: int
    leftover_bytes: int
    age: float


@dataclass(frozen=True, slots=True)
class Collected:
    """What :func:`collect` removed, or would remove.

    Attributes:
        removed: the feature sets.
        leftovers: paths of what no reader sees.
        freed: bytes that all of it takes.
        kept: bytes that stay.
    """

    removed: tuple[SetUsage, ...]
    leftovers: tuple[str, ...]
    freed: int
    kept: int


def usage(root: str | Path) -> list[SetUsage]:
    """Return what each feature set of a store holds and weighs, sorted by path.

    Raises:
        DamagedStoreError: a set or an index that cannot be read.
    """
    return [_usage(info.path, info.meta) for info in list_sets(root)]


def _usage(path: str, meta: FeatureMeta) -> SetUsage:
    files = open_files(path)
    sizes = files.sizes()
    orphans = [name for name in leftovers(files.place) if name.startswith((SHARDS, INDEX))]
    ages = files.place.ages(SHARDS) or files.place.ages("")
    return SetUsage(
        path=path,
        meta=meta,
        shards=len(sizes),
        sentences=sum(max(sentences_of_size(size), 0) for size in sizes.values()),
        tokens=sum(files.load_index(name).rows for name in sizes),
        bytes=files.place.total(SHARDS) + files.place.total(INDEX) - sum(map(files.place.total, orphans)),
        leftover_bytes=sum(map(files.place.total, _unseen(files.place))),
        age=min(ages.values()),
    )


def _unseen(place: Place) -> list[str]:
    """What no reader sees, damaged shards that were set aside included."""
    return leftovers(place) + [f"{DAMAGED}/{name}" for name in place.sizes(DAMAGED)]


def collect(
    root: str | Path,
    *,
    keep: Collection[str] | None = None,
    older_than: float | None = None,
    quota: int | None = None,
    dry_run: bool = True,
) -> Collected:
    """Remove leftovers, and the feature sets that meet all given conditions.

    Without a condition only leftovers are removed. Files that a live writer has staged stay.

    Args:
        root: the store.
        keep: identities that something still refers to; sets of these stay.
        older_than: only sets to which nothing was written for so many seconds go.
        quota: sets go, the one that was written to longest ago first, until the store takes no more bytes than this.
        dry_run: only say what would go.

    Raises:
        ResourceError: the store cannot be written.
    """
    sets = usage(root)
    goes = sorted(
        (s for s in sets if (keep is None or s.meta.identity not in keep) and s.age >= (older_than or 0.0)),
        key=lambda s: -s.age,
    )
    if keep is None and older_than is None and quota is None:
        goes = []
    if quota is not None:
        total, limited = sum(s.bytes for s in sets), []
        for candidate in goes:
            if total > quota:
                limited.append(candidate)
                total -= candidate.bytes
        goes = limited
    stays = [s for s in sets if s not in goes]
    swept, freed = _sweep(stays, dry_run)
    if not dry_run:
        for candidate in goes:
            _remove_set(candidate.path)
    freed += sum(s.bytes + s.leftover_bytes for s in goes)
    return Collected(tuple(goes), tuple(swept), freed, sum(s.bytes for s in stays))


def _sweep(sets: list[SetUsage], dry_run: bool) -> tuple[list[str], int]:
    """Remove what no reader sees from sets that stay; gives the paths and their bytes."""
    swept, freed = [], 0
    for info in sets:
        place = place_of(info.path)
        with place.alone(wait=False) as alone:
            ages = {
                f"{folder}/{n}": age for folder in (STAGING, SHARDS, INDEX) for n, age in place.ages(folder).items()
            }
            names = [n for n in _unseen(place) if alone or ages.get(n, STALE_SECONDS) >= STALE_SECONDS]
            freed += sum(place.total(name) for name in names)
            swept += [f"{info.path}/{name}" for name in names]
            if not dry_run:
                place.remove(names)
    return swept, freed


def _remove_set(path: str) -> None:
    """Remove a whole set: at once where a directory can be renamed, else what makes it a set first."""
    parent, name = split(path)
    place = place_of(path)
    with place.alone(wait=True):
        place.remove([SET_FILE])
        place_of(parent).remove([name])
