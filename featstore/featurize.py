"""The one producer loop: skip what is stored, batch, encode, commit a shard.

In: distinct sentences by key, the spec of an encoder, the folder of a store. Out: the feature set of that encoder
holds a vector for every token of every sentence. A run that is cut short loses at most the shard it was filling;
running again encodes only what is missing, so resuming is not a special case. Several worker processes share the
work by taking every n-th batch; each writes its own shards, so they need no word with each other.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np

from featstore.encoders import Encoder, load_encoder
from featstore.errors import ResourceError
from featstore.forecast import Sentences, expected_seconds, feature_meta, free_bytes, stored_bytes
from featstore.ragged import Ragged
from featstore.records import Instance
from featstore.stores import FeatureMeta, FeatureStore, create_store

BATCH_TOKENS = 4096  # one call of the encoder; it cuts further where its own budget is smaller
COMMIT_BYTES = 64 << 20  # a shard is committed when it holds so much ..
COMMIT_SECONDS = 60.0  # .. or when so long has passed, so that a kill costs at most a minute of encoding
WORTH_A_WORKER = 20.0  # seconds of encoding below which starting a second process does not pay

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Featurized:
    """What one run of the producer loop did.

    Attributes:
        encoder: its name.
        sentences: distinct sentences asked for.
        stored: how many of them were in the store before.
        encoded: how many were encoded now.
        tokens: tokens encoded now.
        failed: how many could not be encoded; they are still missing from the store.
        workers: processes that encoded.
        seconds: wall time.
    """

    encoder: str
    sentences: int
    stored: int
    encoded: int
    tokens: int
    failed: int
    workers: int
    seconds: float


def distinct_sentences(instances: Iterable[Instance]) -> dict[bytes, tuple[str, ...]]:
    """Return the distinct token sequences of ``instances`` by key, in the order of first appearance."""
    return {instance.key: instance.tokens for instance in instances}


def _batches(keys: Sequence[bytes], sentences: Sentences) -> list[list[bytes]]:
    """Cut ``keys`` into batches of sentences of about equal length, at most BATCH_TOKENS tokens each.

    Equal lengths leave nothing to pad; the batches themselves come in a fixed random order, so that every
    shard holds short and long sentences and the speed seen so far foretells the rest.
    """
    batches: list[list[bytes]] = []
    room = 0
    for key in sorted(keys, key=lambda key: (len(sentences[key]), key)):
        length = len(sentences[key])
        if room < length or not batches:
            batches.append([])
            room = BATCH_TOKENS
        batches[-1].append(key)
        room -= length
    random.Random(0).shuffle(batches)
    return batches


class _Shard:
    """Finished batches on their way to the store."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._clear()

    def _clear(self) -> None:
        self._keys: list[bytes] = []
        self._parts: list[np.ndarray] = []
        self._bytes = 0
        self._since = time.monotonic()

    def add(self, keys: Sequence[bytes], vectors: Ragged) -> None:
        self._keys += keys
        self._parts += list(vectors)
        self._bytes += vectors.values.nbytes

    @property
    def is_due(self) -> bool:
        return self._bytes >= COMMIT_BYTES or time.monotonic() - self._since >= COMMIT_SECONDS

    def commit(self) -> None:
        if self._keys:
            self._store.append(self._keys, Ragged.from_list(self._parts, self._store.meta.dim))
        self._clear()


def featurize(
    sentences: Sentences,
    spec: str,
    *,
    root: str | Path,
    dtype: str,
    backend: str,
    workers: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Featurized:
    """Encode the sentences that the store lacks and commit them shard by shard.

    Args:
        sentences: distinct sentences by key.
        spec: the encoder, ``NAME`` or ``NAME:PATH``.
        root: the store's folder; it is created.
        dtype: ``float16`` or ``float32``.
        backend: ``hdf5`` or ``zarr``.
        workers: processes, one thread each; None: one for each core if the work is worth it.
        progress: called with (sentences done, sentences to do) after each batch.
        options: of the encoder.

    Raises:
        KeyboardInterrupt: after the finished batches were committed.
        ResourceError: the disk has no room, seen before the start or on the way; what was committed before stays.
    """
    start = time.perf_counter()
    encoder = load_encoder(spec, **options)
    job = _Job(spec, options, root, feature_meta(encoder, dtype=dtype, backend=backend))
    store = create_store(job.root, job.meta)
    try:
        missing = store.missing(list(sentences))
        _check_space(stored_bytes(missing, sentences, encoder, dtype), root)
        if workers is None:
            worth_it = expected_seconds(missing, sentences, encoder) > WORTH_A_WORKER
            workers = (os.cpu_count() or 1) if worth_it else 1
        if workers == 1:
            encode_missing(sentences, encoder, store, progress=progress)
        else:
            _encode_in_workers(_batches(missing, sentences), sentences, job, _Counter(progress, workers, len(missing)))
            store.close()
            store = create_store(job.root, job.meta)
        left = set(store.missing(missing))
    finally:
        store.close()
    return Featurized(
        encoder=encoder.name,
        sentences=len(sentences),
        stored=len(sentences) - len(missing),
        encoded=len(missing) - len(left),
        tokens=sum(len(sentences[key]) for key in missing if key not in left),
        failed=len(left),
        workers=workers,
        seconds=time.perf_counter() - start,
    )


def encode_missing(
    sentences: Sentences, encoder: Encoder, store: FeatureStore, *, progress: Progress | None = None
) -> None:
    """Encode in this process what an open feature set lacks; what extraction does with a set in memory.

    Raises:
        KeyboardInterrupt: after the finished batches were committed.
    """
    missing = store.missing(list(sentences))
    counter = _Counter(progress, 1, len(missing))
    _encode(_batches(missing, sentences), sentences, encoder, store, lambda done: counter(0, done))


def _check_space(needed: int, root: str | Path) -> None:
    free = free_bytes(root)
    if free is not None and needed > free:
        raise ResourceError(
            f"the vectors would take {needed / 1e9:.1f} GB, the disk of {root} has {free / 1e9:.1f} GB free; "
            "name another folder with --store, or store float16."
        )


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker needs to make its own encoder and open the same feature set."""

    spec: str
    options: Mapping[str, Any]
    root: str | Path
    meta: FeatureMeta


class _Counter:
    """Adds up what the workers have done and reports the sum."""

    def __init__(self, progress: Progress | None, workers: int, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = [0] * workers

    @property
    def workers(self) -> int:
        return len(self._done)

    def __call__(self, worker: int, done: int) -> None:
        self._done[worker] = done
        if self._progress:
            self._progress(sum(self._done), self._total)


def _encode(
    batches: Iterable[Sequence[bytes]],
    sentences: Sentences,
    encoder: Encoder,
    store: FeatureStore,
    report: Callable[[int], None],
) -> None:
    """Encode batches and commit them shard by shard; an interrupt commits what is finished first."""
    shard = _Shard(store)
    done = 0
    try:
        for batch in batches:
            shard.add(batch, encoder.encode([sentences[key] for key in batch]))
            done += len(batch)
            if shard.is_due:
                shard.commit()
            report(done)
    except KeyboardInterrupt:
        shard.commit()
        raise
    shard.commit()


def _encode_in_workers(batches: Sequence[Sequence[bytes]], sentences: Sentences, job: _Job, counter: _Counter) -> None:
    """Share batches among processes and wait for all of them; a process that dies leaves its batches missing."""
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    processes: list[SpawnProcess] = []
    receivers: dict[Connection, int] = {}
    for worker in range(counter.workers):
        own = batches[worker :: counter.workers]
        texts = {key: sentences[key] for batch in own for key in batch}
        # A pipe each: a queue's lock would stay locked if its holder were killed.
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(own, texts, job, sender))
        process.start()
        sender.close()
        processes.append(process)
        receivers[receiver] = worker
    try:
        while receivers:
            for ready in wait(list(receivers)):
                assert isinstance(ready, Connection)
                try:
                    counter(receivers[ready], ready.recv())
                except EOFError:  # the worker has ended, one way or another
                    del receivers[ready]
    except KeyboardInterrupt:
        for process in processes:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGINT)
        raise
    finally:
        for process in processes:
            process.join()


def _work(batches: Sequence[Sequence[bytes]], sentences: Sentences, job: _Job, sender: Connection) -> None:
    """The life of one worker process: its own encoder, its own shards, one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the encoder imports torch
    store = create_store(job.root, job.meta)
    try:
        _encode(batches, sentences, load_encoder(job.spec, **job.options), store, sender.send)
    except KeyboardInterrupt:
        return  # the parent tells the user
    finally:
        store.close()
