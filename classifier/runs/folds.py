"""One fold of a run: trained, and evaluated.

In: a corpus, the root of a store, a :class:`~classifier.runs.config.RunConfig` and a fold. Out, in the run's folder:
``fold-K/`` with ``config.toml``, ``model.safetensors``, ``run.json`` (all facts, every epoch), ``README.md`` (the
card) and, once it is evaluated, ``metrics.json`` and ``predictions.tsv``. Before a fold is trained to its end nothing
of it is written but, once a minute, the state from which an interrupted training goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifier.data.features import open_features
from classifier.data.pairing import pairing_of
from classifier.data.split import check_labelled
from classifier.data.vectors import RAM_BUDGET, DistinctSentences
from classifier.runs.card import card
from classifier.runs.checkpoint import Checkpoint, load_checkpoint, note_evaluation, save_checkpoint
from classifier.runs.classify import classify
from classifier.runs.config import CARD, CONFIG, PREDICTIONS, RunConfig, check_config, config_toml
from classifier.runs.facts import METRICS, RUN, CorpusFacts, EvaluationFacts, PartSizes, TrainingFacts, to_json
from classifier.runs.memory import PeakMemory
from classifier.runs.outputs import predictions_tsv
from classifier.runs.prepare import Prepared, featurize_command, prepared
from classifier.scores.metrics import Metrics, score
from classifier.training.epoch import Epoch
from classifier.training.estimate import TrainingPlan, plan_training
from classifier.training.favour import favour_positive
from classifier.training.loop import TrainState, reproducible, train
from classifier.training.predict import Predictions
from classifier.training.resume import UNFINISHED, load_state, save_state
from featstore.errors import MismatchError
from featstore.files import make_folder, write_file
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


def plan_fold(
    corpus: Corpus, store_root: str | Path, config: RunConfig, fold: int, run_dir: Path, *, ram_budget: int = RAM_BUDGET
) -> TrainingPlan:
    """Return what :func:`train_fold` would do with the same arguments, and write nothing.

    Raises:
        UsageError, DataError, MissingFeatureError: as :func:`train_fold`, before its first epoch.
    """
    with prepared(corpus, store_root, config, fold, run_dir, ram_budget) as ready:
        return _plan(ready, config, fold, load_state(run_dir / f"fold-{fold}", ready.digest))


def train_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    announce: Callable[[TrainingPlan], None] | None = None,
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
        announce: called before the first epoch with what will be trained; the estimate of the time takes a few steps.
        progress: called after each epoch.
        ram_budget: bytes of vectors to hold in memory.

    Raises:
        UsageError: no such fold, a folder that belongs to another configuration, a loss that is no number, ..
        DataError: a class without training examples, vectors that are not finite, ..
        MissingFeatureError: a feature that was not featurized.
    """
    start, memory, folder = time.perf_counter(), PeakMemory(), run_dir / f"fold-{fold}"
    with prepared(corpus, store_root, config, fold, run_dir, ram_budget) as ready:
        state = load_state(folder, ready.digest)
        if announce:
            announce(_plan(ready, config, fold, state))
        epochs = train(
            ready.head,
            ready.batcher,
            ready.parts,
            config.train,
            labels=corpus.labels,
            positive=corpus.positive,
            progress=progress,
            state=state,
            save=lambda state: save_state(folder, state, ready.digest),
        )
        shift = 0.0
        if config.train.favour:
            shift = favour_positive(ready.head, ready.batcher, ready.parts[1], corpus.labels, corpus.positive)
    train_part, dev_part = ready.parts
    checkpoint = Checkpoint(
        head=ready.head.eval(),
        features=ready.vectors.specs,
        labels=corpus.labels,
        positive=corpus.positive,
        tags=ready.tags,
        corpus=CorpusFacts.of(corpus),
        fold=fold,
        config=config.train,
        training=TrainingFacts(
            instances=PartSizes(len(train_part), len(dev_part)),
            best_epoch=max(epoch.number for epoch in epochs if epoch.best),
            shift=shift,
            streamed=bool(ready.vectors.shards.any()),
            seconds=time.perf_counter() - start,
            peak_memory=memory.bytes,
            epochs=tuple(epochs),
        ),
        pairing=pairing_of(ready.instances, corpus.indicators),
        encoders=ready.encoders,
    )
    _publish(checkpoint, config, run_dir, folder)
    return checkpoint


def _plan(ready: Prepared, config: RunConfig, fold: int, state: TrainState | None) -> TrainingPlan:
    return plan_training(ready.head, ready.batcher, ready.parts, config.train, fold, len(state.epochs) if state else 0)


def evaluate_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    announce: Callable[[TrainingPlan], None] | None = None,
    progress: RunProgress | None = None,
    ram_budget: int = RAM_BUDGET,
) -> Evaluation:
    """Evaluate one fold on its test part and write ``metrics.json`` and ``predictions.tsv``.

    A fold that is not trained yet is trained first; ``announce`` and ``progress`` hear of it, as in :func:`train_fold`.

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
        (folder / UNFINISHED).unlink(missing_ok=True)  # of a training that was killed as it finished
    else:
        if progress:
            progress(Notice(f"fold {fold} of {run_dir} is not trained yet; training it first."))
        checkpoint = train_fold(
            corpus, store_root, config, fold, run_dir, announce=announce, progress=progress, ram_budget=ram_budget
        )
    if checkpoint.corpus != CorpusFacts.of(corpus):
        raise MismatchError(
            f"{folder} was trained on another version of the corpus (digest {checkpoint.corpus.digest[:12]}, now "
            f"{corpus.digest[:12]}); train it again, or in another folder (--run)."
        )
    start, keys = time.perf_counter(), DistinctSentences.of(instances).keys
    command = featurize_command(config, store_root)
    with (
        reproducible(config.train.seed, config.train.threads),
        open_features(checkpoint.parsed_features, store_root, keys, command, checkpoint.features) as stores,
    ):
        predictions = classify(checkpoint, instances, stores, ram_budget)
    seconds = time.perf_counter() - start
    gold = np.array([checkpoint.labels.index(instance.label or "") for instance in instances])
    metrics = score(gold, predictions.labels, checkpoint.labels, checkpoint.positive)
    # Not among the metrics: those are the same to the last digit when a run is repeated.
    facts = note_evaluation(folder, EvaluationFacts(len(instances), seconds))
    write_file(folder / CARD, card(facts, metrics).encode("utf-8"))
    tsv = predictions_tsv(instances, predictions, checkpoint.labels)
    write_file(folder / PREDICTIONS, tsv.encode("utf-8"))
    write_file(folder / METRICS, to_json(metrics))
    return Evaluation(fold, metrics, instances, predictions)


def _publish(checkpoint: Checkpoint, config: RunConfig, run_dir: Path, folder: Path) -> None:
    """Write a trained fold, in the place of the one before.

    The order is such that a process that is killed in between leaves nothing that reads as finished and is not: the old
    evaluation goes first, and ``run.json``, by which a fold is trained, comes when all that it needs is there.
    """
    for name in (METRICS, PREDICTIONS):
        (folder / name).unlink(missing_ok=True)
    for place in (folder, run_dir):
        make_folder(place)
        write_file(place / CONFIG, config_toml(config).encode("utf-8"))
    facts = save_checkpoint(folder, checkpoint)
    (folder / UNFINISHED).unlink(missing_ok=True)
    write_file(folder / CARD, card(facts, None).encode("utf-8"))
