"""A run: one configuration in one folder, which holds one folder for each fold (:mod:`classifier.runs.folds`).

In: a :class:`RunConfig` and a folder. Out: the folder's name, its ``config.toml``, and what is in it. A run's folder
belongs to one configuration: it is remembered there, so that evaluating needs no option again, and another one is
refused.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from classifier.runs.checkpoint import RUN
from classifier.training.config import TrainConfig, recipe
from featstore.corpora import load_corpus
from featstore.errors import DataError, MismatchError, MissingFileError, UsageError
from featstore.records import Corpus

CONFIG, METRICS, PREDICTIONS, CARD = "config.toml", "metrics.json", "predictions.tsv", "README.md"
REMOVED = (("spans", False),)  # training options that are no more, with the value that did nothing


@dataclass(frozen=True, slots=True)
class RunConfig:
    """What a run is.

    Attributes:
        corpus: the corpus's spec.
        indicators: ``tags``, ``replace`` or ``blind``.
        context: ``tagged`` or ``sentence``.
        instances: the file that lists the corpus's instances; empty: the corpus's own choice.
        train: how heads are trained.
    """

    corpus: str = "sample"
    indicators: str = "tags"
    context: str = "tagged"
    instances: str = ""
    train: TrainConfig = field(default_factory=recipe)


def run_corpus(config: RunConfig) -> Corpus:
    """Load the corpus of a run.

    Raises:
        UsageError, MissingFileError, DataError: as :func:`featstore.corpora.load_corpus`.
    """
    return load_corpus(
        config.corpus,
        indicators=config.indicators,
        context=config.context,
        instances=Path(config.instances) if config.instances else None,
    )


def run_name(config: RunConfig) -> str:
    """Return the name of a run's folder: corpus, features, context, indicators, head and seed.

    What differs from the defaults beyond these adds six digits of its hash, so that it gets a folder of its own.
    """
    plain = recipe(config.train.head, features=config.train.features, seed=config.train.seed)
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
    return read_config_file(run_dir / CONFIG)


def read_config_file(path: Path) -> RunConfig:
    """Read a configuration that a run's folder remembers, or a copy of it.

    Raises:
        MissingFileError: there is no such file.
        DataError: the file is not a run's configuration.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        train = {name: value for name, value in raw["train"].items() if (name, value) not in REMOVED}
        return RunConfig(**{**raw, "train": TrainConfig(**train)})
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist: {path.parent} is not a run; `cli train` makes one.") from error
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


def check_config(config: RunConfig, corpus: Corpus, run_dir: Path) -> None:
    """Make sure that a corpus was loaded as a run says, and that the run's folder is free or belongs to it.

    Raises:
        MismatchError: the corpus was loaded otherwise.
        UsageError: the folder belongs to another configuration; the text names what differs.
    """
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
