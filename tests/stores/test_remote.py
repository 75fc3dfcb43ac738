"""A store on an object store: a real S3 protocol, a server on the loopback."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import zarr

from featstore.errors import DamagedStoreError, UsageError
from featstore.featurize.encode import featurize
from featstore.ragged import Ragged
from featstore.records import sentence_key
from featstore.scale import LocalEngine
from featstore.stores import create_store, list_sets, look_up, open_store, ranged
from featstore.stores.maintenance.bundle import export_bundle, import_bundle
from featstore.stores.maintenance.explain import explain
from featstore.stores.maintenance.inspect import inspect
from featstore.stores.maintenance.rewrite import compact, convert
from featstore.stores.maintenance.usage import collect, usage
from featstore.stores.maintenance.verify import repair, verify
from featstore.stores.shards import ShardFiles

Make = Callable[..., Any]


@pytest.fixture
def path(s3: str, make_meta: Make, make_batch: Make) -> str:
    """A Zarr feature set of two shards in a bucket."""
    store = create_store(f"{s3}/features", make_meta("zarr"))
    for first in (0, 8):
        store.append(*make_batch(range(first, first + 8)))
    (info,) = list_sets(f"{s3}/features")
    return info.path


def test_any_zarr_reader_can_read_a_shard(path: str, make_batch: Make) -> None:
    """The objects are a Zarr v3 group at that address, not something of our own."""
    (index, *_) = sorted(n for n in fsspec.filesystem("s3").ls(f"{path}/shards", detail=False) if n.endswith(".index"))
    group = zarr.open_group(f"s3://{index.removesuffix('.index')}.zarr", mode="r")
    keys = [key.tobytes() for key in np.asarray(group["keys"])]
    expected, vectors = make_batch(range(16))
    values, offsets = np.asarray(group["values"]), np.asarray(group["offsets"])
    for i, key in enumerate(keys):
        rows = values[offsets[i] : offsets[i + 1]]
        assert np.array_equal(rows, vectors[expected.index(key)])


def test_data_without_an_index_do_not_exist(path: str, make_batch: Make) -> None:
    """What a writer leaves that dies before it stores the index."""
    fs = fsspec.filesystem("s3")
    index = next(n for n in fs.ls(f"{path}/shards", detail=False) if n.endswith(".index"))
    fs.rm(index)
    store = open_store(path)
    assert len(list(store.keys())) == 8
    assert len(verify(path).leftovers) == 1
    assert collect(path.rpartition("/")[0]).leftovers == (), "too young: its writer may be at work"
    store.append(*make_batch(range(16)))
    keys, vectors = make_batch(range(16))
    assert np.array_equal(open_store(path, check=True).read(keys).values, vectors.values)


def test_damage_is_found_and_mended(path: str, make_batch: Make) -> None:
    keys, vectors = make_batch(range(16))
    fs = fsspec.filesystem("s3")
    wanted = vectors[5].tobytes()
    (chunk,) = [n for n in fs.find(path) if wanted in fs.cat_file(n)]
    fs.pipe_file(chunk, fs.cat_file(chunk).replace(wanted, bytes(len(wanted))))
    with pytest.raises(DamagedStoreError, match=keys[5].hex()):
        open_store(path, check=True).read(keys)
    assert [d.keys for d in verify(path).damages] == [(keys[5],)]
    assert repair(path).lost == (keys[5],)
    assert verify(path).damages == ()
    store = open_store(path)
    store.append(*make_batch([5]))
    assert np.array_equal(store.read(keys).values, vectors.values)
    fs.rm(next(n for n in fs.find(path) if n.endswith("values/c/0/0") and "damaged" not in n))
    with pytest.raises(DamagedStoreError):
        open_store(path).read(keys)


def test_the_maintenance_works_at_an_address(path: str, tmp_path: Any, make_meta: Make, make_batch: Make) -> None:
    root = path.rpartition("/")[0]
    keys, vectors = make_batch(range(16))
    (info,) = usage(root)
    assert (info.shards, info.sentences, info.tokens) == (2, 16, len(vectors.values))
    assert info.bytes > vectors.values.nbytes
    assert explain(root, "toy", make_meta("zarr").facts, keys).verdict == "hit"
    assert inspect(path, keys[9]).whole
    local = convert(path, tmp_path, backend="hdf5").target
    assert np.array_equal(open_store(local, check=True).read(keys).values, vectors.values)
    export_bundle(path, tmp_path / "toy.tar")
    there = import_bundle(tmp_path / "toy.tar", f"{root}/other").path
    assert np.array_equal(open_store(there, check=True).read(keys).values, vectors.values)
    compact(path)
    assert list_sets(root)[0].shards == 1
    assert np.array_equal(open_store(path, check=True).read(keys).values, vectors.values)
    collect(root, keep=[], dry_run=False)
    assert list_sets(root) == []


def test_a_set_that_was_found_is_opened_without_listing_its_shards_again(
    s3: str, make_meta: Make, make_batch: Make, s3_requests: list[str]
) -> None:
    keys, vectors = make_batch(range(6))
    with closing(create_store(f"{s3}/features", make_meta("zarr"))) as store:
        for key, row in zip(keys, vectors, strict=True):
            store.append([key], Ragged.from_list([row], vectors.dim, vectors.values.dtype))
    s3_requests.clear()
    (found,) = look_up(f"{s3}/features", "toy")
    opened = found.open()
    assert s3_requests.count("ListObjectsV2") == 2, "the store, and the shards of the set"
    assert np.array_equal(opened.read(keys).values, vectors.values)
    compact(found.info.path)
    assert np.array_equal(found.open().read(keys).values, vectors.values), "the shards that were listed are gone"


def test_an_unknown_protocol(make_meta: Make) -> None:
    with pytest.raises(UsageError, match=r"nosuch://.*featstore\[remote\]"):
        create_store("nosuch://bucket/features", make_meta("zarr"))


def test_workers_fill_a_store_at_an_address_as_one_process_does(s3: str, tmp_path: Path) -> None:
    (tmp_path / "vectors.txt").write_text("alpha 1 2 3\nbeta 4 5 6\n")
    texts = {sentence_key(text): text for text in (tuple(["alpha"] * n + ["beta"]) for n in range(20))}
    options: dict[str, Any] = {"dtype": "float16", "backend": "zarr"}
    values = []
    for root, engine in ((f"{s3}/features", LocalEngine(1)), (tmp_path / "features", None)):
        done = featurize(texts, f"glove:{tmp_path / 'vectors.txt'}", root=root, engine=engine, **options)
        assert (done.encoded, done.failed) == (20, ())
        (info,) = list_sets(root)
        values.append(open_store(info.path, check=True).read(list(texts)).values)
    assert np.array_equal(values[0], values[1])


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_a_few_sentences_are_read_by_range_and_many_whole(
    s3: str, make_meta: Make, make_batch: Make, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranged, "REQUEST_BYTES", 100)
    keys, vectors = make_batch(range(300))
    create_store(f"{s3}/features", make_meta(backend)).append(keys, vectors)
    path = list_sets(f"{s3}/features")[0].path
    store, whole, load = open_store(path), [], ShardFiles.load_data

    def noted(*given: Any) -> Any:
        whole.append(given)
        return load(*given)

    monkeypatch.setattr(ShardFiles, "load_data", noted)
    for wanted in ([7], [290, 3, 3, 150], list(range(40, 60))):
        found = store.read([keys[i] for i in wanted])
        assert all(np.array_equal(rows, vectors[i]) for rows, i in zip(found, wanted, strict=True))
    assert not whole
    for _ in range(2):
        assert np.array_equal(store.read(keys).values, vectors.values)
    assert len(whole) == 1, "it is kept"


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_a_shard_that_is_cut_short(s3: str, make_meta: Make, make_batch: Make, backend: str) -> None:
    keys, vectors = make_batch(range(300))
    create_store(f"{s3}/features", make_meta(backend)).append(keys, vectors)
    path, fs = list_sets(f"{s3}/features")[0].path, fsspec.filesystem("s3")
    data = next(n for n in fs.find(f"{path}/shards") if n.endswith((".h5", "values/c/0/0")))
    fs.pipe_file(data, fs.cat_file(data)[:-4000] if backend == "zarr" else fs.cat_file(data)[:9000])
    for wanted in (keys[-1:], keys):
        with pytest.raises(DamagedStoreError):
            open_store(path).read(wanted)
