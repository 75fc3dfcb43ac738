"""Every flipped bit and every cut file is found and named, and repair saves what is whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from featstore.errors import DamagedStoreError, MismatchError, MissingFileError
from featstore.ragged import Ragged
from featstore.stores import FeatureStore, create_store, list_sets, open_store
from featstore.stores.layout import ShardIndex, checksums
from featstore.stores.maintenance.verify import repair, verify
from featstore.stores.sets import open_files
from featstore.stores.sharded import ShardedStore

Make = Callable[..., Any]
BACKENDS = ("hdf5", "zarr")
SENTENCES = 24


@pytest.fixture(params=BACKENDS)
def path(request: pytest.FixtureRequest, tmp_path: Path, make_meta: Make, make_batch: Make) -> Path:
    """A feature set of three shards."""
    store = create_store(tmp_path / "features", make_meta(request.param))
    for first in range(0, SENTENCES, 8):
        store.append(*make_batch(range(first, first + 8)))
    return Path(list_sets(tmp_path / "features")[0].path)


def reopened(path: Path, make_batch: Make, lost: tuple[bytes, ...] = ()) -> FeatureStore:
    """Open a set and make sure that it has all vectors but the lost ones, byte for byte."""
    store = open_store(path, check=True)
    keys, vectors = make_batch(range(SENTENCES))
    assert set(store.missing(keys)) == set(lost)
    for key, rows in zip(keys, vectors, strict=True):
        if key not in lost:
            assert np.array_equal(store.read([key]).values, rows)
    return store


def files_of(path: Path) -> list[Path]:
    return sorted(p for p in (path / "shards").rglob("*") if p.is_file())


def shard_of(path: Path, file: Path) -> str:
    return file.relative_to(path / "shards").parts[0].split(".")[0]


def test_a_sound_set_is_sound(path: Path) -> None:
    found = verify(path)
    assert (found.shards, found.sentences, found.damages, found.leftovers) == (3, SENTENCES, (), ())
    assert repair(path).set_aside == ()


@pytest.mark.parametrize("seed", range(3))
def test_every_flipped_bit_is_found_and_mended(path: Path, make_batch: Make, tmp_path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    original = tmp_path / "original"
    shutil.copytree(path, original)
    for _ in range(25):
        file = files_of(path)[draw.integers(len(files_of(path)))]
        raw = bytearray(file.read_bytes())
        bit = int(draw.integers(len(raw) * 8))
        raw[bit // 8] ^= 1 << bit % 8
        file.write_bytes(raw)

        (damage,) = verify(path).damages
        assert damage.shard == shard_of(path, file), (file, bit)
        assert repair(path, dry_run=True).lost == damage.keys
        mended = repair(path)
        assert mended.set_aside == (damage.shard,)
        assert mended.lost == damage.keys
        if "zarr.json" not in file.name and file.suffix != ".h5":  # else the library may not find the rows at all
            assert len(mended.lost) <= 1, "one flipped bit costs at most the sentence that it is in"
        assert verify(path).damages == ()
        reopened(path, make_batch, mended.lost)
        shutil.rmtree(path)
        shutil.copytree(original, path)


def test_every_cut_file_is_found_and_mended(path: Path, make_batch: Make, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    original = tmp_path / "original"
    shutil.copytree(path, original)
    for file in files_of(path):
        for size in {0, int(draw.integers(file.stat().st_size)), file.stat().st_size - 1}:
            os.truncate(file, size)
            (damage,) = verify(path).damages
            assert damage.shard == shard_of(path, file)
            mended = repair(path)
            assert mended.set_aside == (damage.shard,)
            reopened(path, make_batch, mended.lost)
            shutil.rmtree(path)
            shutil.copytree(original, path)


def test_a_flipped_vector_is_named_by_its_key_and_refused_by_checked_reads(path: Path, make_batch: Make) -> None:
    keys, vectors = make_batch(range(SENTENCES))
    wanted = vectors[13][0].tobytes()
    (file,) = [f for f in files_of(path) if wanted in f.read_bytes()]
    file.write_bytes(file.read_bytes().replace(wanted, bytes(len(wanted))))
    assert [damage.keys for damage in verify(path).damages] == [(keys[13],)]
    with pytest.raises(DamagedStoreError, match=keys[13].hex()):
        open_store(path, check=True).read(keys)
    assert len(open_store(path, check=True).read(keys[:13])) == 13
    assert repair(path).saved == 7
    reopened(path, make_batch, (keys[13],)).append(*make_batch([13]))
    reopened(path, make_batch)


def test_a_shard_without_data_is_named_with_its_keys(path: Path, make_batch: Make) -> None:
    keys, _ = make_batch(range(SENTENCES))
    data = next(p for p in (path / "shards").iterdir() if p.suffix != ".index")
    shutil.rmtree(data) if data.is_dir() else data.unlink()
    with pytest.raises(DamagedStoreError, match="cli store repair"):
        open_store(path).read(keys)
    (damage,) = verify(path).damages
    assert damage.shard == data.stem
    assert len(damage.keys) == 8
    reopened(path, make_batch, repair(path).lost)


def test_an_index_that_is_no_index_stops_opening_and_is_restored_from_the_data(path: Path, make_batch: Make) -> None:
    index = next((path / "shards").glob("*.index"))
    index.write_bytes(b"")
    with pytest.raises(DamagedStoreError, match=r"is not the index of a shard.*cli store verify"):
        open_store(path)
    assert repair(path).lost == ()
    reopened(path, make_batch)


def test_keys_that_other_shards_hold_are_not_lost(path: Path, make_meta: Make, make_batch: Make) -> None:
    backend = open_store(path).meta.backend
    other = create_store(path.parent / "other", make_meta(backend))
    other.append(*make_batch(range(SENTENCES)))
    source = Path(list_sets(path.parent / "other")[0].path) / "shards"
    shutil.copytree(source, path / "shards", dirs_exist_ok=True)  # one more shard, with all sentences
    index = next(p for p in sorted((path / "shards").glob("*.index")) if p.name not in os.listdir(source))
    shutil.rmtree(d) if (d := index.with_suffix(".zarr")).is_dir() else index.with_suffix(".h5").unlink()
    assert repair(path).lost == ()
    reopened(path, make_batch)


def test_a_shard_of_another_encoder_does_not_pass(path: Path, make_meta: Make, make_batch: Make) -> None:
    backend = open_store(path).meta.backend
    other = create_store(path.parent / "other", make_meta(backend, revision=2))
    other.append(*make_batch([100, 101]))
    shutil.copytree(Path(list_sets(path.parent / "other")[0].path) / "shards", path / "shards", dirs_exist_ok=True)
    with pytest.raises(DamagedStoreError, match="belongs to another feature set"):
        open_store(path).read(make_batch([100])[0])
    (damage,) = verify(path).damages
    assert set(damage.keys) == set(make_batch([100, 101])[0])


def test_any_change_of_the_set_file_is_refused(path: Path, make_meta: Make) -> None:
    file = path / "set.json"
    whole = file.read_bytes()
    draw = np.random.default_rng(0)
    for _ in range(60):
        raw = bytearray(whole)
        bit = int(draw.integers(len(raw) * 8))
        raw[bit // 8] ^= 1 << bit % 8
        file.write_bytes(raw)
        with pytest.raises((DamagedStoreError, MismatchError)):
            open_store(path)
    file.unlink()
    with pytest.raises(MissingFileError):
        verify(path)
    create_store(path.parent, make_meta(path.name.rpartition("-")[2]))  # writes it again
    assert file.read_bytes() == whole
    assert verify(path).damages == ()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"format": 1e400}',
        '{"format": ' + "9" * 10_000 + "}",
        '{"format": 1, "name": "\\ud800", "dim": -1}',
        '{"format": true}',
        "[]",
        "\x00\xff",
        '{"format": 1}' + " " * 2**20,
    ],
    ids=["nested", "infinite", "long number", "surrogate", "true", "list", "binary", "large"],
)
def test_a_hostile_set_file_is_one_clear_error(path: Path, text: str) -> None:
    (path / "set.json").write_bytes(text.encode("latin-1"))
    with pytest.raises((DamagedStoreError, MismatchError), match=r"set\.json"):
        open_store(path)


def test_a_newer_format_says_so(path: Path) -> None:
    facts = json.loads((path / "set.json").read_text())
    (path / "set.json").write_text(json.dumps({**facts, "format": 2}))
    with pytest.raises(MismatchError, match=r"format 2.*update featstore"):
        open_store(path)


def test_an_index_of_absurd_size_is_refused(path: Path) -> None:
    index = next((path / "shards").glob("*.index"))
    raw = bytearray(index.read_bytes())
    raw[8:16] = (2**62).to_bytes(8, "little")
    index.write_bytes(raw)
    with pytest.raises(DamagedStoreError, match="is not the index"):
        open_store(path)


def test_absurd_sizes_in_the_data_are_refused(path: Path) -> None:
    """Data that declare a petabyte: neither reading nor verifying tries to hold them."""
    data = next(p for p in sorted((path / "shards").iterdir()) if p.suffix != ".index")
    if data.suffix == ".h5":
        with h5py.File(data, "a") as file:
            del file["values"]
            file.create_dataset("values", shape=(2**40, 8), chunks=(2**20, 8), dtype="float16")
    else:
        metadata = data / "values" / "zarr.json"
        facts = json.loads(metadata.read_text())
        facts["shape"][0] = 2**40
        metadata.write_text(json.dumps(facts))
    files = open_files(path)
    with pytest.raises(DamagedStoreError, match=r"declares|index says"):
        files.load_data(data.stem, files.load_index(data.stem))
    keys = [k.tobytes() for k in files.load_index(data.stem).keys]
    with pytest.raises(DamagedStoreError, match="index says"):
        open_store(path).read(keys)
    assert [d.shard for d in verify(path).damages] == [data.stem]


def test_data_that_lead_to_other_files_are_refused(tmp_path: Path, make_meta: Make, make_batch: Make) -> None:
    """An HDF5 shard whose vectors are a link into a file that the reader may read and the writer may not."""
    store = create_store(tmp_path / "features", make_meta("hdf5"))
    keys, vectors = make_batch(range(4))
    store.append(keys, vectors)
    path = Path(list_sets(tmp_path / "features")[0].path)
    data = next((path / "shards").glob("*.h5"))
    secret = tmp_path / "secret.h5"
    shutil.copy(data, secret)
    for kind in ("external link", "soft link", "external storage", "virtual"):
        shutil.copy(secret, data)
        with h5py.File(data, "a") as file:
            del file["values"]
            if kind == "external link":
                file["values"] = h5py.ExternalLink(str(secret), "values")
            elif kind == "soft link":
                file["values"] = h5py.SoftLink("/keys")
            elif kind == "external storage":
                file.create_dataset("values", vectors.values.shape, "f2", external=[(str(secret), 0, 2**20)])
            else:
                layout = h5py.VirtualLayout(vectors.values.shape, "f2")
                layout[...] = h5py.VirtualSource(str(secret), "values", vectors.values.shape)
                file.create_virtual_dataset("values", layout)
        with pytest.raises(DamagedStoreError, match="no dataset 'values' of its own"):
            open_store(path).read(keys)
        assert len(verify(path).damages) == 1


def test_a_zarr_chunk_that_is_gone_is_not_zeros(tmp_path: Path, make_meta: Make, make_batch: Make) -> None:
    store = create_store(tmp_path / "features", make_meta("zarr"))
    assert isinstance(store, ShardedStore)
    keys, vectors = make_batch(range(4))
    index = ShardIndex(
        np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 16),
        vectors.offsets,
        checksums(vectors.values, vectors.offsets),
    )
    files = {name: bytes(data) for name, data in store.files.layout.encode(index, vectors.values).items()}
    assert store.files.layout.decode(files, "here")[1].shape == vectors.values.shape
    partial = {name: data for name, data in files.items() if name != "values/c/0/0"}
    with pytest.raises(DamagedStoreError, match="lacks a chunk of 'values'"):
        store.files.layout.decode(partial, "here")


@pytest.mark.parametrize("layout", ["compressed", "contiguous", "several chunks"])
def test_other_layouts_that_the_format_allows_are_read(
    tmp_path: Path, make_meta: Make, make_batch: Make, layout: str
) -> None:
    """FORMAT.md, section 6: a reader accepts what the HDF5 library reads by itself."""
    store = create_store(tmp_path / "features", make_meta("hdf5"))
    keys, vectors = make_batch(range(40))
    store.append(keys, vectors)
    path = Path(list_sets(tmp_path / "features")[0].path)
    with h5py.File(next((path / "shards").glob("*.h5")), "a") as file:
        values = file["values"][...]
        del file["values"]
        options: dict[str, dict[str, Any]] = {
            "compressed": {"chunks": (16, 8), "compression": "gzip", "shuffle": True},
            "contiguous": {},
            "several chunks": {"chunks": (7, 8)},
        }
        file.create_dataset("values", data=values, **options[layout])
    again = open_store(path, check=True).read(keys[::-1])
    assert np.array_equal(again.values, Ragged.from_list(list(vectors)[::-1], 8).values)
