"""Usage, collecting, explaining, converting, compacting and looking at one sentence."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featstore.errors import DamagedStoreError, DataError, MissingFeatureError, UsageError
from featstore.ragged import Ragged
from featstore.stores import create_store, find_sets, list_sets, open_store
from featstore.stores.local import LocalPlace
from featstore.stores.maintenance.explain import explain
from featstore.stores.maintenance.inspect import inspect
from featstore.stores.maintenance.rewrite import compact, convert
from featstore.stores.maintenance.usage import collect, usage
from featstore.stores.maintenance.verify import verify
from featstore.stores.sharded import ShardedStore
from featstore.stores.shards import SHARDS

Make = Callable[..., Any]
both = pytest.mark.parametrize("backend", ["hdf5", "zarr"])


def age(path: str, seconds: float) -> None:
    """Make a set look as if it had been written to that long ago."""
    for file in [Path(path), *Path(path).rglob("*")]:
        os.utime(file, (time.time() - seconds,) * 2)


@both
def test_usage_counts_what_is_there(tmp_path: Path, make_meta: Make, make_batch: Make, backend: str) -> None:
    store = create_store(tmp_path, make_meta(backend))
    for first in (0, 8):
        store.append(*make_batch(range(first, first + 8)))
    (info,) = usage(tmp_path)
    assert (info.shards, info.sentences, info.tokens) == (2, 16, len(make_batch(range(16))[1].values))
    assert info.bytes == sum(p.stat().st_size for p in Path(info.path, "shards").rglob("*") if p.is_file())
    assert info.leftover_bytes == 0
    assert 0 <= info.age < 60
    Path(info.path, "tmp", "left").write_bytes(b"12345")
    (info,) = usage(tmp_path)
    assert info.leftover_bytes == 5


@both
def test_collect_removes_what_is_named_and_nothing_else(
    tmp_path: Path, make_meta: Make, make_batch: Make, backend: str
) -> None:
    metas = [make_meta(backend, revision=i) for i in range(3)]
    for i, meta in enumerate(metas):
        create_store(tmp_path, meta).append(*make_batch(range(8)))
        age(find_sets(tmp_path, f"toy@{meta.identity}")[0].path, 1000 * (3 - i))
    everything = {s.path: s for s in usage(tmp_path)}
    one = next(iter(everything.values())).bytes

    def gone(**conditions: Any) -> set[int]:
        planned = collect(tmp_path, **conditions)
        assert {s.path for s in usage(tmp_path)} == set(everything), "a dry run is the default"
        assert planned.freed + planned.kept == sum(s.bytes for s in everything.values())
        return {[m.identity for m in metas].index(s.meta.identity) for s in planned.removed}

    assert gone() == set()
    assert gone(keep=[metas[1].identity]) == {0, 2}
    assert gone(older_than=1500) == {0, 1}
    assert gone(older_than=1500, keep=[metas[0].identity]) == {1}
    assert gone(quota=2 * one) == {0}, "the oldest first"
    assert gone(quota=one) == {0, 1}
    assert gone(quota=0, keep=[metas[0].identity]) == {1, 2}
    assert gone(quota=10 * one) == set()

    collect(tmp_path, quota=2 * one, dry_run=False)
    assert {s.meta.identity for s in list_sets(tmp_path)} == {m.identity for m in metas[1:]}
    assert len([p for p in tmp_path.iterdir() if p.name != "tmp"]) == 2
    assert not list((tmp_path / "tmp").iterdir())
    assert verify(list_sets(tmp_path)[0].path).damages == ()


def test_a_set_is_found_without_listing_the_shards_of_others(
    tmp_path: Path, make_meta: Make, make_batch: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    metas = [make_meta("hdf5", revision=revision) for revision in (1, 2)]
    for meta in metas:
        create_store(tmp_path, meta).append(*make_batch(range(3)))
    asked: list[str] = []
    sizes = LocalPlace.sizes

    def counted(self: LocalPlace, folder: str) -> dict[str, int]:
        asked.extend([self.location] if folder == SHARDS else [])
        return sizes(self, folder)

    monkeypatch.setattr(LocalPlace, "sizes", counted)
    (found,) = find_sets(tmp_path, f"toy@{metas[1].identity}")
    assert (found.meta, found.sentences) == (metas[1], 3)
    assert asked == [found.path]


@both
def test_collect_sweeps_what_no_reader_sees(tmp_path: Path, make_meta: Make, make_batch: Make, backend: str) -> None:
    store = create_store(tmp_path, make_meta(backend))
    assert isinstance(store, ShardedStore)
    store.append(*make_batch(range(8)))
    path = Path(list_sets(tmp_path)[0].path)
    for left in ("tmp/staged", "shards/0123.h5", "damaged/4567.index"):
        (path / left).parent.mkdir(exist_ok=True)
        (path / left).write_bytes(b"123")
    expected = {str(path / left) for left in ("tmp/staged", "shards/0123.h5", "damaged/4567.index")}
    planned = collect(tmp_path)
    assert (set(planned.leftovers), planned.freed) == (expected, 9)
    place = store.files.place
    assert isinstance(place, LocalPlace)
    with place.writing():  # a writer is at work: what is staged may be its own
        assert set(collect(tmp_path).leftovers) == {str(path / "damaged/4567.index")}
    collect(tmp_path, dry_run=False)
    assert verify(path).leftovers == ()
    assert len(list(open_store(path).keys())) == 8


def test_explain_says_why(tmp_path: Path, make_meta: Make, make_batch: Make) -> None:
    now = make_meta("hdf5", tokenizer={"name": "words", "version": 2}, lower=True)
    before = make_meta("hdf5", tokenizer={"name": "words", "version": 1}, precision="int8")
    keys, _ = make_batch(range(10))
    assert explain(tmp_path, "toy", now.facts, keys).verdict == "miss"

    create_store(tmp_path, before).append(*make_batch(range(10)))
    found = explain(tmp_path, "toy", now.facts, keys)
    assert (found.verdict, found.identity, found.sentences) == ("stale", now.identity, 10)
    assert [(d.fact, d.wanted, d.found) for d in found.sets[0].differences] == [
        ("lower", "true", "(absent)"),
        ("precision", "(absent)", '"int8"'),
        ("tokenizer.version", "2", "1"),
    ]
    create_store(tmp_path, now).append(*make_batch(range(4)))
    found = explain(tmp_path, "toy", now.facts, keys * 2)
    assert found.verdict == "partial"
    assert [(s.stored, s.missing, bool(s.differences)) for s in found.sets] == [(4, 6, False), (10, 0, True)]
    create_store(tmp_path, now).append(*make_batch(range(10)))
    assert explain(tmp_path, "toy", now.facts, keys).verdict == "hit"


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (("hdf5", "float16"), ("zarr", "float16")),
        (("zarr", "float16"), ("hdf5", "float16")),
        (("hdf5", "float32"), ("hdf5", "float16")),
        (("zarr", "float32"), ("hdf5", "float16")),
    ],
)
def test_convert_gives_the_same_vectors(
    tmp_path: Path, make_meta: Make, make_batch: Make, source: tuple[str, str], target: tuple[str, str]
) -> None:
    store = create_store(tmp_path / "a", make_meta(*source))
    for first in (0, 8, 16):
        store.append(*make_batch(range(first, first + 8), dtype="float32"))
    path = list_sets(tmp_path / "a")[0].path
    planned = convert(path, tmp_path / "b", backend=target[0], dtype=target[1], dry_run=True)
    assert (planned.shards, planned.sentences) == (3, 24)
    assert list_sets(tmp_path / "b") == []
    done = convert(path, tmp_path / "b", backend=target[0], dtype=target[1])
    assert done == planned
    keys, vectors = make_batch(range(24), dtype="float32")
    again = open_store(done.target, check=True)
    assert (again.meta.backend, again.meta.dtype, again.meta.identity) == (*target, store.meta.identity)
    assert np.array_equal(again.read(keys).values, vectors.values.astype(target[1]))
    names = {p.name for p in Path(done.target, "shards").glob("*.index")}
    if source[1] == target[1]:
        assert names == {p.name for p in Path(path, "shards").glob("*.index")}, "a name is what is in it"
    convert(path, tmp_path / "b", backend=target[0], dtype=target[1])  # again: nothing is left to do
    assert {p.name for p in Path(done.target, "shards").glob("*.index")} == names


def test_convert_refuses_what_makes_no_sense(tmp_path: Path, make_meta: Make, make_batch: Make) -> None:
    create_store(tmp_path, make_meta("hdf5")).append(*make_batch(range(4)))
    path = list_sets(tmp_path)[0].path
    with pytest.raises(UsageError, match="in hdf5 and float16 already"):
        convert(path, tmp_path)
    with pytest.raises(UsageError, match="were never stored"):
        convert(path, tmp_path, dtype="float32")
    with pytest.raises(UsageError, match="'npy' is unknown"):
        convert(path, tmp_path, backend="npy")
    keys, vectors = make_batch(range(2), dtype="float32")
    create_store(tmp_path / "b", make_meta("hdf5", "float32")).append(
        keys, Ragged(vectors.values * 1e6, vectors.offsets)
    )
    with pytest.raises(DataError, match="--dtype float32"):
        convert(list_sets(tmp_path / "b")[0].path, tmp_path / "c", dtype="float16")


@both
def test_compact_makes_few_shards_of_many(tmp_path: Path, make_meta: Make, make_batch: Make, backend: str) -> None:
    store = create_store(tmp_path, make_meta(backend))
    other = create_store(tmp_path, make_meta(backend))
    for first in range(0, 80, 8):
        store.append(*make_batch(range(first, first + 8)))
    other.append(*make_batch(range(4, 12)))  # all of it there already, in two shards
    path = list_sets(tmp_path)[0].path
    before = {p.name for p in Path(path, "shards").iterdir()}
    planned = compact(path, dry_run=True)
    assert (planned.merged, planned.made, planned.doubles) == (11, 1, 8)
    assert {p.name for p in Path(path, "shards").iterdir()} == before
    reader = open_store(path, check=True)
    keys, vectors = make_batch(range(80))
    assert np.array_equal(reader.read(keys).values, vectors.values)
    reader.close()
    assert compact(path) == planned
    assert len(list(Path(path, "shards").glob("*.index"))) == 1
    assert np.array_equal(reader.read(keys).values, vectors.values), "a reader from before finds its way"
    assert np.array_equal(open_store(path, check=True).read(keys).values, vectors.values)
    assert (verify(path).damages, verify(path).leftovers) == ((), ())
    assert compact(path).merged == 0


def test_compact_leaves_large_shards_and_respects_the_target(tmp_path: Path, make_meta: Make, make_batch: Make) -> None:
    store = create_store(tmp_path, make_meta("hdf5"))
    store.append(*make_batch(range(1000, 1100)))
    large = next(Path(list_sets(tmp_path)[0].path, "shards").glob("*.index")).name
    for first in range(0, 64, 4):
        store.append(*make_batch(range(first, first + 4)))
    path = list_sets(tmp_path)[0].path
    compact(path, target_bytes=1200)
    names = {p.name for p in Path(path, "shards").glob("*.index")}
    assert large in names
    assert 2 < len(names) < 10
    keys, vectors = make_batch([*range(64), *range(1000, 1100)])
    assert np.array_equal(open_store(path, check=True).read(keys).values, vectors.values)


@both
def test_compact_and_convert_carry_no_damage_on(
    tmp_path: Path, make_meta: Make, make_batch: Make, backend: str
) -> None:
    store = create_store(tmp_path, make_meta(backend))
    for first in (0, 8):
        store.append(*make_batch(range(first, first + 8)))
    path = list_sets(tmp_path)[0].path
    wanted = make_batch([3])[1].values.tobytes()
    (file,) = [p for p in Path(path, "shards").rglob("*") if p.is_file() and wanted in p.read_bytes()]
    file.write_bytes(file.read_bytes().replace(wanted, bytes(len(wanted))))
    for rewrite in (lambda: compact(path), lambda: convert(path, tmp_path / "b")):
        with pytest.raises(DamagedStoreError, match="not those that were written"):
            rewrite()
    assert len(list(Path(path, "shards").glob("*.index"))) == 2


@both
def test_inspect_shows_where_and_what(tmp_path: Path, make_meta: Make, make_batch: Make, backend: str) -> None:
    store = create_store(tmp_path, make_meta(backend, layers=2))
    keys, vectors = make_batch(range(8))
    store.append(keys, vectors)
    path = list_sets(tmp_path)[0].path
    seen = inspect(path, keys[5])
    assert seen.position == 5
    assert (seen.first, seen.stop) == tuple(vectors.offsets[5:7])
    assert seen.whole
    assert Path(seen.shard).exists()
    expected = np.linalg.norm(vectors[5].astype("f8").reshape(-1, 2, 4), axis=2)
    assert np.allclose(seen.norms, expected)
    with pytest.raises(MissingFeatureError):
        inspect(path, bytes(16))
    wanted = vectors[5].tobytes()
    data = Path(seen.shard)
    (file,) = [p for p in ([data] if data.is_file() else data.rglob("*")) if p.is_file() and wanted in p.read_bytes()]
    file.write_bytes(file.read_bytes().replace(wanted, wanted[::-1]))
    assert not inspect(path, keys[5]).whole


def test_a_reader_survives_compaction_at_any_time(tmp_path: Path, make_meta: Make, make_batch: Make) -> None:
    """Shards vanish between listing and reading: the reader lists again."""
    store = create_store(tmp_path, make_meta("hdf5"))
    for first in range(0, 32, 8):
        store.append(*make_batch(range(first, first + 8)))
    path = list_sets(tmp_path)[0].path
    reader = open_store(path)
    compact(path)
    keys, vectors = make_batch(range(32))
    assert np.array_equal(reader.read(keys).values, vectors.values)
    shutil.rmtree(Path(path) / "shards")
    with pytest.raises((MissingFeatureError, DamagedStoreError)):
        open_store(path).read(keys)
