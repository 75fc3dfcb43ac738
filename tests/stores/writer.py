"""A writer to be killed: a small server that forks one for each line it reads.

In: lines of JSON on the standard input (the keyword arguments of :func:`write`). Out: the process id of a writer
for each. The imports are done once, in the server, so that a writer lives within milliseconds of its order. The tests
load this file too, for the vectors that it writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from featstore.errors import FeatstoreError
from featstore.fingerprint import fingerprint
from featstore.ragged import Ragged
from featstore.stores import FeatureMeta, catalogue, create_store, hdf5, list_sets, local, zarr
from featstore.stores.pace import Pace, add_pace

SHARDS, SHARD = 1000, 32  # that the writers of a stress test may write, and the sentences of each

__all__ = ["batch", "facts", "hdf5", "write", "zarr"]


def key(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


def batch(numbers: range | list[int], dim: int = 8, dtype: str = "float16") -> tuple[list[bytes], Ragged]:
    """Return keys and vectors of sentences named by numbers: a number always gives the same."""
    parts = []
    for number in numbers:
        draw = np.random.default_rng(number)
        parts.append(draw.standard_normal((int(draw.integers(1, 9)), dim)).astype(dtype))
    return [key(n) for n in numbers], Ragged.from_list(parts, dim, dtype)


def facts(
    backend: str, dtype: str = "float16", dim: int = 8, name: str = "toy", layers: int = 1, **more: object
) -> FeatureMeta:
    """Return the facts of a feature set; they differ as the arguments differ."""
    declared = {"kind": name, "dim": dim, **more}
    return FeatureMeta(name, fingerprint(declared), dim, layers, dtype, backend, declared)


def at_call(number: int, act: Callable[[], None]) -> None:
    """Have ``act`` called before the ``number``-th of the calls by which this process changes files."""
    left = [number]

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                act()
            return function(*args, **options)

        return call

    for name in ("fsync", "rename", "link", "unlink", "mkdir"):
        setattr(os, name, counted(getattr(os, name)))
    local._write = counted(local._write)


def write(root: str, backend: str, first: int, stop: int, step: int, dim: int, die_at: int = 0, least: int = 0) -> None:
    """Store sentences ``first`` to ``stop`` that are missing, ``step`` in a shard; segments from ``least`` on."""
    catalogue.LEAST = least or catalogue.LEAST
    if die_at:
        at_call(die_at, lambda: os._exit(9))
    store = create_store(root, facts(backend, dim=dim))
    for start in range(first, stop, step):
        numbers = list(range(start, min(start + step, stop)))
        missing = set(store.missing([key(n) for n in numbers]))
        store.append(*batch([n for n in numbers if key(n) in missing], dim=dim))


def write_for(root: str, backend: str, seconds: float, seed: int, log: str) -> None:
    """Store shards in an order of its own until time is over; log the number of each once it is committed."""
    store = create_store(root, facts(backend))
    end = time.monotonic() + seconds
    with open(log, "w") as file:
        for done, shard in enumerate(np.random.default_rng(seed).permutation(SHARDS).tolist()):
            # spread over the whole time: it is the meeting of processes that is tested, not the disk
            time.sleep(max(0.0, end - seconds * (1 - done / SHARDS) - time.monotonic()))
            if time.monotonic() > end:
                break
            store.append(*batch(range(SHARD * shard, SHARD * shard + SHARD)))
            print(shard, file=file, flush=True)


def read_for(root: str, backend: str, seconds: float, seed: int, log: str) -> None:
    """Read at random what is there, compare it with what it must be, until time is over; log how much was read."""
    draw = np.random.default_rng(seed)
    numbers = {key(n): n for n in range(SHARD * SHARDS)}
    store, read, counts = create_store(root, facts(backend)), 0, [0]
    end = time.monotonic() + seconds
    while time.monotonic() < end or not read:
        store.refresh()
        stored = list(store.keys())
        assert len(stored) == len(set(stored)), "no key twice"
        assert len(stored) >= counts[-1], "what was there stays"
        assert len(stored) % SHARD == 0, "a shard is there whole or not at all"
        counts.append(len(stored))
        if stored:
            keys = [stored[i] for i in draw.integers(len(stored), size=32)]
            assert np.array_equal(store.read(keys).values, batch([numbers[k] for k in keys])[1].values)
            read += len(keys)
    with open(log, "w") as file:
        print(read, file=file)


def create(root: str, backend: str, count: int, at: float, log: str) -> None:
    """Make ``count`` stores, one after the other, beginning at a time of the clock; log what goes wrong."""
    time.sleep(max(0.0, at - time.time()))
    faults = []
    for number in range(count):
        try:
            create_store(f"{root}/{number}", facts(backend)).append(*batch([number]))
            add_pace(list_sets(f"{root}/{number}")[0].path, Pace(1, 1.0))
        except Exception as error:  # whatever it is, the test wants to know
            faults.append(f"{type(error).__name__}: {error}")
    Path(log).write_text("\n".join(faults))


def refused(root: str, backend: str, log: str, file_size: int = 0) -> None:
    """Try to store; log the error that comes. With ``file_size``, no file may be larger; otherwise as a poor user."""
    if file_size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    elif os.geteuid() == 0:
        os.setuid(65534)
    try:
        create_store(root, facts(backend)).append(*batch(range(500, 600)))
    except FeatstoreError as error:
        Path(log).write_text(f"{error.exit_code} {error}")


JOBS: dict[str, Callable[..., None]] = {
    "write": write,
    "create": create,
    "write_for": write_for,
    "read_for": read_for,
    "refused": refused,
}


def serve() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # writers are reaped at once
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            job = json.loads(line)
            try:
                JOBS[job.pop("do", "write")](**job)
            except KeyboardInterrupt:
                os._exit(130)
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    serve()
