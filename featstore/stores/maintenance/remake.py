"""Mending a view with the feature set that it was made of.

In: a view. Out: damaged shards are set aside, as in any set, and the rows that were lost with them are projected again.
No encoder makes the rows of a view; its source does, as long as it holds the rows that it held when the view was made:
then the same projection comes out, and its digest is among the view's facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featstore.errors import DamagedStoreError, MismatchError, MissingFeatureError
from featstore.progress import Progress
from featstore.ragged import Ragged
from featstore.stores.access import find_sets, list_sets, open_store
from featstore.stores.catalogue import mend
from featstore.stores.contract import FeatureMeta
from featstore.stores.maintenance.verify import Repair, repair
from featstore.stores.maintenance.views import VIEW, Projection, fit
from featstore.stores.places import split
from featstore.stores.sets import SetInfo, open_files
from featstore.stores.sharded import ShardedStore


@dataclass(frozen=True, slots=True)
class Remade:
    """The result of mending a view.

    Attributes:
        repair: the shards that were set aside, and the sentences that were lost with them.
        remade: lost sentences that were projected again.
        absent: lost sentences that the source has lost as well.
    """

    repair: Repair
    remade: int
    absent: int


def is_view(meta: FeatureMeta) -> bool:
    """Tell whether a feature set is a view."""
    return meta.facts.get("kind") == VIEW


def remake(path: str | Path, *, dry_run: bool = False, progress: Progress | None = None) -> Remade:
    """Set the damaged shards of a view aside and project their sentences again.

    Args:
        path: the view.
        dry_run: only say what would be done.
        progress: called with (shards of the source that were read, shards to read).

    Raises:
        MissingFeatureError: its source is not in the store of the view; nothing was touched.
        MismatchError: the source holds other rows than when the view was made; nothing was touched.
        DamagedStoreError: the source is damaged.
        ResourceError: no room, or no right, to write.
    """
    planned = repair(path, dry_run=True)
    if not planned.set_aside:
        if not dry_run:
            mend(open_files(path))
        return Remade(planned, 0, 0)
    root, _ = split(path)
    meta = open_files(path).meta
    source = _source(root, meta)
    if source is None:
        raise MissingFeatureError(
            f"{path} is a view of the feature set {str(meta.facts.get('source'))[:16]} in "
            f"{meta.facts.get('source_dtype')}, which is not in {root}; import that set, or make its vectors again "
            "with `cli featurize`, then repair the view."
        )
    projection = _fit(source, meta, progress)
    if projection.meta.identity != meta.identity:
        raise MismatchError(
            f"{path} cannot be mended, as {source.path} no longer holds just the rows of which it was made; make a "
            f"new view with `cli store view {Path(source.path).name} --dims {meta.facts['dims']} --method "
            f"{meta.facts['method']}`, and train on that."
        )
    done = repair(path, dry_run=dry_run)
    with closing(ShardedStore(open_files(source.path), check=True)) as store:
        absent = set(store.missing(done.lost))
        lost = [key for key in done.lost if key not in absent]
        if not dry_run and lost:
            _project(store, lost, projection, path, meta)
    return Remade(done, len(lost), len(absent))


def view_facts(root: str | Path, name: str) -> Mapping[str, object] | None:
    """Return the facts that a view of this name would have if it were made now; None if the store has no such view.

    Where its source is not in the store, they are those that it has.
    """
    views = [found for found in find_sets(root, name) if is_view(found.meta)]
    for view in views:
        if source := _source(root, view.meta):
            return _fit(source, view.meta, None).meta.facts
    return views[0].meta.facts if views else None


def _source(root: str | Path, meta: FeatureMeta) -> SetInfo | None:
    """Return the set of which a view was made, in any backend."""
    wanted = meta.facts.get("source"), meta.facts.get("source_dtype")
    return next((s for s in list_sets(root) if (s.meta.identity, s.meta.dtype) == wanted), None)


def _fit(source: SetInfo, meta: FeatureMeta, progress: Progress | None) -> Projection:
    dims, method = meta.facts.get("dims"), meta.facts.get("method")
    if not isinstance(dims, int) or not isinstance(method, str):
        raise DamagedStoreError(
            f"the view '{meta.name}' does not say how it was made; make it again (`cli store view`)."
        )
    return fit(open_files(source.path), dims, method, progress=progress)


def _project(
    source: ShardedStore, keys: list[bytes], projection: Projection, path: str | Path, meta: FeatureMeta
) -> None:
    """Store the rows of some sentences of the source in a view, those of a shard of the source together."""
    number = source.shards_of(keys)
    with closing(open_store(path)) as view:
        for shard in np.unique(number).tolist():
            part = [keys[i] for i in np.flatnonzero(number == shard)]
            rows = source.read(part)
            view.append(part, Ragged(projection.apply(rows.values).astype(meta.dtype), rows.offsets))
