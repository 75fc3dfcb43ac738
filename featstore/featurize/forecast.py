"""The cost of featurizing, estimated before any work.

In: distinct sentences, the spec of an encoder, the folder of a store. Out: counts, disk space and the time, which is
estimated by a short probe. Nothing is written.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featstore.encoders import DEFAULT_OPTIONS, Encoder, EncoderOptions, load_encoder
from featstore.encoders.ladder import encode_what_fits
from featstore.featurize.threads import running_threads
from featstore.records import KeyedSentences
from featstore.stores import FeatureMeta, look_up

PROBE_SENTENCES = 24


@dataclass(frozen=True, slots=True)
class Forecast:
    """The cost of featurizing.

    Attributes:
        encoder: its name.
        instances: instances of the corpus.
        sentences: distinct sentences among them.
        tokens: tokens of the distinct sentences.
        missing_sentences: distinct sentences that the store lacks.
        missing_tokens: their tokens.
        bytes: disk space that their vectors will take.
        free_bytes: free space where the store is or will be; None where that is not a local folder.
        seconds: expected encoding time, from encoding a few of them; 0 if nothing is missing.
    """

    encoder: str
    instances: int
    sentences: int
    tokens: int
    missing_sentences: int
    missing_tokens: int
    bytes: int
    free_bytes: int | None
    seconds: float


def feature_meta(encoder: Encoder, *, dtype: str, backend: str) -> FeatureMeta:
    """Return the description of the feature set that ``encoder`` writes."""
    return FeatureMeta(
        name=encoder.name,
        identity=encoder.identity,
        dim=encoder.dim,
        layers=encoder.layers,
        dtype=dtype,
        backend=backend,
        facts=dict(encoder.facts),
    )


def forecast(
    sentences: KeyedSentences,
    spec: str,
    *,
    root: str | Path,
    dtype: str,
    backend: str,
    instances: int,
    options: EncoderOptions = DEFAULT_OPTIONS,
) -> Forecast:
    """Return what :func:`featurize` would do, without writing anything.

    Args:
        sentences: distinct sentences by key.
        spec: the encoder; a few evenly spaced sentences are encoded to learn its speed.
        root: where the store is or will be; its free space is reported.
        dtype: the dtype that would be stored.
        backend: the backend that would store it.
        instances: how many instances the sentences come from.
        options: how the encoder computes.
    """
    encoder = load_encoder(spec, device=options.device, precision=options.precision)
    missing = _missing(sentences, feature_meta(encoder, dtype=dtype, backend=backend), root)
    missing_tokens = sum(len(sentences[key]) for key in missing)
    with running_threads(1):  # as a worker has; several would wait for each other where other work is going on
        seconds = expected_seconds(missing, sentences, encoder)
    return Forecast(
        encoder=encoder.name,
        instances=instances,
        sentences=len(sentences),
        tokens=sum(map(len, sentences.values())),
        missing_sentences=len(missing),
        missing_tokens=missing_tokens,
        bytes=stored_bytes(missing, sentences, encoder, dtype),
        free_bytes=free_bytes(root),
        seconds=seconds,
    )


def _missing(sentences: KeyedSentences, meta: FeatureMeta, root: str | Path) -> list[bytes]:
    """The keys that the store lacks; a store that does not exist yet lacks all and is not created."""
    for found in look_up(root, meta.name):
        there = found.info.meta
        if (there.identity, there.dtype, there.backend) == (meta.identity, meta.dtype, meta.backend):
            with closing(found.open()) as store:
                return store.missing(list(sentences))
    return list(sentences)


def stored_bytes(missing: Sequence[bytes], sentences: KeyedSentences, encoder: Encoder, dtype: str) -> int:
    """Return the disk space that the vectors of ``missing`` will take."""
    return sum(len(sentences[key]) for key in missing) * encoder.dim * np.dtype(dtype).itemsize


def expected_seconds(missing: Sequence[bytes], sentences: KeyedSentences, encoder: Encoder) -> float:
    """Return how long encoding ``missing`` would take: a few short and long ones are encoded, and their time is scaled
    up.

    At most an eighth of them, and none of the very longest where there are many.
    """
    if not missing:
        return 0.0
    by_length = sorted(missing, key=lambda key: len(sentences[key]))
    step = max(8, len(by_length) // PROBE_SENTENCES)
    probe = [sentences[key] for key in by_length[min(step, len(by_length)) // 2 :: step]]
    encode_what_fits(encoder, probe[:1])  # the first call also loads libraries
    start = time.perf_counter()
    encode_what_fits(encoder, probe)
    return (time.perf_counter() - start) * sum(len(sentences[k]) for k in missing) / max(1, sum(map(len, probe)))


def free_bytes(root: str | Path) -> int | None:
    """Return the free space on the disk that holds ``root``, or its closest folder that exists; None for an address."""
    if "://" in str(root):
        return None
    folder = Path(root).resolve()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
