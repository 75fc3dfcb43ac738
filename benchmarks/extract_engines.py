"""Our side of what ``benchmarks/extract.py`` compares: extraction and training.

In: marked instances and, for ours, a folder with encoders of random weights. Out: the seconds of CPU time that
classifying them, or training on them, took.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from extract_rivals import LABELS, TRAINING_BATCH, Row

from classifier.data.batch import Batcher, tag_names
from classifier.data.features import Feature, FeatureSpec
from classifier.data.vectors import DistinctSentences, Vectors
from classifier.extract.extractor import Extractor
from classifier.extract.work import WINDOW_TOKENS
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import Head, make_head
from classifier.runs.checkpoint import Checkpoint
from classifier.runs.facts import CorpusFacts, PartSizes, TrainingFacts
from classifier.training.config import TrainConfig, recipe
from classifier.training.loop import train
from featstore.encoders import Encoder, load_encoder
from featstore.ragged import Ragged
from featstore.records import Instance
from featstore.stores import FeatureMeta, create_store

WIDTHS = {"glove": (50, 1), "cse": (4096, 1), "elmo": (1024, 3)}  # of the published sizes: of a layer, layers


# ---------------------------------------------------------------------------------------------------------- ours


def make_extractor(encoders: dict[str, Encoder], case: Row, tags: tuple[str, ...]) -> Extractor:
    specs = tuple(
        FeatureSpec(e.name, e.identity, "float16", "mix", e.layers, e.dim // e.layers) for e in encoders.values()
    )
    inputs = tuple(InputConfig(spec.dim, spec.layers) for spec in specs)
    precision = "float32" if case["precision"] == "float32" else "bfloat16"
    config = recipe(case["head"], members=case["members"], precision=precision).head_config(inputs, LABELS, len(tags))
    labels = tuple(map(str, range(LABELS)))
    corpus = CorpusFacts("", "", "", case["context"], "tags")
    training = TrainingFacts(instances=PartSizes(0, 0), best_epoch=0, seconds=0.0, epochs=())
    head = make_head(config).eval()
    checkpoint = Checkpoint(head, specs, labels, labels[1:], tags, corpus, 1, TrainConfig(), training)
    return Extractor(checkpoint, encoders)


def windows(instances: Sequence[Instance]) -> list[list[Instance]]:
    """Cut instances as extraction does: about WINDOW_TOKENS tokens of distinct sentences."""
    result: list[list[Instance]] = [[]]
    seen: dict[bytes, int] = {}
    for instance in instances:
        if sum(seen.values()) >= WINDOW_TOKENS and instance.key not in seen:
            result.append([])
            seen = {}
        result[-1].append(instance)
        seen[instance.key] = len(instance.tokens)
    return result


def ours(instances: Sequence[Instance], folder: Path, case: Row) -> Row:
    names = case["features"].split("+")
    paths = {name: f"{name}:{folder / name}" if case["size"] == "paper" and name != "glove" else name for name in names}
    encoders = {name: load_encoder(paths[name], precision=case["precision"]) for name in names}
    extractor = make_extractor(encoders, case, tag_names(instances))
    extractor.classify(instances[:2])  # what is loaded lazily
    start = time.process_time()
    for window in windows(instances):
        extractor.classify(window)
    return {"seconds": time.process_time() - start, "batch": ""}


# ------------------------------------------------------------------------------------------------------ training


def make_training_store(instances: Sequence[Instance], root: Path) -> None:
    """Store random vectors of the published sizes for the sentences of ``instances``."""
    sentences = list({instance.key: len(instance.tokens) for instance in instances}.items())
    rng = np.random.default_rng(0)
    for name, (width, layers) in WIDTHS.items():
        store = create_store(root, _meta(name))
        for first in range(0, len(sentences), 64):
            part = sentences[first : first + 64]
            rows = [rng.standard_normal((length, width * layers), dtype=np.float32) * 0.3 for _, length in part]
            store.append([key for key, _ in part], Ragged.from_list(rows, width * layers))
        store.close()


def _meta(name: str) -> FeatureMeta:
    width, layers = WIDTHS[name]
    return FeatureMeta(name, f"{name.encode().hex():0<64}", width * layers, layers, "float16", "hdf5")


def train_head(instances: Sequence[Instance], folder: Path, case: Row) -> Row:
    """Train the head for an epoch, AdamW, float32, on vectors that are read from the store batch by batch."""
    names = case["features"].split("+")
    stores = [create_store(folder / case["context"], _meta(name)) for name in names]
    vectors = Vectors([Feature(name) for name in names], stores, DistinctSentences.of(instances), ram_budget=0)
    tags, labels = tag_names(instances), tuple(map(str, range(LABELS)))
    head = Head(HeadConfig(tuple(InputConfig(s.dim, s.layers) for s in vectors.specs), LABELS, len(tags)))
    labelled = [replace(instance, label=labels[n % LABELS]) for n, instance in enumerate(instances)]
    config = TrainConfig(optimizer="adamw", lr=1e-3, batch_size=TRAINING_BATCH, max_epochs=1)
    parts = np.split(np.arange(len(instances)), [len(instances) - TRAINING_BATCH])
    start = time.process_time()
    train(
        head, Batcher(labelled, vectors, labels, tags), (parts[0], parts[1]), config, labels=labels, positive=labels[1:]
    )
    return {"seconds": time.process_time() - start, "batch": TRAINING_BATCH}
