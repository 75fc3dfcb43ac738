"""One fold of a run: trained, and evaluated.

In: a corpus, the root of a store, a :class:`~classifier.runs.config.RunConfig` and a fold. Out, in the run's folder:
``fold-K/`` with ``config.toml``, ``model.safetensors``, ``run.json`` (all facts, every epoch), ``README.md`` (the
card) and, once it is evaluated, ``metrics.json`` and ``predictions.tsv``. Before a fold is trained to its end nothing
of it is written but, once a minute, the state from which an interrupted training goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from classifier.data.features import open_features
from classifier.data.split import unseen_labels
from classifier.data.vectors import RAM_BUDGET, DistinctSentences
from classifier.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from classifier.runs.classify import classify
from classifier.runs.config import RunConfig, check_config
from classifier.runs.facts import CorpusFacts, PartSizes, TrainingFacts
from classifier.runs.memory import PeakMemory
from classifier.runs.prepare import Prepared, Teacher, featurize_command, prepared
from classifier.runs.publish import Evaluation, check_same_corpus, publish, tested_part, write_evaluation
from classifier.training.epoch import Notice, RunProgress
from classifier.training.estimate import TrainingPlan, plan_training
from classifier.training.fit import Choice, FittedHead, fit_head
from classifier.training.loop import TrainState, reproducible
from classifier.training.resume import load_judged, load_state, save_judged, save_state
from featstore.errors import count_of
from featstore.pairing import pairing_of
from featstore.records import Corpus


def plan_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    teacher: Teacher | None = None,
    chosen: TrainingFacts | None = None,
    ram_budget: int = RAM_BUDGET,
) -> TrainingPlan:
    """Return what :func:`train_fold` would do with the same arguments, and write nothing.

    Raises:
        UsageError, DataError, MissingFeatureError: as :func:`train_fold`, before its first epoch.
    """
    with prepared(corpus, store_root, config, fold, run_dir, ram_budget, teacher) as ready:
        return _plan(ready, corpus, config, fold, load_state(run_dir / f"fold-{fold}", ready.digest), chosen)


def train_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    teacher: Teacher | None = None,
    chosen: TrainingFacts | None = None,
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
        teacher: what the head learns from besides the labels, if the configuration names a teacher.
        chosen: what the same training without ``refit`` measured, if it is to be taken over.
        announce: called before the first epoch with what will be trained; the estimate of the time takes a few steps.
        progress: called after each epoch.
        ram_budget: bytes of vectors to hold in memory.

    Raises:
        UsageError: no such fold, a folder that belongs to another configuration, a loss that is no number, ..
        DataError: a class without training examples, vectors that are not finite, ..
        MissingFeatureError: a feature that was not featurized.
    """
    start, memory, folder = time.perf_counter(), PeakMemory(), run_dir / f"fold-{fold}"
    with prepared(corpus, store_root, config, fold, run_dir, ram_budget, teacher) as ready:
        state = load_state(folder, ready.digest)
        if announce:
            announce(_plan(ready, corpus, config, fold, state, chosen))
        judged = _teach(ready, teacher, config, folder, progress) if teacher else None
        fitted = fit_head(
            ready.head,
            ready.new_head,
            ready.batcher,
            ready.parts,
            config.train,
            labels=corpus.labels,
            positive=corpus.positive,
            progress=progress,
            chosen=Choice(chosen.epochs, chosen.shift, chosen.temperature) if chosen else None,
            state=state,
            save=lambda state: save_state(folder, state, ready.digest, judged),
        )
    seconds, taught_by = time.perf_counter() - start, teacher.fingerprint if teacher else ""
    checkpoint = _checkpoint(ready, fitted, corpus, config, fold, seconds, memory.bytes, taught_by)
    check_config(config, corpus, run_dir)  # another process may have made the folder its own in the meantime
    publish(config, run_dir, folder, lambda: save_checkpoint(folder, checkpoint))
    return checkpoint


def _teach(ready: Prepared, teacher: Teacher, config: RunConfig, folder: Path, progress: RunProgress | None) -> Tensor:
    """Let the head learn what the teacher says of all pairs that it will learn from, and return that.

    Shape: (m, labels) float32, m being the pairs that are learnt from.
    """
    learnt = np.concatenate(ready.parts) if config.train.refit else ready.parts[0]
    judged = load_judged(folder, ready.digest)
    if judged is None:
        if progress:
            progress(Notice(f"the teacher judges {count_of(len(learnt), 'pair')} before the first epoch"))
        judged = torch.from_numpy(teacher.probabilities([ready.instances[position] for position in learnt]))
        save_judged(folder, judged, ready.digest)
    ready.batcher.teach(learnt, judged.numpy(), config.train.teacher_share)
    return judged


def _checkpoint(
    ready: Prepared,
    fitted: FittedHead,
    corpus: Corpus,
    config: RunConfig,
    fold: int,
    seconds: float,
    peak_memory: int | None,
    teacher: str,
) -> Checkpoint:
    """Return a fitted head with all that belongs to it."""
    train_part, dev_part = ready.parts
    unlabelled = len(ready.instances) - ready.labelled
    return Checkpoint(
        head=fitted.head.eval(),
        features=ready.vectors.specs,
        labels=corpus.labels,
        positive=corpus.positive,
        tags=ready.tags,
        corpus=CorpusFacts.of(corpus),
        fold=fold,
        config=config.train,
        training=TrainingFacts(
            instances=PartSizes(len(train_part) - unlabelled, len(dev_part), unlabelled),
            best_epoch=max(epoch.number for epoch in fitted.choice.epochs if epoch.best),
            shift=fitted.choice.shift,
            temperature=fitted.choice.temperature,
            streamed=bool(ready.vectors.shards.any()),
            seconds=seconds,
            peak_memory=peak_memory,
            epochs=fitted.choice.epochs,
            refit=fitted.refit,
            teacher=teacher,
        ),
        pairing=pairing_of(ready.instances[: ready.labelled], corpus.indicators),
        encoders=ready.encoders,
    )


def _plan(
    ready: Prepared,
    corpus: Corpus,
    config: RunConfig,
    fold: int,
    state: TrainState | None,
    chosen: TrainingFacts | None,
) -> TrainingPlan:
    most = config.train.max_epochs
    done = most if chosen else len(state.epochs) if state else 0
    refit = (chosen.best_epoch if chosen else most) if config.train.refit else 0
    if state and state.refit:
        done, refit = most, max(epoch.number for epoch in state.epochs if epoch.best) - len(state.refit)
    unseen = unseen_labels(corpus.labels, [ready.instances[position] for position in ready.parts[0]])
    return plan_training(ready.head, ready.batcher, ready.parts, config.train, fold, done, refit, unseen)


def evaluate_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    ram_budget: int = RAM_BUDGET,
) -> Evaluation:
    """Evaluate a trained fold on its test part and write ``metrics.json`` and ``predictions.tsv``.

    Raises:
        MissingFileError: the fold is not trained.
        MismatchError: the corpus has changed since the fold was trained, or the store holds other vectors.
        DataError: the test part is empty or holds an instance without a label.
        MissingFeatureError: a feature that was not featurized.
    """
    folder, instances = run_dir / f"fold-{fold}", tested_part(corpus, fold)
    checkpoint = load_checkpoint(folder)
    check_same_corpus(folder, checkpoint.corpus, corpus)
    start, keys = time.perf_counter(), DistinctSentences.of(instances).keys
    command = featurize_command(config, store_root)
    with (
        reproducible(config.train.seed, config.train.threads),
        open_features(checkpoint.parsed_features, store_root, keys, command, checkpoint.features) as stores,
    ):
        predictions = classify(checkpoint, instances, stores, ram_budget)
    return write_evaluation(folder, instances, predictions, time.perf_counter() - start)
