"""A run: one configuration in one folder, which holds one folder for each fold (:mod:`classifier.runs.folds`).

In: a :class:`RunConfig` and a folder. Out: the folder's name, its ``config.toml``, and what is in it. A run's folder
belongs to one configuration: it is remembered there, so that evaluating needs no option again, and another one is
refused.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from classifier.runs.facts import RUN, Scalar
from classifier.training.config import HEAD, TrainConfig, recipe
from featstore.addresses import files_below, spelled
from featstore.corpora import CorpusChoice, read_corpus
from featstore.errors import DataError, MismatchError, MissingFileError, UsageError
from featstore.files import check_output_folder, read_text
from featstore.plain import from_plain
from featstore.records import Corpus

CONFIG, PREDICTIONS, CARD = "config.toml", "predictions.tsv", "README.md"
_FOLD = re.compile(r"fold-(\d+)/(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SystemChoice:
    """A system that is fitted in place of the head, with its options as plain data.

    Only :mod:`classifier.systems` knows which options a system has; a run remembers them as they were told.

    Attributes:
        name: of the system (``svm``).
        label: what tables call it (``bert:scibert``).
        options: every option and its value, in the system's order.
    """

    name: str
    label: str
    options: tuple[tuple[str, Scalar], ...]

    @property
    def seed(self) -> int:
        """The seed of everything random in it."""
        return int(dict(self.options)["seed"])

    @property
    def threads(self) -> int:
        """The number of threads of its products."""
        return int(dict(self.options)["threads"])


@dataclass(frozen=True, slots=True)
class RunConfig:
    """What a run is.

    Attributes:
        corpus: which corpus, and marked how.
        train: how heads are trained; it says nothing where another system is chosen.
        system: the system that is fitted in place of the head; None: the head.
    """

    corpus: CorpusChoice = field(default_factory=CorpusChoice)
    train: TrainConfig = field(default_factory=recipe)
    system: SystemChoice | None = None

    @property
    def system_name(self) -> str:
        """The name of what is fitted: ``head``, or that of another system."""
        return self.system.name if self.system else HEAD

    @property
    def label(self) -> str:
        """What tables call it: the features of a head, or the label of another system."""
        return self.system.label if self.system else self.train.features

    @property
    def recipe(self) -> str:
        """The recipe of a head, or the name of another system."""
        return self.system.name if self.system else self.train.head

    @property
    def seed(self) -> int:
        """The seed of everything random."""
        return self.system.seed if self.system else self.train.seed

    @property
    def refit(self) -> bool:
        """Whether what is kept has learnt from the dev part too."""
        return bool(dict(self.system.options).get("refit", False)) if self.system else self.train.refit

    @property
    def threads(self) -> int:
        """The number of threads."""
        return self.system.threads if self.system else self.train.threads


def run_corpus(config: RunConfig) -> Corpus:
    """Load the corpus of a run.

    Raises:
        UsageError, MissingFileError, DataError: as :func:`featstore.corpora.load_corpus`.
    """
    return read_corpus(config.corpus)


def run_name(config: RunConfig) -> str:
    """Return the name of the folder of a head's run: corpus, features, context, indicators, head and seed.

    What differs from the recipe beyond these adds six digits of its hash, so that it gets a folder of its own. Nothing
    else is hashed: an option that a later version adds renames no run of this one.
    """
    corpus, train = config.corpus, config.train
    parts = [corpus.name, train.features, corpus.context, corpus.indicators, train.head, f"seed{train.seed}"]
    plain = asdict(recipe(train.head, features=train.features, seed=train.seed))
    # The type is the default's: 1 and 1.0 are one learning rate.
    special = {name: type(plain[name])(value) for name, value in asdict(train).items() if value != plain[name]}
    return "-".join([*parts, *name_suffix(corpus, special)])


def name_suffix(corpus: CorpusChoice, special: Mapping[str, object]) -> list[str]:
    """Return the digits that tell a run from the plain one of its name; none if it is that.

    Args:
        corpus: the corpus.
        special: the options that differ from their defaults.
    """
    if corpus.instances:
        special = {**special, "instances": str(corpus.instances)}
    if not special:
        return []
    said = json.dumps({"corpus": corpus.spec, **special}, sort_keys=True)
    return [sha256(said.encode()).hexdigest()[:6]]


def config_toml(config: RunConfig) -> str:
    """Return a configuration as TOML."""
    lines = [*map(_toml_line, _told(config.corpus).items())]
    if system := config.system:
        lines += [*map(_toml_line, (("system", system.name), ("label", system.label))), "", "[options]"]
        return "\n".join([*lines, *map(_toml_line, system.options)]) + "\n"
    return "\n".join([*lines, "", "[train]", *map(_toml_line, asdict(config.train).items())]) + "\n"


def _told(corpus: CorpusChoice) -> dict[str, str]:
    """Return the choice of a corpus as ``config.toml`` tells it."""
    return {
        "corpus": corpus.spec,
        "indicators": corpus.indicators,
        "context": corpus.context,
        "instances": str(corpus.instances or ""),
    }


def options_of(config: RunConfig) -> dict[str, object]:
    """Return all options of a run by name, those of the corpus first."""
    if system := config.system:
        return {**_told(config.corpus), "system": system.name, "label": system.label, **dict(system.options)}
    return {**_told(config.corpus), **asdict(config.train)}


def _toml_line(item: tuple[str, object]) -> str:
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
        DataError: the file is not a run's configuration, or has an option that this version does not have.
    """
    name = spelled(path)
    text = read_text(path, f": {spelled(path.parent)} is not a run; `cli train` makes one.")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{name} is not the configuration of a run: {error}.") from error
    found = from_plain(_File, raw, f"{name} is not the configuration of a run")
    try:
        choice = CorpusChoice(found.corpus, found.indicators, found.context, _file(found.instances))
    except UsageError as error:
        raise DataError(f"{name} is not the configuration of a run: {error}") from error
    if found.system:
        return RunConfig(choice, system=SystemChoice(found.system, found.label, tuple(found.options.items())))
    if found.train is None:
        raise DataError(f"{name} is not the configuration of a run: 'train' is missing.")
    return RunConfig(choice, found.train)


@dataclass(frozen=True, slots=True)
class _File:
    """The content of ``config.toml``; an option that is missing has the value of the recipe ``paper``.

    It has either ``train``, which makes it the run of a head, or ``system``, ``label`` and ``options``.
    """

    train: TrainConfig | None = None
    system: str = ""
    label: str = ""
    options: Mapping[str, Scalar] = field(default_factory=dict)
    corpus: str = "sample"
    indicators: str = "tags"
    context: str = "tagged"
    instances: str = ""


def _file(name: str) -> Path | None:
    return Path(name) if name else None


def trained_folds(run_dir: Path) -> tuple[int, ...]:
    """Return the folds of a run, in a folder or at an address, that are trained to the end."""
    return tuple(fold for fold, names in fold_files(run_dir).items() if RUN in names)


def fold_files(run_dir: Path) -> dict[int, set[str]]:
    """Return the names of the files of each fold of a run, in a folder or at an address, in the order of the folds."""
    folds: dict[int, set[str]] = {}
    for name in files_below(run_dir):
        if found := _FOLD.fullmatch(name):
            folds.setdefault(int(found[1]), set()).add(found[2])
    return dict(sorted(folds.items()))


def differing_options(remembered: RunConfig, config: RunConfig, usual: Mapping[str, object]) -> list[str]:
    """Return in words what differs between a run and a configuration of the same system.

    Args:
        remembered: the run's configuration.
        config: the other one.
        usual: the defaults of options that a run may lack, because an earlier version made it.
    """
    kept = {**usual, **options_of(remembered)}
    return [
        f"{name} is {kept.get(name)!r} there and {new!r} now"
        for name, new in options_of(config).items()
        if kept.get(name) != new
    ]


def check_config(config: RunConfig, corpus: Corpus, run_dir: Path, usual: Mapping[str, object] | None = None) -> None:
    """Make sure that a corpus was loaded as a run says, and that the run's folder is free or belongs to it.

    Args:
        config: the run.
        corpus: the corpus.
        run_dir: the run's folder.
        usual: the defaults of another system's options: what a run has that an earlier version began, which did not
            have all of them.

    Raises:
        MismatchError: the corpus was loaded otherwise.
        UsageError: the folder belongs to another configuration; the text names what differs.
    """
    check_output_folder(run_dir, or_address=True)
    loaded = {"corpus": corpus.spec, "indicators": corpus.indicators, "context": corpus.context}
    wanted = _told(config.corpus)
    for name, value in loaded.items():
        if wanted[name] != value:
            raise MismatchError(f"the run's {name} is '{wanted[name]}', the corpus was loaded with '{value}'.")
    try:
        remembered = read_config(run_dir)
    except MissingFileError:
        return  # it is free
    if remembered.system_name != config.system_name:
        raise UsageError(
            f"{spelled(run_dir)} belongs to the system '{remembered.system_name}', not to '{config.system_name}'. "
            "Choose another folder with --run, or remove this one."
        )
    if differing := differing_options(remembered, config, usual or {}):
        raise UsageError(
            f"{spelled(run_dir)} belongs to another configuration: {'; '.join(differing)}. Choose another folder with "
            "--run, or remove this one."
        )
