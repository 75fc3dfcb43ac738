"""Opening a store of many sentences and looking keys up, with the key index and without it.

In: nothing that the package does not bring. The index files of the shards are real; the vectors that they index are not
there, and nothing here reads them. ``python benchmarks/scale.py index`` runs it. Out: a table.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from featstore.fingerprint import fingerprint
from featstore.markdown import markdown_table
from featstore.stores import FeatureMeta, catalogue
from featstore.stores.layout import ShardIndex, pack_index, shard_name
from featstore.stores.location import place_of
from featstore.stores.places import join
from featstore.stores.sets import directory_name, ensure, open_files

SHARD_SENTENCES = 10_000
READER = """
import os, resource, sys, time
import numpy as np
from featstore.stores import open_store
from featstore.stores.location import place_of
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
def now():
    return np.array([time.process_time(), time.perf_counter()])
place_of(sys.argv[1]).exists("set.json")  # the protocol's package is loaded, and a connection is open
known = np.random.default_rng(0).integers(0, 256, (10_000, 16), dtype=np.uint8)
keys = [key.tobytes() for key in known[::2]] + [os.urandom(16) for _ in range(5_000)]
before, begun = peak(), now()
store = open_store(sys.argv[1])
opened, begun = now() - begun, now()
absent = store.missing(keys)
looked, after, begun = now() - begun, peak(), now()
assert len(absent) == 5_000, len(absent)
for first in range(0, 10_000, 500):
    store.missing(keys[first : first + 32])
print(*opened, *looked, *(now() - begun) / 20, after - before)
"""


@contextmanager
def s3_bucket() -> Iterator[str]:
    """Start a server that speaks S3 (moto) on this machine; give the address of an empty bucket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        settings = {"ENDPOINT_URL": f"http://127.0.0.1:{port}", "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x"}
        os.environ.update({f"AWS_{name}": value for name, value in settings.items()}, AWS_DEFAULT_REGION="us-east-1")
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        import fsspec

        bucket = f"s3://bucket-{secrets.token_hex(6)}"
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir(bucket)
        yield bucket
    finally:
        server.terminate()
        server.wait()


def make_indexes(path: str, meta: FeatureMeta, number: int) -> None:
    """Write the index files of a feature set of ``number`` sentences; what they index is not there."""
    place = place_of(path)
    ensure(place, meta)
    for first in range(0, number, SHARD_SENTENCES):
        rng = np.random.default_rng(first)
        keys = rng.integers(0, 256, (SHARD_SENTENCES, 16), dtype=np.uint8)
        sums = rng.integers(0, 1 << 60, SHARD_SENTENCES, dtype=np.uint64)
        index = ShardIndex(keys, np.arange(SHARD_SENTENCES + 1, dtype=np.int64) * 25, sums)
        place.publish({f"shards/{shard_name(meta, index)}.index": {"": pack_index(index, 0)}})


def measure(path: str) -> list[str]:
    """Open the set and look keys up in a process of its own; return the cells of a row."""
    done = subprocess.run([sys.executable, "-c", READER, path], check=True, capture_output=True, text=True)
    *times, memory = map(float, done.stdout.split())
    pairs = zip(times[::2], times[1::2], strict=True)
    return [*(f"{1000 * spent:,.1f} ({1000 * wall:,.0f})" for spent, wall in pairs), f"{memory:.0f} MB"]


def large_store(numbers: list[int], root: str | None) -> None:
    """Open sets of many sentences without a key index and with one; print a table."""
    facts = {"encoder": "none", "weights": {}}
    meta = FeatureMeta("none", fingerprint(facts), 512, 1, "float16", "hdf5", facts)
    rows = []
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            path = join(f"{root}/{number}" if root else folder, directory_name(meta))
            make_indexes(path, meta, number)
            for kind in ("none", "one segment"):
                if kind == "one segment":
                    begun = time.process_time()
                    assert catalogue.update(open_files(path), everything=True)
                    kind += f", made in {time.process_time() - begun:.1f} s"
                rows.append([f"{number:,}", str(number // SHARD_SENTENCES), kind, *measure(path)])
                print(*rows[-1], sep=" | ", flush=True)
    print("Milliseconds of the processor, and in brackets of the clock.\n")
    head = ["sentences", "shards", "key index", "to open", "10,000 look-ups", "32 look-ups", "peak memory more"]
    print(markdown_table(head, rows))
