"""One fold of a run of any system: fitted, and evaluated.

In: a corpus, the root of a store, a :class:`~classifier.runs.config.RunConfig` and a fold. Out, in the run's folder,
what :mod:`classifier.runs.folds` writes for a head. Another system's files are below ``fold-K/model/`` in place of
``model.safetensors``; ``run.json`` holds their digests. A fold of the head is given to :mod:`classifier.runs.folds`, so
that callers need not ask which system a run has.
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
from classifier.data.pairing import pairing_of
from classifier.data.split import training_parts
from classifier.data.vectors import RAM_BUDGET, DistinctSentences
from classifier.runs import folds as head_folds
from classifier.runs.checkpoint import versions
from classifier.runs.config import RunConfig, SystemChoice, check_config, config_toml
from classifier.runs.facts import FORMAT_VERSION, RUN, CorpusFacts, RunFacts, TrainingFacts, read_run
from classifier.runs.memory import PeakMemory
from classifier.runs.prepare import featurize_command
from classifier.runs.publish import Evaluation, check_same_corpus, publish, tested_part, write_evaluation
from classifier.systems.choice import options_of
from classifier.systems.contract import Fit, FitTask, KeptState, SystemOptions
from classifier.systems.saved import Described, load_fitted, save_fitted
from classifier.systems.table import find_system
from classifier.systems.teacher import teacher_of
from classifier.training.epoch import Epoch, Notice, RunProgress
from classifier.training.estimate import TrainingPlan
from classifier.training.loop import reproducible
from classifier.training.predictions import Predictions
from classifier.training.resume import forget_unfinished, read_unfinished, write_unfinished
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
    """

    fold: int
    label: str
    train: int
    dev: int
    epochs: int
    done: int


AnyPlan = TrainingPlan | SystemPlan
Announce = Callable[[AnyPlan], None]


def plan_fold(
    corpus: Corpus, store_root: str | Path, config: RunConfig, fold: int, run_dir: Path, *, ram_budget: int = RAM_BUDGET
) -> AnyPlan:
    """Return what :func:`train_fold` would do with the same arguments, and write nothing.

    Raises:
        UsageError, DataError, MissingFeatureError: as :func:`train_fold`, before its first epoch.
    """
    if config.system is None:
        teacher = teacher_of(config, corpus, store_root, fold)
        return head_folds.plan_fold(corpus, store_root, config, fold, run_dir, teacher=teacher, ram_budget=ram_budget)
    with _task(corpus, store_root, config, config.system, fold, run_dir, _silent) as (task, keeper, _):
        return _plan(config.system, task, keeper, fold)


def train_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    announce: Announce | None = None,
    progress: RunProgress | None = None,
    ram_budget: int = RAM_BUDGET,
) -> TrainingFacts:
    """Fit one fold of any system, write its files and return what the fit measured.

    Args:
        corpus: loaded as ``config`` says.
        store_root: the store that holds the vectors that the system reads; others need none.
        config: the run.
        fold: the fold.
        run_dir: the run's folder.
        announce: called before the first epoch with what will be fitted.
        progress: called after each epoch, and with what the user should know.
        ram_budget: bytes of vectors to hold in memory.

    Raises:
        UsageError: no such fold, a folder that belongs to another configuration, ..
        DataError: a class without training examples, ..
        MissingFeatureError: a feature that was not featurized.
    """
    if config.system is None:
        return head_folds.train_fold(
            corpus,
            store_root,
            config,
            fold,
            run_dir,
            teacher=teacher_of(config, corpus, store_root, fold),
            announce=announce,
            progress=progress,
            ram_budget=ram_budget,
        ).training
    start, memory, choice = time.perf_counter(), PeakMemory(), config.system
    folder, system = run_dir / f"fold-{fold}", find_system(choice.name)
    with _task(corpus, store_root, config, choice, fold, run_dir, progress or _silent) as (task, keeper, sources):
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
    return saved[0].training


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


def evaluate_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    announce: Announce | None = None,
    progress: RunProgress | None = None,
    ram_budget: int = RAM_BUDGET,
) -> Evaluation:
    """Evaluate one fold of any system on its test part; it is fitted first if it is not yet.

    Raises:
        MismatchError: the corpus has changed since the fold was fitted, or the store holds other vectors.
        DataError: the test part is empty or holds an instance without a label.
        UsageError, MissingFeatureError: as :func:`train_fold`.
    """
    folder = run_dir / f"fold-{fold}"
    if config.system is None:
        return head_folds.evaluate_fold(
            corpus,
            store_root,
            config,
            fold,
            run_dir,
            teacher=None if (folder / RUN).exists() else teacher_of(config, corpus, store_root, fold),
            announce=announce,
            progress=progress,
            ram_budget=ram_budget,
        )
    check_config(config, corpus, run_dir, asdict(find_system(config.system.name).options()))
    instances = tested_part(corpus, fold)
    if (folder / RUN).exists():
        forget_unfinished(folder)  # of a fit that was killed as it finished
    else:
        if progress:
            progress(Notice(f"fold {fold} of {run_dir} is not trained yet; training it first."))
        train_fold(
            corpus, store_root, config, fold, run_dir, announce=announce, progress=progress, ram_budget=ram_budget
        )
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
    return SystemPlan(fold, choice.label, len(task.train), len(task.dev), task.options.epochs, done)


def _silent(_: Epoch | Notice) -> None:
    """Tell nobody."""
