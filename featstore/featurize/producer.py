"""The one producer loop: batch, encode what fits in memory, commit a shard; in this process or in several.

In: sentences that a feature set lacks, their encoder. Out: shards in the set. An interrupted run loses at most the
shard that each process was filling, and a second run encodes what is missing. Worker processes are given batch after
batch, so they end at about the same time, and batches that a dead worker never received go to the others. Each worker
writes its own shards, so workers do not communicate.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

import numpy as np

from featstore.encoders import Encoder, EncoderOptions, load_encoder
from featstore.encoders.ladder import encode_what_fits
from featstore.errors import FeatstoreError
from featstore.ragged import Ragged
from featstore.records import KeyedSentences
from featstore.stores import FeatureMeta, FeatureStore, create_store
from featstore.stores.checks import check_vectors

BATCH_TOKENS = 8192  # one call of the encoder, enough to fill its lanes; it cuts further where its budget is smaller
COMMIT_BYTES = 32 << 20  # a shard is committed when it holds so much ..
COMMIT_SECONDS = 60.0  # .. or when so long has passed, so that a kill costs at most a minute of encoding


def batches(sentences: KeyedSentences) -> list[KeyedSentences]:
    """Cut ``sentences`` into batches of about equal length, at most BATCH_TOKENS tokens each.

    Equal lengths need no padding. The batches come in a fixed random order, so that every shard holds short and long
    sentences and the speed so far predicts the rest.
    """
    result: list[dict[bytes, Sequence[str]]] = []
    room = 0
    for key, tokens in sorted(sentences.items(), key=lambda item: (len(item[1]), item[0])):
        if room < len(tokens) or not result:
            result.append({})
            room = BATCH_TOKENS
        result[-1][key] = tokens
        room -= len(tokens)
    random.Random(0).shuffle(result)
    return list(result)


class _Shard:
    """Finished batches that wait to be stored."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._clear()

    def _clear(self) -> None:
        self._keys: list[bytes] = []
        self._parts: list[np.ndarray] = []
        self._bytes = 0
        self._since = time.monotonic()

    def add(self, keys: Sequence[bytes], vectors: Ragged) -> None:
        checked = check_vectors(self._store.meta, keys, vectors)  # rounded at once: what waits takes half the memory
        self._keys += keys
        self._parts += list(checked)
        self._bytes += checked.values.nbytes

    @property
    def is_due(self) -> bool:
        return self._bytes >= COMMIT_BYTES or time.monotonic() - self._since >= COMMIT_SECONDS

    def commit(self) -> None:
        if self._keys:
            self._store.append(self._keys, Ragged.from_list(self._parts, self._store.meta.dim))
        self._clear()


def encode_here(
    todo: Iterable[KeyedSentences], encoder: Encoder, store: FeatureStore, report: Callable[[int], None]
) -> None:
    """Encode batches and commit them shard by shard; an interrupt commits what is finished first.

    Args:
        todo: the batches; one is taken when the one before is done.
        encoder: what encodes them; a sentence that memory has no room for is logged and left out.
        store: where the vectors go.
        report: called with the sentences of each batch that is done.
    """
    shard = _Shard(store)
    try:
        for batch in todo:
            keys = list(batch)
            positions, vectors = encode_what_fits(encoder, [batch[key] for key in keys])
            shard.add([keys[i] for i in positions], vectors)
            if shard.is_due:
                shard.commit()
            report(len(batch))
    except KeyboardInterrupt:
        shard.commit()
        raise
    shard.commit()


@dataclass(frozen=True, slots=True)
class EncodingJob:
    """What a worker needs to make its own encoder and open the same feature set.

    Attributes:
        spec: of the encoder.
        options: how the encoder computes.
        root: the store.
        meta: of the feature set.
    """

    spec: str
    options: EncoderOptions
    root: str | Path
    meta: FeatureMeta


def encode_in_workers(
    todo: Sequence[KeyedSentences], job: EncodingJob, workers: int, report: Callable[[int], None]
) -> None:
    """Share batches among ``workers`` processes of one thread each and wait for all of them.

    If a process dies, the batches since its last commit are lost and stay missing.

    Raises:
        FeatstoreError: what ended a worker, such as a full disk; the others commit what they have.
    """
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    ends, processes = [], []
    for _ in range(workers):
        # A pipe each: a queue's lock would stay locked if its holder were killed.
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(job, theirs))
        process.start()
        theirs.close()
        ends.append(ours)
        processes.append(process)
    try:
        _hand_out(todo, ends, report)
    except KeyboardInterrupt:
        for process in processes:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGINT)
        raise
    finally:
        for process in processes:
            process.join()


def _hand_out(todo: Sequence[KeyedSentences], ends: Sequence[Connection], report: Callable[[int], None]) -> None:
    """Give the next batch to every worker that asks, or None when none is left, until all workers have ended."""
    waiting, open_ends = iter(todo), set(ends)
    failure: FeatstoreError | None = None
    while open_ends:
        for end in wait(list(open_ends)):
            assert isinstance(end, Connection)
            try:
                done = end.recv()
                if isinstance(done, FeatstoreError):
                    failure = failure or done
                    continue
                report(done)
                end.send(None if failure else next(waiting, None))
            except (EOFError, OSError):  # the worker has ended, one way or another
                open_ends.remove(end)
                end.close()
    if failure:
        raise failure


def _work(job: EncodingJob, end: Connection) -> None:
    """Run in a worker process: load an encoder and write shards, with one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the encoder imports torch
    store = create_store(job.root, job.meta)
    try:
        encoder = load_encoder(job.spec, device=job.options.device, precision=job.options.precision)
        end.send(0)
        encode_here(_handed(end), encoder, store, end.send)
    except KeyboardInterrupt:
        return  # the parent tells the user
    except FeatstoreError as error:
        end.send(error)
    finally:
        store.close()


def _handed(end: Connection) -> Iterator[KeyedSentences]:
    """Yield the batches that the parent sends; if the parent is gone, there are no more."""
    try:
        while (batch := end.recv()) is not None:
            yield batch
    except EOFError:
        return
