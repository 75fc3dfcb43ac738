"""A writer dies at any instant, and nothing that reads as finished is ever half there.

Two ways to die: SIGKILL at random instants (FEATSTORE_CRASH_KILLS of them for each backend, 60 unless told), and,
so that no step is left to chance, at each single call by which a writer changes files.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featstore.errors import ResourceError
from featstore.ragged import Ragged
from featstore.stores import create_store, list_sets, local, open_store
from featstore.stores.maintenance.verify import verify

Make = Callable[..., Any]
KILLS = int(os.environ.get("FEATSTORE_CRASH_KILLS", "60"))
SENTENCES, STEP, DIM = 1600, 32, 64
KILLS_A_STORE = 10


@pytest.fixture(scope="module")
def expected(make_batch: Make) -> tuple[list[bytes], Ragged]:
    """What an uninterrupted run stores."""
    keys, vectors = make_batch(range(SENTENCES), dim=DIM)
    return keys, vectors


def check(root: Path, expected: tuple[list[bytes], Ragged]) -> int:
    """Open the store as any reader does: what is there is whole and right. Returns how many sentences there are."""
    sets = list_sets(root)
    if not sets:  # killed before there was one
        return 0
    store = open_store(sets[0].path, check=True)
    stored = set(store.keys())
    keys, vectors = expected
    assert stored <= set(keys)
    here = [i for i, key in enumerate(keys) if key in stored]
    for i, rows in zip(here, store.read([keys[i] for i in here]), strict=True):
        assert np.array_equal(rows, vectors[i])
    assert verify(sets[0].path).damages == ()
    return len(stored)


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_writers_killed_at_random_instants(
    tmp_path: Path, writers: Any, expected: tuple[list[bytes], Ragged], make_meta: Make, backend: str
) -> None:
    draw = np.random.default_rng(int(time.time()))
    kills = 0
    while kills < KILLS:
        root = tmp_path / str(kills)
        stored, hits = 0, 0
        while hits < KILLS_A_STORE and stored < SENTENCES:
            job = {"root": str(root), "backend": backend, "step": STEP, "dim": DIM}
            firsts = draw.integers(0, SENTENCES // 2, size=draw.integers(1, 4)) * int(stored > 0)
            pids = [writers.start(first=int(first), stop=SENTENCES, **job) for first in firsts]
            time.sleep(draw.uniform(0, 0.08))
            hits += sum([writers.kill(pid) for pid in pids])
            for pid in pids:
                writers.wait(pid)
            before, stored = stored, check(root, expected)
            assert stored >= before, "what was committed stays"
        kills += hits
        writers.wait(writers.start(first=0, stop=SENTENCES, **job))  # the resumed run
        assert check(root, expected) == SENTENCES
        create_store(root, make_meta(backend, dim=DIM))
        assert verify(list_sets(root)[0].path).leftovers == (), "what the dead left is swept"
    print(f"{backend}: {kills} kills of live writers")


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_a_writer_that_dies_at_each_step(
    tmp_path: Path, writers: Any, expected: tuple[list[bytes], Ragged], backend: str
) -> None:
    counts: list[int] = []
    job = {"backend": backend, "first": 0, "stop": 4, "step": 4, "dim": DIM}
    while not counts or counts[-1] < 4:
        root = tmp_path / str(len(counts))
        writers.wait(writers.start(root=str(root), die_at=len(counts) + 1, **job))
        counts.append(check(root, expected))
        writers.wait(writers.start(root=str(root), **job))
        assert check(root, expected) == 4
        assert verify(list_sets(root)[0].path).leftovers == ()
    assert set(counts) == {0, 4}
    assert counts == sorted(counts), "a shard that is there after fewer steps is there after more"
    assert len(counts) > 15


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_a_disk_that_is_full_at_each_step(
    tmp_path: Path, make_batch: Make, make_meta: Make, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whichever call the disk is full: one clear error, nothing half-written, and the next attempt succeeds."""
    keys, vectors = make_batch(range(8))

    def failing(function: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*args, **options)

        return call

    for step in range(1, 100):
        root = tmp_path / str(step)
        store = create_store(root, make_meta(backend))
        store.append(*make_batch(range(100, 104)))
        left, failure = [step], None
        with monkeypatch.context() as patch:
            for name in ("fsync", "rename", "link", "mkdir"):
                patch.setattr(os, name, failing(getattr(os, name), left))
            patch.setattr(local, "_write", failing(local._write, left))
            try:
                store.append(keys, vectors)
            except ResourceError as error:
                failure = error
        if left[0] > 0:  # that many calls were not needed
            break
        # (a folder that is there already need not be made, so that call may fail without harm)
        assert failure is None or (failure.exit_code == 6 and "No space left" in str(failure))
        found = verify(list_sets(root)[0].path)
        assert found.damages == ()
        assert all(name.startswith("shards/") for name in found.leftovers), "at most data whose index was refused"
        store.refresh()
        store.append(keys, vectors)
        assert np.array_equal(open_store(list_sets(root)[0].path).read(keys).values, vectors.values)
    assert step > 6, "several calls must have been made to fail"
