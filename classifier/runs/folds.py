"""One fold of a run: trained, and evaluated.

In: a corpus, the root of a store, a :class:`~classifier.runs.config.RunConfig` and a fold. Out, in the run's folder:
``fold-K/`` with ``config.toml``, ``model.safetensors``, ``run.json`` (all facts, every epoch), ``README.md`` (the
card) and, once it is evaluated, ``metrics.json`` and ``predictions.tsv``. Before a fold is trained to its end nothing
of it is written but, once a minute, the state from which an interrupted training goes on.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.data.batch import Batcher, tag_names
from classifier.data.features import FeatureSpec, open_features, parse_features
from classifier.data.pairing import pairing_of
from classifier.data.split import check_labelled, training_parts
from classifier.data.vectors import RAM_BUDGET, DistinctSentences, Vectors
from classifier.head.config import InputConfig
from classifier.head.model import AnyHead, make_head
from classifier.runs.card import card
from classifier.runs.checkpoint import (
    FORMAT_VERSION,
    RUN,
    Checkpoint,
    load_checkpoint,
    note_evaluation,
    save_checkpoint,
    to_json,
)
from classifier.runs.classify import classify
from classifier.runs.config import CARD, CONFIG, METRICS, PREDICTIONS, RunConfig, check_config, config_toml
from classifier.runs.memory import PeakMemory
from classifier.runs.outputs import predictions_tsv
from classifier.scores.metrics import Metrics, score
from classifier.training.config import TrainConfig
from classifier.training.favour import favour_positive
from classifier.training.loop import Epoch, reproducible, train
from classifier.training.predict import Predictions
from classifier.training.resume import UNFINISHED, load_state, save_state
from featstore.errors import MismatchError
from featstore.files import write_file
from featstore.records import Corpus, Instance


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should know while a run goes on.

    Attributes:
        text: one sentence.
    """

    text: str


RunProgress = Callable[[Epoch | Notice], None]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One fold, evaluated.

    Attributes:
        fold: the fold.
        metrics: on its test part.
        instances: the test part.
        predictions: of its instances.
    """

    fold: int
    metrics: Metrics
    instances: tuple[Instance, ...]
    predictions: Predictions


def train_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    progress: RunProgress | None = None,
    ram_budget: int = RAM_BUDGET,
) -> Checkpoint:
    """Train one fold and write its checkpoint.

    Args:
        corpus: loaded as ``config`` says.
        store_root: the store that holds its vectors.
        config: the run.
        fold: the fold.
        run_dir: the run's folder.
        progress: called after each epoch.
        ram_budget: bytes of vectors to hold in memory.

    Raises:
        UsageError: no such fold, a folder that belongs to another configuration, a loss that is no number, ..
        DataError: a class without training examples, vectors that are not finite, ..
        MissingFeatureError: a feature that was not featurized.
    """
    check_config(config, corpus, run_dir)
    start, memory, folder = time.perf_counter(), PeakMemory(), run_dir / f"fold-{fold}"
    parts = training_parts(corpus, fold, config.train.dev_share)
    instances = [corpus.instances[position] for part in parts for position in part]
    train_part, dev_part = np.split(np.arange(len(instances)), [len(parts[0])])
    sentences, tags = DistinctSentences.of(instances), tag_names(instances)
    features = parse_features(config.train.features)
    with (
        reproducible(config.train.seed, config.train.threads),
        open_features(features, store_root, sentences.keys, _featurize_command(config, store_root)) as stores,
    ):
        vectors = Vectors(features, stores, sentences, ram_budget)
        head = _new_head(config.train, vectors, sentences.of_instance[train_part], len(corpus.labels), len(tags))
        digest = _training_digest(config, corpus, fold, vectors.specs)
        batcher = Batcher(instances, vectors, corpus.labels, tags)
        epochs = train(
            head,
            batcher,
            (train_part, dev_part),
            config.train,
            labels=corpus.labels,
            positive=corpus.positive,
            progress=progress,
            state=load_state(folder, digest),
            save=lambda state: save_state(folder, state, digest),
        )
        favour = config.train.favour
        shift = favour_positive(head, batcher, dev_part, corpus.labels, corpus.positive) if favour else 0.0
    checkpoint = Checkpoint(
        head=head.eval(),
        features=vectors.specs,
        labels=corpus.labels,
        positive=corpus.positive,
        tags=tags,
        corpus=_corpus_facts(corpus),
        fold=fold,
        config=asdict(config.train),
        training={
            "instances": {"train": len(train_part), "dev": len(dev_part)},
            "best_epoch": max(epoch.number for epoch in epochs if epoch.best),
            "shift": shift,
            "streamed": bool(vectors.shards.any()),  # then the order of the batches followed the store's shards
            "seconds": time.perf_counter() - start,
            "peak_memory": memory.bytes,
            "epochs": [asdict(epoch) for epoch in epochs],
        },
        pairing=pairing_of(instances, corpus.indicators),
        encoders={store.meta.name: store.meta.facts for store in stores},
    )
    _publish(checkpoint, config, run_dir, folder)
    return checkpoint


def evaluate_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    progress: RunProgress | None = None,
    ram_budget: int = RAM_BUDGET,
) -> Evaluation:
    """Evaluate one fold on its test part and write ``metrics.json`` and ``predictions.tsv``.

    A fold that is not trained yet is trained first; ``progress`` hears of it.

    Raises:
        MismatchError: the corpus has changed since the fold was trained, or the store holds other vectors.
        DataError: the test part is empty or holds an instance without a label.
        UsageError, MissingFeatureError: as :func:`train_fold`.
    """
    check_config(config, corpus, run_dir)
    folder = run_dir / f"fold-{fold}"
    instances = tuple(corpus.instances[position] for position in corpus.partition(fold).test)
    check_labelled(instances, f"the test part of fold {fold}")
    if (folder / RUN).exists():
        checkpoint = load_checkpoint(folder)
    else:
        if progress:
            progress(Notice(f"fold {fold} of {run_dir} is not trained yet; training it first."))
        checkpoint = train_fold(corpus, store_root, config, fold, run_dir, progress=progress, ram_budget=ram_budget)
    if checkpoint.corpus != _corpus_facts(corpus):
        raise MismatchError(
            f"{folder} was trained on another version of the corpus (digest {checkpoint.corpus['digest'][:12]}, now "
            f"{corpus.digest[:12]}); train it again, or in another folder (--run)."
        )
    start, keys = time.perf_counter(), DistinctSentences.of(instances).keys
    command = _featurize_command(config, store_root)
    with (
        reproducible(config.train.seed, config.train.threads),
        open_features(checkpoint.parsed_features, store_root, keys, command, checkpoint.features) as stores,
    ):
        predictions = classify(checkpoint, instances, stores, ram_budget)
    seconds = time.perf_counter() - start
    gold = np.array([checkpoint.labels.index(instance.label or "") for instance in instances])
    metrics = score(gold, predictions.labels, checkpoint.labels, checkpoint.positive)
    # Not among the metrics: those are the same to the last digit when a run is repeated.
    facts = note_evaluation(folder, {"instances": len(instances), "seconds": seconds})
    write_file(folder / CARD, card(facts, asdict(metrics)).encode("utf-8"))
    tsv = predictions_tsv(instances, predictions, checkpoint.labels)
    write_file(folder / PREDICTIONS, tsv.encode("utf-8"))
    write_file(folder / METRICS, to_json(asdict(metrics)))
    return Evaluation(fold, metrics, instances, predictions)


def _new_head(
    config: TrainConfig, vectors: Vectors, train_sentences: NDArray[np.int64], labels: int, tags: int
) -> AnyHead:
    """Return an untrained head for these vectors; if it standardises them, by those of the train part."""
    inputs = tuple(InputConfig(spec.dim, spec.layers) for spec in vectors.specs)
    head = make_head(config.head_config(inputs, labels, tags))
    if config.standardise:
        head.standardise(vectors.moments(np.unique(train_sentences)))
    return head


def _publish(checkpoint: Checkpoint, config: RunConfig, run_dir: Path, folder: Path) -> None:
    """Write a trained fold, and remove what belonged to the head before."""
    facts = save_checkpoint(folder, checkpoint)
    write_file(folder / CARD, card(facts, None).encode("utf-8"))
    for name in (METRICS, PREDICTIONS, UNFINISHED):
        (folder / name).unlink(missing_ok=True)
    for path in (folder / CONFIG, run_dir / CONFIG):
        write_file(path, config_toml(config).encode("utf-8"))


def _corpus_facts(corpus: Corpus) -> dict[str, str]:
    return {name: str(getattr(corpus, name)) for name in ("spec", "name", "digest", "context", "indicators")}


def _training_digest(config: RunConfig, corpus: Corpus, fold: int, specs: Sequence[FeatureSpec]) -> str:
    """Return a digest of all that determines how a fold is trained."""
    encoders = [asdict(spec) for spec in specs]
    facts = [FORMAT_VERSION, config_toml(config), _corpus_facts(corpus), fold, encoders, version("torch")]
    return sha256(json.dumps(facts).encode()).hexdigest()


def _featurize_command(config: RunConfig, store_root: str | Path) -> str:
    corpus = config.corpus
    options = ["--corpus", corpus.spec, "--context", corpus.context, "--indicators", corpus.indicators]
    if corpus.instances:
        options += ["--instances", str(corpus.instances)]
    return shlex.join(["cli", "featurize", *options, "--store", str(store_root)])
