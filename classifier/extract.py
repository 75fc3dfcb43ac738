"""Extraction: a trained run and new sentences with marked pairs to relations.

In: the folder of a trained fold and a JSONL file of pairs (:mod:`featstore.corpora.jsonl`). Out: a label and
probabilities for each pair. This is the one place that joins both halves: the sentences are encoded on the way,
through a store if one is given, else through one in memory that rounds to the same dtype, so that a pair gets the
probabilities that evaluation from the cache would give it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier.checkpoint import Checkpoint, load_checkpoint, write_atomically
from classifier.features import FeatureSpec
from classifier.predict import classify
from featstore.corpora import load_corpus
from featstore.encoders import Encoder, load_encoder
from featstore.errors import MismatchError, UsageError
from featstore.featurize import distinct_sentences, encode_missing
from featstore.forecast import feature_meta
from featstore.records import Instance
from featstore.stores import create_store

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Relation:
    """What the head says of one pair.

    Attributes:
        id: of the pair, as the input gives it.
        line: of the pair in the input.
        label: the likeliest label.
        probability: its probability.
        probabilities: of all labels.
    """

    id: str
    line: int
    label: str
    probability: float
    probabilities: Mapping[str, float]


def load_encoders(checkpoint: Checkpoint, specs: Sequence[str], **options: Any) -> dict[str, Encoder]:
    """Load the encoders that a head was trained on, by name.

    Args:
        checkpoint: the trained head.
        specs: ``NAME:PATH`` for each encoder that is not the bundled one.
        options: of the encoders (``device``, ``precision``).

    Raises:
        UsageError: a spec of an encoder that the head does not read.
        MismatchError: an encoder that is not the one it was trained on; the text names both.
    """
    wanted = {spec.name: spec for spec in checkpoint.features}
    given = {spec.partition(":")[0]: spec for spec in specs}
    if unknown := given.keys() - wanted.keys():
        raise UsageError(f"the run reads {', '.join(wanted)}; leave {', '.join(sorted(unknown))} out of --encoders.")
    return {name: _load(spec, given.get(name, name), options) for name, spec in wanted.items()}


def _load(wanted: FeatureSpec, given: str, options: Mapping[str, Any]) -> Encoder:
    encoder = load_encoder(given, **options)
    if encoder.identity != wanted.identity:
        raise MismatchError(
            f"the run was trained on {wanted.name} {wanted.identity[:16]}, '{given}' is {encoder.identity[:16]}; "
            f"name the right weights with --encoders {wanted.name}:PATH, and the --precision that featurize had."
        )
    return encoder


def extract(
    checkpoint: Checkpoint,
    instances: Sequence[Instance],
    encoders: Mapping[str, Encoder],
    *,
    store_root: str | None = None,
    backend: str = "hdf5",
    progress: Progress | None = None,
) -> list[Relation]:
    """Classify pairs, encoding what is not stored.

    Args:
        checkpoint: the trained head.
        instances: pairs, marked with the indicators and in the context that the head was trained on.
        encoders: from :func:`load_encoders`.
        store_root: a store to read from and to write to; None keeps the vectors in memory.
        backend: of the store's new sets.
        progress: called with (sentences done, sentences to do) for each encoder.
    """
    sentences = distinct_sentences(instances)
    with ExitStack() as stack:
        stores = []
        for spec in checkpoint.features:
            encoder = encoders[spec.name]
            meta = feature_meta(encoder, dtype=spec.dtype, backend=backend if store_root else "memory")
            store = stack.enter_context(closing(create_store(store_root or "", meta)))
            encode_missing(sentences, encoder, store, progress=progress)
            stores.append(store)
        predictions = classify(checkpoint, instances, stores)
    return [
        Relation(
            id=instance.id,
            line=int(instance.source["line"]),
            label=checkpoint.labels[number],
            probability=float(row[number]),
            probabilities=dict(zip(checkpoint.labels, map(float, row), strict=True)),
        )
        for instance, number, row in zip(instances, predictions.labels, predictions.probabilities, strict=True)
    ]


def extract_file(
    fold_dir: Path,
    source: Path,
    target: Path,
    *,
    encoders: Sequence[str] = (),
    store_root: str | None = None,
    backend: str = "hdf5",
    progress: Progress | None = None,
    **options: Any,
) -> int:
    """Classify the pairs of a JSONL file into another, one object a line in the order given; return their number.

    Args:
        fold_dir: the folder of a trained fold.
        source: the pairs; labels in it are not looked at.
        target: where the relations go; written whole or not at all.
        encoders, options, store_root, backend, progress: see :func:`load_encoders` and :func:`extract`.

    Raises:
        MissingFileError, DataError: the input or the run is not there, or not what it should be.
    """
    checkpoint = load_checkpoint(fold_dir)
    marking = {name: checkpoint.corpus[name] for name in ("indicators", "context")}
    corpus = load_corpus(f"jsonl:{source}", **marking)  # type: ignore[arg-type]
    relations = extract(
        checkpoint,
        corpus.instances,
        load_encoders(checkpoint, encoders, **options),
        store_root=store_root,
        backend=backend,
        progress=progress,
    )
    lines = (json.dumps({name: getattr(r, name) for name in Relation.__slots__}, ensure_ascii=False) for r in relations)
    write_atomically(target, "".join(f"{line}\n" for line in lines).encode("utf-8"))
    return len(relations)
