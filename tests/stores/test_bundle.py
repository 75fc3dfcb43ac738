"""Bundles: the same vectors elsewhere, and nothing else, whoever made the bundle."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featstore.errors import DataError, FeatstoreError, MismatchError, MissingFileError
from featstore.stores import create_store, list_sets, open_store
from featstore.stores.layout import ShardIndex, checksums, key_array
from featstore.stores.maintenance.bundle import export_bundle, import_bundle
from featstore.stores.maintenance.verify import verify
from featstore.stores.sharded import ShardedStore

Make = Callable[..., Any]
Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture(params=["hdf5", "zarr"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path, make_meta: Make, make_batch: Make) -> Path:
    """A bundle of two shards."""
    store = create_store(tmp_path / "a", make_meta(request.param))
    for first in (0, 8):
        store.append(*make_batch(range(first, first + 8)))
    export_bundle(list_sets(tmp_path / "a")[0].path, tmp_path / "toy.tar")
    return tmp_path / "toy.tar"


def unpack(bundle: Path) -> Members:
    with tarfile.open(bundle) as tar:
        return [(member, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]


def pack(bundle: Path, members: Members) -> None:
    with tarfile.open(bundle, "w") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("backend", ["hdf5", "zarr", None])
def test_a_bundle_carries_a_set_over(bundle: Path, tmp_path: Path, make_batch: Make, backend: str | None) -> None:
    source = list_sets(tmp_path / "a")[0]
    planned = import_bundle(bundle, tmp_path / "b", backend=backend, dry_run=True)
    assert list_sets(tmp_path / "b") == []
    done = import_bundle(bundle, tmp_path / "b", backend=backend)
    assert done == planned
    assert (done.shards, done.sentences) == (2, 16)
    again = open_store(done.path, check=True)
    assert again.meta.backend == (backend or source.meta.backend)
    assert again.meta.facts == source.meta.facts
    keys, vectors = make_batch(range(16))
    assert np.array_equal(again.read(keys).values, vectors.values)
    assert verify(done.path).damages == ()
    import_bundle(bundle, tmp_path / "b", backend=backend)
    assert list_sets(tmp_path / "b")[0].shards == 2, "importing twice adds nothing"


def test_only_what_is_missing_is_added(bundle: Path, tmp_path: Path, make_meta: Make, make_batch: Make) -> None:
    create_store(tmp_path / "b", make_meta("hdf5")).append(*make_batch(range(4, 12)))
    import_bundle(bundle, tmp_path / "b", backend="hdf5")
    (info,) = list_sets(tmp_path / "b")
    assert info.sentences == 16
    keys, vectors = make_batch(range(16))
    assert np.array_equal(open_store(info.path, check=True).read(keys).values, vectors.values)


def test_equal_sets_give_equal_bundles(tmp_path: Path, make_meta: Make, make_batch: Make) -> None:
    files = []
    for place in ("a", "b"):
        create_store(tmp_path / place, make_meta("hdf5")).append(*make_batch(range(8)))
        export_bundle(list_sets(tmp_path / place)[0].path, tmp_path / f"{place}.tar")
        files.append((tmp_path / f"{place}.tar").read_bytes())
    assert files[0] == files[1]
    names = [m.name for m, _ in unpack(tmp_path / "a.tar")]
    shard = names[1].removesuffix(".index")
    assert names == ["manifest.json", f"{shard}.index", f"{shard}.values"]


def test_every_flipped_bit_is_refused_or_harmless(bundle: Path, tmp_path: Path, make_batch: Make) -> None:
    whole = bundle.read_bytes()
    keys, vectors = make_batch(range(16))
    draw = np.random.default_rng(0)
    refused = 0
    for attempt in range(50):
        raw = bytearray(whole)
        bit = int(draw.integers(len(raw) * 8))
        raw[bit // 8] ^= 1 << bit % 8
        bundle.write_bytes(raw)
        root = tmp_path / f"flip{attempt}"
        try:
            import_bundle(bundle, root)
        except FeatstoreError:
            refused += 1
        for info in list_sets(root):  # whatever came in is right
            store = open_store(info.path, check=True)
            for i, key in enumerate(keys):
                if not store.missing([key]):
                    assert np.array_equal(store.read([key]).values, vectors[i])
            assert set(store.keys()) <= set(keys)
    assert refused > 10


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.7, 0.9])
def test_a_bundle_that_was_cut_is_refused(bundle: Path, tmp_path: Path, share: float) -> None:
    with tarfile.open(bundle) as tar:
        end = max(member.offset_data + member.size for member in tar)
    os.truncate(bundle, int(share * end))
    with pytest.raises(DataError, match="is not a bundle"):
        import_bundle(bundle, tmp_path / "b")


def test_a_bundle_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no\.tar does not exist"):
        import_bundle(tmp_path / "no.tar", tmp_path / "b")


def _manifest(members: Members, **change: Any) -> Members:
    found = json.loads(members[0][1])
    return [(members[0][0], json.dumps({**found, **change}).encode()), *members[1:]]


def _renamed(members: Members, position: int, name: str) -> Members:
    members[position][0].name = name
    return members


def _retyped(members: Members, position: int, kind: bytes, target: str = "") -> Members:
    members[position][0].type = kind
    members[position][0].linkname = target
    return members


def _announced(members: Members, **change: Any) -> Members:
    shards = json.loads(members[0][1])["shards"]
    return _manifest(members, shards=[{**shards[0], **change}, *shards[1:]])


def _set(members: Members, **change: Any) -> Members:
    return _manifest(members, set={**json.loads(members[0][1])["set"], **change})


HOSTILE: dict[str, Callable[[Members], Members]] = {
    "path traversal": lambda m: _renamed(_announced(m, name="../../escape"), 1, "../../escape.index"),
    "absolute path": lambda m: _renamed(m, 1, str(Path.cwd().anchor) + "escape.index"),
    "symbolic link": lambda m: _retyped(m, 2, tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": lambda m: _retyped(m, 2, tarfile.LNKTYPE, "manifest.json"),
    "device": lambda m: _retyped(m, 2, tarfile.CHRTYPE),
    "sparse": lambda m: _retyped(m, 2, tarfile.GNUTYPE_SPARSE),
    "unannounced member": lambda m: [*m, (tarfile.TarInfo("more"), b"1")],
    "member left out": lambda m: m[:-1],
    "members in another order": lambda m: [m[0], m[2], m[1], *m[3:]],
    "manifest last": lambda m: [*m[1:], m[0]],
    "absurd count": lambda m: _announced(m, sentences=2**60),
    "absurd rows": lambda m: _announced(m, rows=2**60),
    "negative rows": lambda m: _announced(m, rows=-1),
    "count as text": lambda m: _announced(m, sentences="8"),
    "name as number": lambda m: _announced(m, name=8),
    "shards as object": lambda m: _manifest(m, shards={}),
    "no set": lambda m: _manifest(m, set=None),
    "name that leads out": lambda m: _set(m, name="../../escape"),
    "backend that leads out": lambda m: _set(m, backend="os:system"),
    "other identity": lambda m: _set(m, identity="0" * 64),
    "other facts": lambda m: _set(m, facts={"kind": "other"}),
    "nested manifest": lambda m: [(m[0][0], b"[" * 200_000), *m[1:]],
    "manifest of a list": lambda m: [(m[0][0], b"[]"), *m[1:]],
    "large manifest": lambda m: [(m[0][0], b" " * (17 * 2**20)), *m[1:]],
    "vectors of zeros": lambda m: [*m[:2], (m[2][0], bytes(len(m[2][1]))), *m[3:]],
    "index of another shard": lambda m: [m[0], (m[1][0], m[3][1]), *m[2:]],
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_bundle_is_refused(bundle: Path, tmp_path: Path, attack: str) -> None:
    pack(bundle, HOSTILE[attack](unpack(bundle)))
    with pytest.raises(DataError, match="is not a bundle"):
        import_bundle(bundle, tmp_path / "b")
    for folder in (tmp_path, *tmp_path.parents):
        assert not list(folder.glob("escape*")), "no name in a bundle is a path"
    for info in list_sets(tmp_path / "b"):
        assert verify(info.path).damages == ()


def test_vectors_that_are_not_finite_are_refused(tmp_path: Path, make_meta: Make, make_batch: Make) -> None:
    """A bundle whose checksums are right and whose vectors no store would take."""
    store = create_store(tmp_path / "a", make_meta("hdf5"))
    assert isinstance(store, ShardedStore)
    keys, vectors = make_batch(range(4))
    vectors.values[2, 2] = np.inf
    store.commit(
        ShardIndex(key_array(keys), vectors.offsets, checksums(vectors.values, vectors.offsets)), vectors.values
    )
    export_bundle(list_sets(tmp_path / "a")[0].path, tmp_path / "toy.tar")
    with pytest.raises(DataError, match="not finite"):
        import_bundle(tmp_path / "toy.tar", tmp_path / "b")
    assert list_sets(tmp_path / "b")[0].sentences == 0


def test_a_bundle_of_a_newer_format_says_so(bundle: Path, tmp_path: Path) -> None:
    pack(bundle, _set(unpack(bundle), format=2))
    with pytest.raises(MismatchError, match="update featstore"):
        import_bundle(bundle, tmp_path / "b")


def test_damage_is_not_exported(tmp_path: Path, make_meta: Make, make_batch: Make) -> None:
    create_store(tmp_path / "a", make_meta("hdf5")).append(*make_batch(range(8)))
    path = list_sets(tmp_path / "a")[0].path
    wanted = make_batch([3])[1].values.tobytes()
    data = next(Path(path, "shards").glob("*.h5"))
    data.write_bytes(data.read_bytes().replace(wanted, bytes(len(wanted))))
    with pytest.raises(FeatstoreError, match="not those that were written"):
        export_bundle(path, tmp_path / "toy.tar")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"], "no bundle, whole or in part"
