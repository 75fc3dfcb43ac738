"""Fill a store: sentences that are stored are skipped, and the others are encoded and committed shard by shard.

In: distinct sentences by key, the spec of an encoder, the folder of a store. Out: the feature set of that encoder holds
a vector for every token of every sentence, except for sentences that are reported as failed. A second run encodes only
what is missing, so resuming needs no code of its own. The loop itself is :mod:`featstore.featurize.producer`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from featstore.addresses import address_of
from featstore.encoders import DEFAULT_OPTIONS, Encoder, EncoderOptions, load_encoder
from featstore.errors import ResourceError, UsageError
from featstore.featurize.forecast import feature_meta, free_bytes, stored_bytes
from featstore.featurize.plan import Plan, plan_work
from featstore.featurize.producer import EncodingItem, EncodingJob, batches, encode_here, encoding_items
from featstore.featurize.threads import running_threads
from featstore.files import check_output_folder
from featstore.progress import Progress
from featstore.records import Instance, KeyedSentences
from featstore.scale.engine import Engine
from featstore.scale.local import LocalEngine
from featstore.stores import FeatureStore, create_store
from featstore.stores.pace import Pace, add_pace
from featstore.stores.places import join
from featstore.stores.sets import directory_name

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Featurized:
    """The result of one run of the producer loop.

    Attributes:
        encoder: its name.
        sentences: distinct sentences asked for.
        stored: how many of them were in the store before.
        encoded: how many were encoded now.
        tokens: tokens encoded now.
        failed: keys of the sentences that could not be encoded; the store still lacks them.
        workers: processes that encoded.
        threads: threads of each.
        seconds: wall time.
    """

    encoder: str
    sentences: int
    stored: int
    encoded: int
    tokens: int
    failed: tuple[bytes, ...]
    workers: int
    threads: int
    seconds: float


def distinct_sentences(instances: Iterable[Instance]) -> dict[bytes, tuple[str, ...]]:
    """Return the distinct token sequences of ``instances`` by key, in the order of first appearance."""
    return {instance.key: instance.tokens for instance in instances}


def featurize(
    sentences: KeyedSentences,
    spec: str,
    *,
    root: str | Path,
    dtype: str,
    backend: str,
    workers: int | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    options: EncoderOptions = DEFAULT_OPTIONS,
) -> Featurized:
    """Encode the sentences that the store lacks and commit them shard by shard.

    Args:
        sentences: distinct sentences by key.
        spec: the encoder, ``NAME`` or ``NAME:PATH``.
        root: the store's folder; it is created.
        dtype: ``float16`` or ``float32``.
        backend: ``hdf5`` or ``zarr``.
        workers: processes, one thread each; None: what :func:`featstore.featurize.plan.plan_work` finds fastest.
        engine: whose workers encode; None: this process, or processes of this machine.
        progress: called with (sentences done, sentences to do) after each batch, or each item of a worker.
        options: how the encoder computes.

    Raises:
        KeyboardInterrupt: after the finished batches were committed.
        ResourceError: the disk has no room, seen before the start or on the way; what was committed before stays. Or
            sentences are missing, and there is no permission to write.
        UsageError: fewer workers than one.
    """
    start = time.perf_counter()
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers were asked for; at least 1 is needed.")
    encoder = load_encoder(spec, device=options.device, precision=options.precision)
    meta = feature_meta(encoder, dtype=dtype, backend=backend)
    path = join(str(root), directory_name(meta))
    with closing(create_store(root, meta)) as store:
        missing = {key: sentences[key] for key in store.missing(list(sentences))}
        _check_target(path, root, stored_bytes(list(missing), sentences, encoder, dtype))
        plan = _plan(missing, encoder, options.device, workers, engine)
        if missing:
            log.info("%s: %s", encoder.name, plan)
        begun = time.perf_counter()
        failed = _encode(missing, encoder, store, plan, engine, EncodingJob(spec, options, path), progress)
        took = (time.perf_counter() - begun) * plan.workers
    tokens = sum(map(len, missing.values())) - sum(len(missing[key]) for key in failed)
    if tokens:
        add_pace(path, Pace(tokens, took))
    return Featurized(
        encoder=encoder.name,
        sentences=len(sentences),
        stored=len(sentences) - len(missing),
        encoded=len(missing) - len(failed),
        tokens=tokens,
        failed=tuple(failed),
        workers=plan.workers,
        threads=plan.threads,
        seconds=time.perf_counter() - start,
    )


def _plan(missing: KeyedSentences, encoder: Encoder, device: str, workers: int | None, engine: Engine | None) -> Plan:
    """Return how many workers encode; where nobody has said it, a probe does."""
    if engine is not None:
        return Plan(engine.workers, 1, "those of the engine")
    return plan_work(missing, encoder, device) if workers is None else Plan(workers, 1, "as asked")


def _encode(
    missing: KeyedSentences,
    encoder: Encoder,
    store: FeatureStore,
    plan: Plan,
    engine: Engine | None,
    job: EncodingJob,
    progress: Progress | None,
) -> list[bytes]:
    """Encode in this process, or ``job`` in workers; return the keys of the sentences that are still missing."""
    if engine is None and plan.workers == 1:
        with running_threads(plan.threads):
            return encode_missing(missing, encoder, store, progress=progress)
    engine = engine or LocalEngine(plan.workers)
    todo = batches(missing, together=encoder.shares_text, workers=engine.workers)
    _run(engine, job, encoding_items(todo, store.meta, engine.workers), _Counter(progress, len(missing)))
    store.refresh()
    return store.missing(list(missing))


def _run(engine: Engine, job: EncodingJob, items: Iterable[EncodingItem], report: _Counter) -> None:
    """Encode in workers; an item whose workers were lost stays missing."""
    with closing(engine.run(job, items)) as done:
        for item in done:
            report(item.result or 0)


def encode_missing(
    sentences: KeyedSentences, encoder: Encoder, store: FeatureStore, *, progress: Progress | None = None
) -> list[bytes]:
    """Encode in this process the sentences that an open feature set lacks. Extraction does this with a set in memory.

    Returns:
        the keys of sentences that memory had no room for; they are still missing.

    Raises:
        KeyboardInterrupt: after the finished batches were committed.
    """
    missing = {key: sentences[key] for key in store.missing(list(sentences))}
    encode_here(batches(missing, together=encoder.shares_text), encoder, store, _Counter(progress, len(missing)))
    return store.missing(list(missing))


def _check_target(path: str, root: str | Path, needed: int) -> None:
    """Make sure that so many bytes can be written into a set; none need neither permission nor room."""
    if needed and address_of(path) is None:
        check_output_folder(Path(path))
    free = free_bytes(root)
    if free is not None and needed > free:
        raise ResourceError(
            f"the vectors would take {needed / 1e9:.1f} GB, the disk of {root} has {free / 1e9:.1f} GB free; "
            "name another folder with --store, or store float16."
        )


class _Counter:
    """Adds up the finished sentences and reports the sum."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def __call__(self, done: int) -> None:
        self._done += done
        if self._progress and done:
            self._progress(self._done, self._total)
