"""A run: one configuration, trained and evaluated fold by fold, in one folder.

In: a corpus, the root of a store and a :class:`RunConfig`. Out, below the run's folder: ``config.toml``, and for each
fold ``fold-K/`` with ``config.toml``, ``model.safetensors``, ``run.json`` (all facts, every epoch), ``metrics.json``
and ``predictions.tsv``. A run's folder belongs to one configuration: it is remembered there, so that evaluating needs
no option again, and another one is refused. Before a fold is trained to its end nothing of it is written but, once a
minute, the state from which an interrupted training goes on.
"""

from __future__ import annotations

import json
import shlex
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from classifier.batch import Batcher, tag_names
from classifier.checkpoint import RUN, Checkpoint, load_checkpoint, save_checkpoint, to_json, write_atomically
from classifier.features import FeatureSpec, open_features, parse_features
from classifier.metrics import Metrics, score
from classifier.model import Head, HeadConfig, InputConfig
from classifier.outputs import predictions_tsv
from classifier.predict import Predictions, classify
from classifier.resume import UNFINISHED, load_state, save_state
from classifier.split import check_labelled, training_parts
from classifier.train import Epoch, TrainConfig, reproducible, train
from classifier.vectors import RAM_BUDGET, Sentences, Vectors
from featstore.errors import DataError, MismatchError, MissingFileError, UsageError
from featstore.records import Corpus, Instance

CONFIG, METRICS, PREDICTIONS = "config.toml", "metrics.json", "predictions.tsv"


@dataclass(frozen=True, slots=True)
class RunConfig:
    """What a run is.

    Attributes:
        corpus: the corpus's spec.
        indicators: ``tags`` or ``replace``.
        context: ``tagged`` or ``sentence``.
        instances: the file that lists the corpus's instances; empty: the corpus's own choice.
        train: how heads are trained.
    """

    corpus: str = "sample"
    indicators: str = "tags"
    context: str = "tagged"
    instances: str = ""
    train: TrainConfig = field(default_factory=TrainConfig)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should know while a run goes on.

    Attributes:
        text: one sentence.
    """

    text: str


Progress = Callable[[Epoch | Notice], None]


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


def run_name(config: RunConfig) -> str:
    """Return the name of a run's folder: corpus, features, context, indicators, head and seed.

    What differs from the defaults beyond these adds six digits of its hash, so that it gets a folder of its own.
    """
    plain = TrainConfig(features=config.train.features, head=config.train.head, seed=config.train.seed)
    parts = [
        config.corpus.partition(":")[0],
        config.train.features,
        config.context,
        config.indicators,
        config.train.head,
        f"seed{config.train.seed}",
    ]
    if config.train != plain or config.instances:
        parts.append(sha256(config_toml(config).encode()).hexdigest()[:6])
    return "-".join(parts)


def config_toml(config: RunConfig) -> str:
    """Return a configuration as TOML."""
    top = {key: value for key, value in asdict(config).items() if key != "train"}
    lines = [*map(_toml_line, top.items()), "", "[train]", *map(_toml_line, asdict(config.train).items())]
    return "\n".join(lines) + "\n"


def _toml_line(item: tuple[str, Any]) -> str:
    # What JSON writes for a string, a number or a boolean is TOML.
    return f"{item[0]} = {json.dumps(item[1])}"


def read_config(run_dir: Path) -> RunConfig:
    """Read the configuration that a run's folder remembers.

    Raises:
        MissingFileError: there is no run.
        DataError: the file is not a run's configuration.
    """
    path = run_dir / CONFIG
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        return RunConfig(**{**raw, "train": TrainConfig(**raw["train"])})
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist: {run_dir} is not a run; `cli train` makes one.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not the configuration of a run: {error}.") from error


def latest_run(runs: Path) -> Path:
    """Return the run below ``runs`` that was trained last.

    Raises:
        MissingFileError: there is none.
    """
    found = [path.parent for path in runs.glob(f"*/{CONFIG}")]
    if not found:
        raise MissingFileError(f"{runs} holds no run; `cli train` makes one.")
    return max(found, key=lambda run: (max(p.stat().st_mtime_ns for p in run.glob(f"**/{CONFIG}")), run.name))


def trained_folds(run_dir: Path) -> tuple[int, ...]:
    """Return the folds of a run that are trained to the end."""
    return tuple(sorted(int(path.parent.name.removeprefix("fold-")) for path in run_dir.glob(f"fold-*/{RUN}")))


def encoders_in_use(runs: Path) -> set[str]:
    """Return the identities of all encoders that a head below ``runs`` was trained on.

    Raises:
        DataError: a checkpoint that cannot be read; better to stop than to call its features unused.
    """
    used: set[str] = set()
    for path in runs.glob(f"*/fold-*/{RUN}"):
        try:
            used |= {spec["identity"] for spec in json.loads(path.read_text(encoding="utf-8"))["features"]}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is not a run: {error}; remove it or train again.") from error
    return used


def train_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    progress: Progress | None = None,
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
    _check_config(config, corpus, run_dir)
    start = time.perf_counter()
    parts = training_parts(corpus, fold, config.train.dev_share)
    instances = [corpus.instances[position] for part in parts for position in part]
    train_part, dev_part = np.split(np.arange(len(instances)), [len(parts[0])])
    sentences = Sentences.of(instances)
    features = parse_features(config.train.features)
    tags = tag_names(instances)
    with (
        reproducible(config.train.seed, config.train.threads),
        open_features(features, store_root, sentences.keys, _featurize_command(config, store_root)) as stores,
    ):
        vectors = Vectors(features, stores, sentences, ram_budget)
        head = Head(
            HeadConfig(
                inputs=tuple(InputConfig(spec.dim, spec.layers) for spec in vectors.specs),
                labels=len(corpus.labels),
                tags=len(tags),
                hidden=config.train.hidden,
                dropout=config.train.dropout,
                standardise=config.train.standardise,
                precision=config.train.precision,
            )
        )
        folder = run_dir / f"fold-{fold}"
        digest = _training_digest(config, corpus, fold, vectors.specs)
        if config.train.standardise:
            head.standardise(vectors.moments(np.unique(sentences.of_instance[train_part])))
        epochs = train(
            head,
            Batcher(instances, vectors, corpus.labels, tags),
            (train_part, dev_part),
            config.train,
            labels=corpus.labels,
            positive=corpus.positive,
            progress=progress,
            state=load_state(folder, digest),
            save=lambda state: save_state(folder, state, digest),
        )
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
            "instances": {"train": len(parts[0]), "dev": len(parts[1])},
            "best_epoch": max(epoch.number for epoch in epochs if epoch.best),
            "seconds": time.perf_counter() - start,
            "epochs": [asdict(epoch) for epoch in epochs],
        },
    )
    save_checkpoint(folder, checkpoint)
    for name in (METRICS, PREDICTIONS, UNFINISHED):
        (folder / name).unlink(missing_ok=True)  # they were of the head before
    for path in (folder / CONFIG, run_dir / CONFIG):
        write_atomically(path, config_toml(config).encode("utf-8"))
    return checkpoint


def evaluate_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    progress: Progress | None = None,
    ram_budget: int = RAM_BUDGET,
) -> Evaluation:
    """Evaluate one fold on its test part and write ``metrics.json`` and ``predictions.tsv``.

    A fold that is not trained yet is trained first; ``progress`` hears of it.

    Raises:
        MismatchError: the corpus has changed since the fold was trained, or the store holds other vectors.
        DataError: the test part is empty or holds an instance without a label.
        UsageError, MissingFeatureError: as :func:`train_fold`.
    """
    _check_config(config, corpus, run_dir)
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
    keys = Sentences.of(instances).keys
    command = _featurize_command(config, store_root)
    with (
        reproducible(config.train.seed, config.train.threads),
        open_features(checkpoint.parsed_features, store_root, keys, command, checkpoint.features) as stores,
    ):
        predictions = classify(checkpoint, instances, stores, ram_budget)
    gold = np.array([checkpoint.labels.index(instance.label or "") for instance in instances])
    metrics = score(gold, predictions.labels, checkpoint.labels, checkpoint.positive)
    tsv = predictions_tsv(instances, predictions, checkpoint.labels)
    write_atomically(folder / PREDICTIONS, tsv.encode("utf-8"))
    write_atomically(folder / METRICS, to_json(asdict(metrics)))
    return Evaluation(fold, metrics, instances, predictions)


def _check_config(config: RunConfig, corpus: Corpus, run_dir: Path) -> None:
    loaded = {"corpus": corpus.spec, "indicators": corpus.indicators, "context": corpus.context}
    for name, value in loaded.items():
        if getattr(config, name) != value:
            raise MismatchError(f"the run's {name} is '{getattr(config, name)}', the corpus was loaded with '{value}'.")
    if not (run_dir / CONFIG).exists():
        return
    kept = read_config(run_dir)
    pairs = [(f.name, getattr(kept, f.name), getattr(config, f.name)) for f in fields(RunConfig) if f.name != "train"]
    pairs += [(f.name, getattr(kept.train, f.name), getattr(config.train, f.name)) for f in fields(TrainConfig)]
    differing = [f"{name} is {old!r} there and {new!r} now" for name, old, new in pairs if old != new]
    if differing:
        raise UsageError(
            f"{run_dir} belongs to another configuration: {'; '.join(differing)}. Choose another folder with --run, "
            "or remove this one."
        )


def _corpus_facts(corpus: Corpus) -> dict[str, str]:
    return {name: str(getattr(corpus, name)) for name in ("spec", "name", "digest", "context", "indicators")}


def _training_digest(config: RunConfig, corpus: Corpus, fold: int, specs: Sequence[FeatureSpec]) -> str:
    """Return a digest of all that determines how a fold is trained."""
    facts = [config_toml(config), _corpus_facts(corpus), fold, [asdict(spec) for spec in specs], version("torch")]
    return sha256(json.dumps(facts).encode()).hexdigest()


def _featurize_command(config: RunConfig, store_root: str | Path) -> str:
    options = ["--corpus", config.corpus, "--context", config.context, "--indicators", config.indicators]
    if config.instances:
        options += ["--instances", config.instances]
    return shlex.join(["cli", "featurize", *options, "--store", str(store_root)])
