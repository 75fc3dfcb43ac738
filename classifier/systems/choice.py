"""The choice of a system: from the options of the command line, or from ``config.toml``, to typed options and back.

In: the name of a system and options. Out: a :class:`~classifier.runs.config.SystemChoice`, which a run remembers, and
the options that it stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from classifier.runs.config import RunConfig, SystemChoice, check_config, name_suffix
from classifier.runs.config import run_name as head_run_name
from classifier.runs.facts import Scalar
from classifier.systems.contract import SystemOptions
from classifier.systems.table import find_system
from classifier.training.config import HEAD, TrainConfig, recipe
from featstore.corpora import CorpusChoice
from featstore.errors import UsageError
from featstore.plain import from_plain
from featstore.records import Corpus


def run_config(corpus: CorpusChoice, system: str, given: Mapping[str, Any]) -> RunConfig:
    """Return the configuration of a run.

    Args:
        corpus: the corpus.
        system: ``head`` or the name of another system.
        given: options by name; None: not given.

    Raises:
        UsageError: no such system, an option that it does not have, or a value out of range.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    if system == HEAD:
        _check_known(HEAD, chosen, {each.name for each in fields(TrainConfig)})
        return RunConfig(corpus, recipe(**chosen))
    return RunConfig(corpus, system=choose(system, chosen))


def choose(name: str, given: Mapping[str, Scalar]) -> SystemChoice:
    """Return the choice of a system with the options ``given`` in the place of its defaults.

    Raises:
        UsageError: as :func:`run_config`.
    """
    system = find_system(name)
    _check_known(name, given, {each.name for each in fields(system.options)})
    options: SystemOptions = system.options(**given)
    plain = tuple((each.name, getattr(options, each.name)) for each in fields(options))
    return SystemChoice(name, system.label(options), plain)


def _check_known(system: str, given: Mapping[str, object], known: set[str]) -> None:
    if unknown := sorted(given.keys() - known):
        words = ", ".join("--" + name.replace("_", "-") for name in unknown)
        raise UsageError(
            f"{words} {'is no option' if len(unknown) == 1 else 'are no options'} of the system '{system}'; "
            f"its options are {', '.join('--' + name.replace('_', '-') for name in sorted(known))}."
        )


def options_of(choice: SystemChoice) -> SystemOptions:
    """Return the typed options of a choice, which may come from a file.

    Raises:
        UsageError: no such system.
        DataError: an option that is missing from this version, of another type or out of range.
    """
    kind: type[SystemOptions] = find_system(choice.name).options
    return from_plain(kind, dict(choice.options), f"the options of the system '{choice.name}'")


def run_name(config: RunConfig) -> str:
    """Return the name of a run's folder: that of a head's run, or corpus, label, context, indicators and seed.

    What differs from the system's defaults adds six digits of its hash. Nothing else is hashed, so that an option that
    a later version adds renames no run of this one.
    """
    choice, corpus = config.system, config.corpus
    if choice is None:
        return head_run_name(config)
    usual = find_system(choice.name).options(seed=choice.seed)
    special = {name: value for name, value in choice.options if value != getattr(usual, name)}
    parts = [corpus.name, choice.label.replace(":", "-"), corpus.context, corpus.indicators, f"seed{choice.seed}"]
    return "-".join([*parts, *name_suffix(corpus, special)])


def without_refit(config: RunConfig) -> RunConfig:
    """Return the configuration of the run that differs in nothing but that it learns from the train part alone."""
    if not config.system:
        return replace(config, train=replace(config.train, refit=False))
    options = tuple((name, False if name == "refit" else value) for name, value in config.system.options)
    return replace(config, system=replace(config.system, options=options))


def check_run(config: RunConfig, corpus: Corpus, run_dir: Path) -> None:
    """Make sure that a corpus is that of a run, and that where the run lies is free or belongs to it.

    Raises:
        MismatchError: the corpus was loaded otherwise.
        UsageError: the folder belongs to another configuration.
        ResourceError: nothing can be written there.
    """
    usual = asdict(find_system(config.system.name).options()) if config.system else None
    check_config(config, corpus, run_dir, usual)
