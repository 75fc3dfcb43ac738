"""The fit of a system other than the head, of one fold, in a folder of this machine.

In: a corpus, the root of a store, a :class:`~classifier.runs.config.RunConfig` that names a system, and a fold. Out, in
the run's folder, what :mod:`classifier.runs.folds` writes for a head. The system's own files are below
``fold-K/model/`` in place of ``model.safetensors``; ``run.json`` holds their digests.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from classifier.data.features import feature_spec, open_features, parse_features
from classifier.data.split import training_parts, unseen_labels
from classifier.data.vectors import DistinctSentences
from classifier.runs.checkpoint import versions
from classifier.runs.config import RunConfig, SystemChoice, check_config, config_toml
from classifier.runs.facts import FORMAT_VERSION, CorpusFacts, RunFacts, TrainingFacts, read_run
from classifier.runs.memory import PeakMemory
from classifier.runs.prepare import featurize_command
from classifier.runs.publish import Evaluation, check_same_corpus, publish, tested_part, write_evaluation
from classifier.systems.choice import options_of
from classifier.systems.contract import Fit, FitTask, KeptState, SystemOptions
from classifier.systems.saved import Described, load_fitted, save_fitted
from classifier.systems.table import find_system
from classifier.training.epoch import RunProgress, silent
from classifier.training.loop import reproducible
from classifier.training.predictions import Predictions
from classifier.training.resume import read_unfinished, write_unfinished
from featstore.pairing import pairing_of
from featstore.records import Corpus, Instance
from featstore.stores import FeatureStore


@dataclass(frozen=True, slots=True)
class SystemPlan:
    """What the fit of a system other than the head will do.

    Attributes:
        fold: the fold.
        label: what tables call the system.
        train: instances that it is fitted on.
        dev: instances that it chooses by.
        epochs: the most epochs that it goes through.
        done: epochs that an interrupted fit has behind it.
        unseen: the labels that no training instance has; the system can never predict them.
    """

    fold: int
    label: str
    train: int
    dev: int
    epochs: int
    done: int
    unseen: tuple[str, ...]


def plan_system(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    choice: SystemChoice,
    fold: int,
    run_dir: Path,
    *,
    chosen: TrainingFacts | None = None,
) -> SystemPlan:
    """Return what :func:`fit_system` would do with the same arguments, and write nothing; errors as there."""
    with _task(corpus, store_root, config, choice, fold, run_dir, chosen, silent) as (task, keeper, _):
        return _plan(choice, task, keeper, fold)


def fit_system(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    choice: SystemChoice,
    fold: int,
    run_dir: Path,
    *,
    chosen: TrainingFacts | None = None,
    announce: Callable[[SystemPlan], None] | None = None,
    progress: RunProgress | None = None,
) -> RunFacts:
    """Fit one fold and write its files; arguments and errors as those of :func:`classifier.systems.folds.train_fold`.

    Args:
        corpus, store_root, config, fold, run_dir, announce, progress: as there.
        choice: the system that ``config`` names.
        chosen: what the same fit without ``refit`` measured, if it is to be taken over.
    """
    start, memory = time.perf_counter(), PeakMemory()
    folder, system = run_dir / f"fold-{fold}", find_system(choice.name)
    with _task(corpus, store_root, config, choice, fold, run_dir, chosen, progress or silent) as made:
        task, keeper, sources = made
        if announce:
            announce(_plan(choice, task, keeper, fold))
        fit = system.fit(task)
        described = _described(task, fit, choice, sources, corpus, time.perf_counter() - start, memory.bytes)
    saved: list[RunFacts] = []

    def save() -> RunFacts:
        saved.append(save_fitted(folder, fit.model, described))
        return saved[0]

    # Another process may have made the folder its own in the meantime.
    check_config(config, corpus, run_dir, asdict(system.options()))
    publish(config, run_dir, folder, save)
    return saved[0]


def evaluate_system(corpus: Corpus, store_root: str | Path, config: RunConfig, fold: int, run_dir: Path) -> Evaluation:
    """Evaluate a fold that was fitted; errors as those of :func:`classifier.systems.folds.evaluate_fold`."""
    folder, instances = run_dir / f"fold-{fold}", tested_part(corpus, fold)
    check_same_corpus(folder, read_run(folder).corpus, corpus)
    fitted = load_fitted(folder)
    start, command = time.perf_counter(), featurize_command(config, store_root)
    with (
        reproducible(config.seed, config.threads),
        open_features(
            fitted.parsed_features, store_root, DistinctSentences.of(instances).keys, command, fitted.facts.features
        ) as stores,
    ):
        predictions = Predictions(fitted.model.probabilities(instances, stores), ())
    return write_evaluation(folder, instances, predictions, time.perf_counter() - start)


def _described(
    task: FitTask[Any],
    fit: Fit,
    choice: SystemChoice,
    sources: Mapping[str, str],
    corpus: Corpus,
    seconds: float,
    peak_memory: int | None,
) -> Described:
    """Return what is known of a fit besides the fitted system; the stores of its task are open."""
    features = parse_features(reads_of(task.options)) if task.stores else ()
    return Described(
        choice=choice,
        sources=sources,
        corpus=CorpusFacts.of(corpus),
        fold=task.fold,
        features=tuple(feature_spec(f, store.meta) for f, store in zip(features, task.stores, strict=True)),
        labels=task.labels,
        positive=task.positive,
        pairing=pairing_of([*task.train, *task.dev], corpus.indicators),
        encoders={store.meta.name: store.meta.facts for store in task.stores},
        sizes=(len(task.train), len(task.dev)),
        epochs=fit.epochs,
        refit=fit.refit,
        seconds=seconds,
        peak_memory=peak_memory,
        versions=versions(*find_system(choice.name).packages),
    )


def reads_of(options: SystemOptions) -> str:
    """Return the features that a system reads, as ``--features`` spells them; empty if it needs no store."""
    return str(getattr(options, "features", ""))


@dataclass(frozen=True, slots=True)
class _Keeper:
    """Keeps the state of an unfinished fit in its fold's folder; see :class:`~classifier.systems.contract.Keeper`."""

    folder: Path
    digest: str

    def load(self) -> KeptState | None:
        found = read_unfinished(self.folder, self.digest)
        return found and KeptState(found[0], json.loads(found[1]["facts"]))

    def save(self, state: KeptState) -> None:
        write_unfinished(self.folder, state.tensors, {"facts": json.dumps(dict(state.facts))}, self.digest)


@contextmanager
def _task(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    choice: SystemChoice,
    fold: int,
    run_dir: Path,
    chosen: TrainingFacts | None,
    progress: RunProgress,
) -> Iterator[tuple[FitTask[Any], _Keeper, Mapping[str, str]]]:
    """Yield what a system is fitted on, what keeps its state, and the digests of what it is fitted from."""
    system, options = find_system(choice.name), options_of(choice)
    check_config(config, corpus, run_dir, asdict(system.options()))
    sources = system.sources(options)
    train, dev = (
        [corpus.instances[position] for position in part] for part in training_parts(corpus, fold, options.dev_share)
    )
    with reproducible(options.seed, options.threads), _stores(options, store_root, [*train, *dev], config) as stores:
        facts = [
            *(FORMAT_VERSION, config_toml(config), asdict(CorpusFacts.of(corpus)), fold, dict(sources)),
            *([store.meta.identity for store in stores], versions(*system.packages)),
        ]
        keeper = _Keeper(run_dir / f"fold-{fold}", sha256(json.dumps(facts).encode()).hexdigest())
        task = FitTask(
            options=options,
            train=train,
            dev=dev,
            labels=corpus.labels,
            positive=corpus.positive,
            stores=stores,
            progress=progress,
            keeper=keeper,
            corpus=CorpusFacts.of(corpus),
            fold=fold,
            chosen=chosen.epochs if chosen else (),
        )
        yield task, keeper, sources


@contextmanager
def _stores(
    options: SystemOptions, store_root: str | Path, instances: Sequence[Instance], config: RunConfig
) -> Iterator[list[FeatureStore]]:
    """Open the feature sets that a system reads."""
    if not reads_of(options):
        yield []
        return
    keys = DistinctSentences.of(instances).keys
    with open_features(
        parse_features(reads_of(options)), store_root, keys, featurize_command(config, store_root)
    ) as stores:
        yield stores


def _plan(choice: SystemChoice, task: FitTask[Any], keeper: _Keeper, fold: int) -> SystemPlan:
    state = keeper.load()
    done = len(state.facts.get("epochs", ())) if state else 0
    if task.chosen:
        done = task.options.epochs
    unseen = unseen_labels(task.labels, task.train)
    return SystemPlan(fold, choice.label, len(task.train), len(task.dev), task.options.epochs, done, unseen)
