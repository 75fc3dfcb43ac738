"""Whatever made a set (featurize, convert, view, compact, import), everything that is done with a set works on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featstore.errors import MismatchError, MissingFeatureError
from featstore.stores import create_store, find_sets, list_sets, open_store
from featstore.stores.maintenance.bundle import export_bundle, import_bundle
from featstore.stores.maintenance.explain import explain
from featstore.stores.maintenance.inspect import inspect
from featstore.stores.maintenance.remake import remake, view_facts
from featstore.stores.maintenance.rewrite import compact, convert
from featstore.stores.maintenance.usage import collect, usage
from featstore.stores.maintenance.verify import repair, verify
from featstore.stores.maintenance.views import make_view

Make = Callable[..., Any]
SENTENCES = 24


@pytest.fixture
def root(tmp_path: Path, make_meta: Make, make_batch: Make) -> Path:
    """A store with one set of three shards."""
    store = create_store(tmp_path / "features", make_meta("hdf5", "float32"))
    for first in range(0, SENTENCES, 8):
        store.append(*make_batch(range(first, first + 8), dtype="float32"))
    store.close()
    return tmp_path / "features"


def made(root: Path, how: str) -> str:
    """Return the path of a set that was made so."""
    (source,) = list_sets(root)
    if how == "convert":
        return convert(source.path, root, backend="zarr").target
    if how == "halve":
        return convert(source.path, root, dtype="float16").target
    if how == "view":
        return make_view(source.path, root, 3).target
    if how == "view of a converted set":
        return make_view(convert(source.path, root, backend="zarr").target, root, 3, method="random").target
    if how == "compact":
        compact(source.path)
    if how == "import":
        export_bundle(source.path, root.parent / "toy.tar")
        return import_bundle(root.parent / "toy.tar", root, backend="zarr").path
    return source.path


WAYS = ["featurize", "convert", "halve", "view", "view of a converted set", "compact", "import"]


def damage(path: str, key: bytes) -> None:
    """Change the rows of a sentence."""
    rows = open_store(path).read([key]).values.tobytes()
    (file,) = [p for p in Path(path, "shards").rglob("*") if p.is_file() and rows in p.read_bytes()]
    file.write_bytes(file.read_bytes().replace(rows, rows[::-1]))


@pytest.mark.parametrize("how", WAYS)
def test_everything_works_on_it(root: Path, make_batch: Make, how: str) -> None:
    path = made(root, how)
    keys, _ = make_batch(range(SENTENCES), dtype="float32")
    (info,) = find_sets(root, Path(path).name)
    assert info.path == path, "its folder's name means it alone, whatever else is there"
    assert info.sentences == SENTENCES
    assert path in {each.path for each in usage(root)}
    assert verify(path).damages == ()
    assert repair(path).set_aside == ()
    assert inspect(path, keys[3]).whole
    with_facts = view_facts(root, info.meta.name) or info.meta.facts
    assert explain(root, info.meta.name, with_facts, keys).verdict == "hit"
    assert export_bundle(path, root.parent / "again.tar").sentences == SENTENCES
    again = import_bundle(root.parent / "again.tar", root.parent / "other").path
    assert np.array_equal(open_store(again).read(keys).values, open_store(path).read(keys).values)
    gone = {each.path for each in collect(root, keep=[info.meta.identity]).removed}
    assert gone == {each.path for each in list_sets(root) if each.meta.identity != info.meta.identity}
    compact(path)
    assert verify(path).damages == ()


@pytest.mark.parametrize("how", ["view", "view of a converted set"])
def test_a_damaged_view_is_made_whole_from_its_source(root: Path, make_batch: Make, how: str) -> None:
    path = made(root, how)
    keys, _ = make_batch(range(SENTENCES), dtype="float32")
    before = open_store(path).read(keys).values
    damage(path, keys[3])
    planned = remake(path, dry_run=True)
    assert (len(planned.repair.set_aside), planned.repair.lost) == (1, (keys[3],))
    assert (planned.remade, planned.absent) == (1, 0)
    assert verify(path).damages
    assert remake(path) == planned
    assert verify(path).damages == ()
    assert np.array_equal(open_store(path, check=True).read(keys).values, before)
    assert remake(path).repair.set_aside == ()


def test_a_damaged_view_whose_source_has_changed_says_what_to_do(root: Path, make_meta: Make, make_batch: Make) -> None:
    path = made(root, "view")
    damage(path, make_batch([3])[0][0])
    create_store(root, make_meta("hdf5", "float32")).append(*make_batch(range(100, 108), dtype="float32"))
    with pytest.raises(MismatchError, match=r"no longer holds .*cli store view toy-\w+-float32-hdf5 --dims 3"):
        remake(path)
    collect(root, keep=[open_store(path).meta.identity], dry_run=False)
    with pytest.raises(MissingFeatureError, match=r"is a view of the feature set .* which is not in"):
        remake(path)
    assert len(verify(path).damages) == 1, "nothing was touched"


def test_a_view_of_rows_that_have_changed_since_is_stale(root: Path, make_meta: Make, make_batch: Make) -> None:
    made(root, "view")
    keys, _ = make_batch(range(SENTENCES), dtype="float32")
    assert view_facts(root, "toy") is None
    assert view_facts(root, "nothing") is None
    create_store(root, make_meta("hdf5", "float32")).append(*make_batch(range(100, 108), dtype="float32"))
    facts = view_facts(root, "toy-pca3")
    assert facts is not None
    found = explain(root, "toy-pca3", facts, keys)
    assert found.verdict == "stale"
    assert [difference.fact for difference in found.sets[0].differences] == ["matrix"]
