"""Many processes at one store: writers and readers at once, forks, signals, and places that refuse."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from featstore.errors import ResourceError
from featstore.stores import create_store, list_sets, local, open_store
from featstore.stores.maintenance.verify import verify
from featstore.stores.pace import read_pace
from featstore.stores.sharded import ShardedStore

Make = Callable[..., Any]
SECONDS = float(os.environ.get("FEATSTORE_STRESS_SECONDS", "3"))
STORES = int(os.environ.get("FEATSTORE_STRESS_STORES", "40"))

both = pytest.mark.parametrize("backend", ["hdf5", "zarr"])


@both
def test_eight_writers_and_four_readers(
    tmp_path: Path, writers: Any, make_batch: Make, make_meta: Make, backend: str
) -> None:
    """Half the shards are written by two writers at about the same time; FEATSTORE_STRESS_SECONDS says how long."""
    root = tmp_path / "features"
    create_store(root, make_meta(backend))
    job = {"root": str(root), "backend": backend, "seconds": SECONDS}
    logs = [tmp_path / f"{kind}{i}" for kind, n in (("write", 8), ("read", 4)) for i in range(n)]
    pids = [writers.start(do=f"{log.name[:-1]}_for", seed=int(log.name[-1]) // 2, log=str(log), **job) for log in logs]
    for pid in pids:
        writers.wait(pid, SECONDS + 60)
    committed = [int(line) for log in logs[:8] for line in log.read_text().split()]
    reads = [int(log.read_text()) for log in logs[8:]]  # a reader that met anything wrong has written none
    assert all(reads)

    (info,) = list_sets(root)
    keys, vectors = make_batch([32 * shard + i for shard in sorted(set(committed)) for i in range(32)])
    store = open_store(info.path, check=True)
    stored = list(store.keys())
    assert len(stored) == len(set(stored)) == len(keys), "nothing lost, nothing doubled"
    assert np.array_equal(store.read(keys).values, vectors.values)
    assert info.sentences == len(keys), "the same batch of two writers is one shard"
    found = verify(info.path)
    assert (found.damages, found.leftovers) == ((), ())
    print(
        f"{backend}: {SECONDS:g} s, 8 writers committed {info.shards} shards {len(committed)} times, "
        f"4 readers read {sum(reads)} sentences"
    )


@pytest.mark.parametrize("processes", [2, 4])
def test_several_processes_make_the_same_stores(tmp_path: Path, writers: Any, make_batch: Make, processes: int) -> None:
    """Each store is made by all of them at the same moment; nobody sweeps what another has on its way."""
    job = {"do": "create", "root": str(tmp_path), "backend": "zarr", "count": STORES, "at": time.time() + 0.2}
    logs = [tmp_path / f"log{i}" for i in range(processes)]
    pids = [writers.start(log=str(log), **job) for log in logs]
    for pid in pids:
        writers.wait(pid)
    assert [log.read_text() for log in logs] == [""] * processes
    for number in range(STORES):
        (info,) = list_sets(tmp_path / str(number))
        keys, vectors = make_batch([number])
        assert np.array_equal(open_store(info.path, check=True).read(keys).values, vectors.values)
        assert (verify(info.path).damages, verify(info.path).leftovers) == ((), ())
        assert read_pace(info.path) is not None


@both
def test_a_shard_that_two_writers_commit_stays_in_place(
    tmp_path: Path, make_batch: Make, make_meta: Make, backend: str
) -> None:
    """The second writer leaves the first's files alone: a reader that lists or reads them must not miss any."""
    first, second = (create_store(tmp_path, make_meta(backend)) for _ in range(2))
    first.append(*make_batch([1, 2, 3]))
    before = {p: p.stat().st_ino for p in tmp_path.glob("*/shards/*")}
    second.append(*make_batch([1, 2, 3]))  # it was opened before the first wrote, so it knows of no shard
    assert {p: p.stat().st_ino for p in tmp_path.glob("*/shards/*")} == before
    assert len(before) == 2
    assert not list(tmp_path.glob("*/tmp/*"))


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_what_has_another_content_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if not links:  # as on FAT and on some network file systems
        monkeypatch.setattr(os, "link", no_links)
    place = local.LocalPlace(tmp_path)
    for content in (b"old", b"new"):
        place.publish({"tree": {"a": content, "b/c": b"kept"}, "file": {"": content}})
    assert place.read_tree("tree") == {"a": b"new", "b/c": b"kept"}
    assert place.read("file") == b"new"
    assert not list(tmp_path.glob("tmp/*"))


class _Sentences(Dataset[tuple[int, torch.Tensor]]):
    """Each item is read from the store by whichever process is asked."""

    def __init__(self, store: Any, keys: list[bytes]) -> None:
        self.store, self.keys = store, keys

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, i: int) -> tuple[int, torch.Tensor]:
        return os.getpid(), torch.from_numpy(self.store.read([self.keys[i]]).values.astype("float32"))


@both
@pytest.mark.parametrize("decoded", [False, True], ids=["by offset", "decoded"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_loader_workers_share_a_store_that_was_used_before(
    tmp_path: Path, make_batch: Make, make_meta: Make, backend: str, decoded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = create_store(tmp_path / "features", make_meta(backend))
    assert isinstance(store, ShardedStore)
    for first in range(0, 64, 8):
        store.append(*make_batch(range(first, first + 8)))
    if decoded:
        monkeypatch.setattr(type(store.files.layout), "extents", lambda *_: None)
    keys, vectors = make_batch(range(64))
    assert np.array_equal(store.read(keys[:20]).values, make_batch(range(20))[1].values)  # used before the fork
    loader = DataLoader(
        _Sentences(store, keys), batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=60
    )
    pids = set()
    for i, (pid, rows) in enumerate(loader):
        pids.add(pid)
        assert np.array_equal(rows.numpy(), vectors[i])
        assert np.array_equal(store.read([keys[-i]]).values, vectors[-i % 64])  # and the parent reads meanwhile
    assert len(pids - {os.getpid()}) == 2


@both
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_can_write_to_the_store_of_its_parent(
    tmp_path: Path, make_batch: Make, make_meta: Make, backend: str
) -> None:
    store = create_store(tmp_path / "features", make_meta(backend))
    store.append(*make_batch(range(8)))
    pid = os.fork()
    if pid == 0:
        store.append(*make_batch(range(8, 16)))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    store.refresh()
    keys, vectors = make_batch(range(16))
    assert np.array_equal(store.read(keys).values, vectors.values)


@both
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_writer_leaves_the_store_intact(
    tmp_path: Path, writers: Any, make_batch: Make, make_meta: Make, backend: str, how: int
) -> None:
    root = tmp_path / "features"
    draw = np.random.default_rng(int(how))
    for _ in range(4):
        pid = writers.start(root=str(root), backend=backend, first=0, stop=4000, step=8, dim=8)
        time.sleep(draw.uniform(0.01, 0.1))
        writers.kill(pid, how)
        writers.wait(pid)
        store = create_store(root, make_meta(backend))
        stored = len(list(store.keys()))
        assert np.array_equal(store.read(make_batch(range(stored))[0]).values, make_batch(range(stored))[1].values)
        found = verify(list_sets(root)[0].path)
        assert (found.damages, found.leftovers) == ((), ())


def sound(root: Path, make_batch: Make) -> None:
    """Make sure that the store has exactly the sentences 0 to 8."""
    path = list_sets(root)[0].path
    keys, vectors = make_batch(range(8))
    store = open_store(path, check=True)
    assert sorted(store.keys()) == sorted(keys)
    assert np.array_equal(store.read(keys).values, vectors.values)
    assert verify(path).damages == ()


@both
def test_a_file_size_limit(tmp_path: Path, writers: Any, make_batch: Make, make_meta: Make, backend: str) -> None:
    root, log = tmp_path / "features", tmp_path / "log"
    create_store(root, make_meta(backend)).append(*make_batch(range(8)))
    writers.wait(writers.start(do="refused", root=str(root), backend=backend, log=str(log), file_size=4096))
    assert log.read_text().startswith("6 no room to write ")
    sound(root, make_batch)


@both
def test_a_directory_that_may_not_be_written(
    tmp_path: Path, writers: Any, make_batch: Make, make_meta: Make, backend: str
) -> None:
    root, log = tmp_path / "features", tmp_path / "log"
    create_store(root, make_meta(backend)).append(*make_batch(range(8)))
    tmp_path.chmod(0o755)
    log.touch()
    log.chmod(0o666)
    folders = [p for p in (root, *root.rglob("*")) if p.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    for target in (root, root / "new"):
        writers.wait(writers.start(do="refused", root=str(target), backend=backend, log=str(log)))
        assert log.read_text().startswith("6 ")
        assert "cannot be written: " in log.read_text()
        assert "ermission" in log.read_text()
    sound(root, make_batch)
    for folder in folders:
        folder.chmod(0o755)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system takes rights that this user does not have")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], capture_output=True)


@both
def test_a_full_disk(small_disk: Path, make_batch: Make, make_meta: Make, backend: str) -> None:
    root = small_disk / "features"
    store = create_store(root, make_meta(backend))
    store.append(*make_batch(range(8)))
    with pytest.raises(ResourceError, match=r"no room to write.*No space left"):
        store.append(*make_batch(range(8, 8000)))
    sound(root, make_batch)
    store.append(*make_batch(range(8, 16)))  # what is smaller still fits
    assert len(list(open_store(list_sets(root)[0].path).keys())) == 16


@both
def test_a_mount_that_vanished(small_disk: Path, make_batch: Make, make_meta: Make, backend: str) -> None:
    store = create_store(small_disk / "features", make_meta(backend))
    store.append(*make_batch(range(8)))
    subprocess.run(["umount", "-l", str(small_disk)], check=True)
    for use in (store.refresh, lambda: store.append(*make_batch(range(8, 16))), lambda: store.read(make_batch([1])[0])):
        with pytest.raises(ResourceError, match="is gone; is its file system still mounted"):
            use()
    assert os.listdir(small_disk) == []


@both
def test_a_store_that_was_taken_away_is_not_an_empty_one(
    tmp_path: Path, make_batch: Make, make_meta: Make, backend: str
) -> None:
    store = create_store(tmp_path / "features", make_meta(backend))
    store.append(*make_batch(range(8)))
    shutil.rmtree(tmp_path / "features")
    with pytest.raises(ResourceError, match="is gone"):
        store.append(*make_batch(range(8, 16)))
    with pytest.raises(ResourceError, match="is gone"):
        store.refresh()
    assert not (tmp_path / "features").exists()


@both
def test_a_file_system_without_locks(
    tmp_path: Path, make_batch: Make, make_meta: Make, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading and writing need none; but then nobody can be sure to be alone, so nothing is swept."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    root = tmp_path / "features"
    create_store(root, make_meta(backend)).append(*make_batch(range(8)))
    path = Path(list_sets(root)[0].path)
    (path / "tmp" / "of a writer on another machine").touch()
    create_store(root, make_meta(backend))
    assert verify(path).leftovers == ("tmp/of a writer on another machine",)
    sound(root, make_batch)


@both
def test_every_file_and_entry_is_flushed_before_a_shard_counts(
    tmp_path: Path, make_batch: Make, make_meta: Make, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the index promises is on the disk before the index is: watched at the calls themselves."""
    store = create_store(tmp_path / "features", make_meta(backend))
    path = Path(list_sets(tmp_path / "features")[0].path)
    flushed: set[Path] = set()
    renamed: list[tuple[Path, Path]] = []
    fsync = os.fsync

    def watch_fsync(fd: int) -> None:
        flushed.add(Path(os.readlink(f"/proc/self/fd/{fd}")))
        fsync(fd)

    def watch(give_name: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        def call(source: Path, target: Path) -> None:
            assert source in flushed
            assert set(source.rglob("*")) <= flushed, "every file and folder of it"
            assert not renamed or renamed[-1][1].parent in flushed, "the entry of the one before"
            flushed.clear()
            renamed.append((source, target))
            give_name(source, target)

        return call

    monkeypatch.setattr(os, "fsync", watch_fsync)
    for name in ("rename", "link"):
        monkeypatch.setattr(os, name, watch(getattr(os, name)))
    store.append(*make_batch(range(8)))
    assert [target.suffix for _, target in renamed] == [f".{backend}".replace("hdf5", "h5"), ".index"]
    assert {source.parent for source, _ in renamed} == {path / "tmp"}
    assert path / "shards" in flushed
