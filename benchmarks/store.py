"""How fast the stores read and write, beside the simplest alternatives.

In: how many sentences of how many columns. Out: Markdown tables on stdout, and for each goal of the project whether
it is met. Everything is measured in one run, with the layouts in turn within each round, and the medians of the rounds
are printed. Files are read from the page cache, so reading and opening do not wait for the disk. Their times are
processor time, which other programs on a shared machine disturb least. Writing is wall time.

    python benchmarks/store.py
    python benchmarks/store.py --save chemprot:DIR    # storing GloVe's vectors of a corpus, beside np.save, alone
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import lmdb
import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from featstore.corpora import load_corpus
from featstore.encoders import load_encoder
from featstore.featurize.encode import distinct_sentences, encode_missing
from featstore.featurize.forecast import feature_meta
from featstore.fingerprint import fingerprint
from featstore.ragged import Ragged
from featstore.stores import FeatureMeta, FeatureStore, create_store, list_sets, open_store
from featstore.stores.layout import ShardIndex, pack_index
from featstore.stores.sharded import ShardedStore

BATCH = 32
SHARD = 1000  # sentences in a shard
ROUNDS = 7
ENCODERS = ("glove", "cse", "elmo")

Rows = NDArray[np.float16]
Read = Callable[[Sequence[int]], Rows]


class Data:
    """Sentences of 14 to 42 tokens (28 on average, as in ChemProt) and their vectors, random float16."""

    def __init__(self, sentences: int, dim: int) -> None:
        draw = np.random.default_rng(0)
        self.lengths = draw.integers(14, 43, sentences)
        self.offsets = np.concatenate(([0], np.cumsum(self.lengths)))
        self.values = draw.standard_normal((int(self.offsets[-1]), dim), dtype=np.float32).astype(np.float16)
        self.keys = [hashlib.blake2b(str(i).encode(), digest_size=16).digest() for i in range(sentences)]

    def __len__(self) -> int:
        return len(self.keys)

    def shards(self) -> Iterator[tuple[list[bytes], Ragged]]:
        for a in range(0, len(self), SHARD):
            b = min(a + SHARD, len(self))
            first, last = self.offsets[a], self.offsets[b]
            yield self.keys[a:b], Ragged(self.values[first:last], self.offsets[a : b + 1] - first)


def seconds(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    call()
    return clock() - start


def megabytes(data: Data) -> float:
    return float(data.values.nbytes) / 1e6


# Writing ------------------------------------------------------------------------------------------------------------


def write_memmap(data: Data, folder: Path) -> None:
    file = np.memmap(folder / "memmap", np.float16, "w+", shape=data.values.shape)
    file[:] = data.values
    file.flush()


def write_lmdb(data: Data, folder: Path) -> None:
    with (
        lmdb.open(str(folder / "lmdb"), map_size=4 * data.values.nbytes + 2**24) as database,
        database.begin(write=True) as transaction,
    ):
        for i, key in enumerate(data.keys):
            transaction.put(key, data.values[data.offsets[i] : data.offsets[i + 1]].tobytes())


def write_datasets(data: Data, folder: Path) -> None:
    with h5py.File(folder / "datasets.h5", "w") as file:
        for i, key in enumerate(data.keys):
            file.create_dataset(key.hex(), data=data.values[data.offsets[i] : data.offsets[i + 1]])


def write_safetensors(data: Data, folder: Path) -> None:
    save_file({"values": data.values}, folder / "safetensors")


def write_store(data: Data, folder: Path, backend: str) -> None:
    store = create_store(folder / backend, meta(backend, data.values.shape[1]))
    for keys, vectors in data.shards():
        store.append(keys, vectors)


def meta(backend: str, dim: int) -> FeatureMeta:
    facts = {"kind": "benchmark"}
    return FeatureMeta("benchmark", fingerprint(facts), dim, 1, "float16", backend, facts)


def shares(folder: Path, backend: str, spec: str) -> dict[str, float]:
    """Return the shares of encoding and of the disk in storing the bundled sample with a bundled encoder."""
    sentences = distinct_sentences(load_corpus("sample").instances)
    encoder = load_encoder(spec)
    store = create_store(folder / "producing", feature_meta(encoder, dtype="float16", backend=backend))
    assert isinstance(store, ShardedStore)
    publish, encode = store.files.place.publish, encoder.encode
    spent = {"encoding": 0.0, "disk": 0.0}

    def timed(part: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = call()
        spent[part] += time.perf_counter() - start
        return result

    store.files.place.publish = lambda *given: timed("disk", lambda: publish(*given))  # type: ignore[method-assign]
    encoder.encode = lambda batch: timed("encoding", lambda: encode(batch))  # type: ignore[method-assign]
    whole = seconds(lambda: encode_missing(sentences, encoder, store))
    return {part: taken / whole for part, taken in spent.items()}


def against_save(folder: Path, spec: str, corpus: str) -> dict[str, float]:
    """Return how many sentences of a corpus a second of processor time encodes and stores: a plain ``np.save`` of the
    vectors and where each sentence's begin, and each backend."""
    sentences = distinct_sentences(load_corpus(corpus, context="sentence").instances)
    encoder = load_encoder(spec)

    def save() -> None:
        vectors = encoder.encode(list(sentences.values()))
        np.save(folder / "values.npy", vectors.values.astype(np.float16))
        np.save(folder / "offsets.npy", vectors.offsets)

    def store(backend: str, turn: int) -> None:
        place = folder / f"saved-{backend}-{turn}"
        with closing(create_store(place, feature_meta(encoder, dtype="float16", backend=backend))) as opened:
            encode_missing(sentences, encoder, opened)

    spent: dict[str, list[float]] = {"np.save": [], "hdf5": [], "zarr": []}
    for turn in range(ROUNDS + 1):
        for name, taken in spent.items():
            call = save if name == "np.save" else partial(store, name, turn)
            once = seconds(call, time.process_time)
            if turn:  # the first time imports what it needs
                taken.append(once)
    return {name: len(sentences) / median(taken) for name, taken in spent.items()}


# Reading random batches ---------------------------------------------------------------------------------------------


def gather(data: Data, rows: Callable[[int], Rows]) -> Read:
    """Return a reader of batches that copies sentence by sentence into one array."""

    def read(batch: Sequence[int]) -> Rows:
        out = np.empty((int(data.lengths[batch].sum()), data.values.shape[1]), np.float16)
        at = 0
        for i in batch:
            part = rows(i)
            out[at : at + len(part)] = part
            at += len(part)
        return out

    return read


def readers(data: Data, folder: Path) -> dict[str, Read]:
    """Return a reader of batches for each layout, each over files that are open."""
    dim, offsets = data.values.shape[1], data.offsets
    mapped = np.memmap(folder / "memmap", np.float16, "r", shape=data.values.shape)
    transaction = lmdb.open(str(folder / "lmdb"), readonly=True, lock=False).begin(buffers=True)
    datasets = h5py.File(folder / "datasets.h5", "r")
    tensors: Any = safe_open(folder / "safetensors", "numpy")
    matrix = tensors.get_slice("values")
    stores = {backend: open_store(list_sets(folder / backend)[0].path) for backend in ("hdf5", "zarr")}
    decoding = _Decoding(open_store(list_sets(folder / "zarr")[0].path))

    def of_store(store: FeatureStore) -> Read:
        return lambda batch: store.read([data.keys[i] for i in batch]).values

    return {
        "np.memmap": gather(data, lambda i: mapped[offsets[i] : offsets[i + 1]]),
        "LMDB, a key a sentence": gather(
            data, lambda i: np.frombuffer(transaction.get(data.keys[i], b""), np.float16).reshape(-1, dim)
        ),
        "HDF5, a dataset a sentence": gather(data, lambda i: datasets[data.keys[i].hex()][...]),
        "safetensors, one matrix": gather(data, lambda i: matrix[int(offsets[i]) : int(offsets[i + 1])]),
        "featstore hdf5": of_store(stores["hdf5"]),
        "featstore hdf5, checked": of_store(open_store(list_sets(folder / "hdf5")[0].path, check=True)),
        "featstore zarr": of_store(stores["zarr"]),
        "featstore zarr, decoded": of_store(decoding.store),
    }


class _Decoding:
    """A store that decodes whole shards through the Zarr library, as it does at an address."""

    def __init__(self, store: FeatureStore) -> None:
        assert isinstance(store, ShardedStore)
        store.files.layout.extents = lambda *_: None  # type: ignore[method-assign]
        self.store = store


def epochs(data: Data, reads: dict[str, Read]) -> dict[str, float]:
    """Return the median seconds of an epoch of random batches for each reader."""
    spent: dict[str, list[float]] = {name: [] for name in reads}
    for turn in range(ROUNDS):
        order = np.random.default_rng(turn).permutation(len(data))
        batches = [order[i : i + BATCH].tolist() for i in range(0, len(order), BATCH)]
        for name, read in reads.items():
            if turn == 0:
                expected = np.concatenate([data.values[data.offsets[i] : data.offsets[i + 1]] for i in batches[0]])
                assert np.array_equal(read(batches[0]), expected), name
            spent[name].append(epoch(read, batches))
    return {name: median(rounds) for name, rounds in spent.items()}


def epoch(read: Read, batches: list[list[int]]) -> float:
    """Return the processor seconds of reading all batches."""
    start = time.process_time()
    for batch in batches:
        read(batch)
    return time.process_time() - start


# Scanning -----------------------------------------------------------------------------------------------------------


def scans(data: Data, folder: Path) -> dict[str, float]:
    """Return the median seconds of a full scan: the raw bytes of a file, and each store shard by shard."""

    def raw() -> None:
        with open(folder / "memmap", "rb", buffering=0) as file:
            for a in range(0, len(data), SHARD):
                rows = int(data.offsets[min(a + SHARD, len(data))] - data.offsets[a])
                file.readinto(np.empty((rows, data.values.shape[1]), np.float16).reshape(-1).view(np.uint8).data)

    def stored(store: FeatureStore) -> None:
        keys = list(store.keys())
        for a in range(0, len(keys), SHARD):
            store.read(keys[a : a + SHARD])

    stores = {b: open_store(list_sets(folder / b)[0].path) for b in ("hdf5", "zarr")}
    calls: dict[str, Callable[[], object]] = {"raw bytes": raw}
    calls |= {f"featstore {b}": lambda store=store: stored(store) for b, store in stores.items()}  # type: ignore[misc]
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            spent[name].append(seconds(call, time.process_time))
    return {name: median(rounds) for name, rounds in spent.items()}


# Ten million keys ---------------------------------------------------------------------------------------------------


def write_index(folder: Path, keys: int, shards: int) -> None:
    """Write the index files of a store of so many keys, without any data."""
    create_store(folder, meta("hdf5", 8))
    target = Path(list_sets(folder)[0].path) / "shards"
    target.mkdir()
    draw, each = np.random.default_rng(0), keys // shards
    for number in range(shards):
        table = draw.integers(0, 256, (each, 16), dtype=np.uint8)
        index = ShardIndex(table, np.arange(each + 1, dtype=np.int64), np.zeros(each, np.uint64))
        (target / f"{number:032x}.index").write_bytes(pack_index(index, 0))


def open_index(folder: Path) -> None:
    """Open the store and look keys up; print what it took as JSON. Runs in a process of its own, for its memory."""
    path = list_sets(folder)[0].path
    wall, start = time.perf_counter(), time.process_time()
    store = open_store(path)
    opened, wall = time.process_time() - start, time.perf_counter() - wall
    table = np.random.default_rng(0).integers(0, 256, (500, 16), dtype=np.uint8)  # in the first shard
    keys = [k.tobytes() for k in table] + [
        hashlib.blake2b(bytes([i % 256, i // 256])).digest()[:16] for i in range(500)
    ]
    looked_up = median(seconds(lambda: store.missing(keys), time.process_time) for _ in range(ROUNDS))
    assert len(store.missing(keys)) == 500
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count the parent's memory too
    peak = int(status.partition("VmHWM:")[2].split()[0])
    print(json.dumps({"open": opened, "wall": wall, "lookup": looked_up, "mib": peak / 1024}))


# Tables -------------------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for row in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(row)} |")
    print(flush=True)


def report(data: Data, folder: Path, index_keys: int) -> None:
    size = megabytes(data)
    print(f"{len(data)} sentences, {data.values.shape[0]} rows of {data.values.shape[1]} float16, {size:.0f} MB;")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}.\n")
    writers: dict[str, Callable[[], object]] = {
        "np.memmap": lambda: write_memmap(data, folder),
        "LMDB, a key a sentence": lambda: write_lmdb(data, folder),
        "HDF5, a dataset a sentence": lambda: write_datasets(data, folder),
        "safetensors, one matrix": lambda: write_safetensors(data, folder),
        "featstore hdf5": lambda: write_store(data, folder, "hdf5"),
        "featstore zarr": lambda: write_store(data, folder, "zarr"),
    }
    written = {name: seconds(call) for name, call in writers.items()}
    read = epochs(data, readers(data, folder))
    base = read["np.memmap"]
    table(
        ["layout", "write, MB/s", f"random batches of {BATCH}: us a sentence", "times np.memmap"],
        [
            [
                name,
                f"{size / written[name]:.0f}" if name in written else "",
                f"{1e6 * spent / len(data):.1f}",
                f"{spent / base:.2f}",
            ]
            for name, spent in read.items()
        ],
    )
    scanned = scans(data, folder)
    table(
        ["full scan", "MB/s", "share of raw"],
        [[n, f"{size / s:.0f}", f"{100 * scanned['raw bytes'] / s:.0f} %"] for n, s in scanned.items()],
    )
    made = {(spec, backend): shares(folder, backend, spec) for spec in ENCODERS for backend in ("hdf5", "zarr")}
    table(
        ["storing the sample", "encoding", "disk", "bookkeeping"],
        [
            [f"{spec}, {backend}", *(f"{100 * x:.1f} %" for x in (*share.values(), 1 - sum(share.values())))]
            for (spec, backend), share in made.items()
        ],
    )
    report_saving(folder, "sample")
    write_index(folder / "index", index_keys, 1000)
    ran = subprocess.run(
        [sys.executable, __file__, "--open-index", str(folder / "index")], capture_output=True, text=True, check=True
    )
    index = json.loads(ran.stdout)
    goals(read, scanned, index, index_keys, min(sum(share.values()) for share in made.values()))


def report_saving(folder: Path, corpus: str) -> None:
    """Print how fast GloVe's vectors of a corpus are stored."""
    rates = against_save(folder, "glove", corpus)
    table(
        [f"storing {corpus.partition(':')[0]} with glove", "sentences/s", "share of np.save"],
        [[name, f"{rate:,.0f}", f"{100 * rate / rates['np.save']:.0f} %"] for name, rate in rates.items()],
    )


def goals(
    read: dict[str, float], scanned: dict[str, float], index: dict[str, float], keys: int, producing: float
) -> None:
    hdf5, memmap = read["featstore hdf5"], read["np.memmap"]
    rows = [
        ("HDF5, random batches: within 2 times np.memmap", f"{hdf5 / memmap:.2f}", hdf5 <= 2 * memmap),
        *(
            (f"Zarr{how}, an epoch: within 2 times HDF5", f"{spent / hdf5:.2f}", spent <= 2 * hdf5)
            for how, spent in (("", read["featstore zarr"]), (" decoded", read["featstore zarr, decoded"]))
        ),
        *(
            (
                f"{backend} full scan: 70 % of raw bytes",
                f"{100 * scanned['raw bytes'] / scanned[f'featstore {backend}']:.0f} %",
                scanned["raw bytes"] >= 0.7 * scanned[f"featstore {backend}"],
            )
            for backend in ("hdf5", "zarr")
        ),
        (
            f"open {keys / 1e6:g} million keys: under 5 s",
            f"{index['open']:.2f} s ({index['wall']:.1f} s by the clock)",
            index["open"] < 5,
        ),
        ("the same: under 1 GB", f"{index['mib']:.0f} MiB", index["mib"] < 1000),
        ("writing: at least 80 % is encoding or disk", f"{100 * producing:.1f} %", producing >= 0.8),
        ("look 1,000 keys up: under 10 ms", f"{1e3 * index['lookup']:.2f} ms", index["lookup"] < 0.01),
    ]
    table(["goal", "measured", "met"], [[goal, measured, "yes" if met else "NO"] for goal, measured, met in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=4000)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--index-keys", type=int, default=10_000_000)
    parser.add_argument(
        "--folder", type=Path, help="where to write about 2 GB (default: the system's temporary folder)"
    )
    parser.add_argument("--save", metavar="CORPUS", help="compare storing GloVe's vectors of this corpus alone")
    parser.add_argument("--open-index", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.open_index:
        open_index(given.open_index)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        if given.save:
            report_saving(Path(folder), given.save)
            return
        report(Data(given.sentences, given.dim), Path(folder), given.index_keys)


if __name__ == "__main__":
    main()
