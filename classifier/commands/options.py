"""The options that commands over runs share, and those of every command that trains."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from classifier.systems.table import SYSTEMS, find_system
from classifier.training.config import DEFAULT_HEAD, RECIPES, TrainConfig
from featstore.addresses import spelled
from featstore.commands.console import err, escape
from featstore.commands.options import finite
from featstore.copies import on_this_machine
from featstore.errors import UsageError, did_you_mean

RUNS = Path("runs")
GB = 10**9

Runs = Annotated[
    Path,
    typer.Option("--runs", envvar="FEATSTORE_RUNS", help="Folder or address that holds the runs, or will hold them."),
]
Run = Annotated[
    str | None,
    typer.Option(
        "--run",
        envvar="FEATSTORE_RUN",
        help="The run: its folder, its address, or its name below --runs. By default it is the run that was trained "
        "last.",
    ),
]
NewRun = Annotated[
    str | None,
    typer.Option(
        "--run",
        envvar="FEATSTORE_RUN",
        help="The run: its folder, its address, or its name below --runs. By default it is named after its "
        "configuration.",
    ),
]
RamBudget = Annotated[
    float,
    typer.Option(
        "--ram-budget",
        min=0,
        callback=finite,
        help="Gigabytes of vectors to hold in memory. Vectors beyond that are read from disk.",
    ),
]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Number of threads of the matrix products.")]
# For commands that encode text: with a store, the vectors of text that comes again are read.
VectorStore = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="FEATSTORE_STORE",
        help="Store to read vectors from and to keep new ones in. By default they are held in memory only.",
    ),
]
Encoders = Annotated[
    str,
    typer.Option(
        "--encoders",
        help="Where encoders are that did not come with featstore, as NAME:PATH, separated by commas.",
    ),
]
Fold = Annotated[
    int | None,
    typer.Option("--fold", min=1, help="The fold whose model is used. By default it is the first trained fold."),
]


def check_features(features: Iterable[str], store: str) -> None:
    """Make sure that each word of ``--features`` names an encoder or a feature set, before any work.

    Raises:
        UsageError: one does not; the text has the closest name.
    """
    from classifier.data.features import encoder_of, parse_features
    from featstore.encoders import ENCODERS
    from featstore.stores import list_sets

    known = sorted({*ENCODERS, *(each.meta.name for each in list_sets(store))})
    for name in (feature.name for words in features for feature in parse_features(words)):
        if name not in known and encoder_of(name) not in known:
            raise UsageError(
                f"--features names '{name}', which is neither an encoder nor a feature set of {store}; choose from "
                f"{', '.join(known)}.{did_you_mean(name, known)}"
            )


def picked_run(run: str | None, runs: Path) -> Path:
    """Return the run that was named, or the latest one, which is then printed."""
    from classifier.runs.find import find_run, latest_run

    if run is not None:
        return find_run(run, runs)
    folder = latest_run(runs)
    err.print(escape(f"run: {spelled(folder)}, which was trained last (--run names another)"), soft_wrap=True)
    return folder


def fold_dir(run: str | None, runs: Path, fold: int | None, store: str | None = None) -> Path:
    """Return the folder of a trained fold.

    Args:
        run: the run as it was named, or None.
        runs: the folder that holds the runs.
        fold: the fold, or None for the first trained one.
        store: the store that was named, for the command that a message proposes.

    Raises:
        MissingFileError: the run or the fold is not there; the text says what is.
    """
    from classifier.runs.find import fold_folder

    return fold_folder(on_this_machine(picked_run(run, runs)), fold, store)


def with_runs_found(options: Mapping[str, object], runs: Path) -> dict[str, object]:
    """Return options with the place of each run that they name, which may have been its name below ``runs``.

    Raises:
        MissingFileError: there is no such run; the text has the closest name.
    """
    from classifier.runs.find import find_run

    found = dict(options)
    if teacher := found.get("teacher"):
        found["teacher"] = spelled(find_run(str(teacher), runs))
    if mix := found.get("mix"):
        names = [name.strip() for name in str(mix).split(",") if name.strip()]
        found["mix"] = ",".join(spelled(find_run(name, runs)) for name in names)
    return found


# These differ from command to command.
_OWN = ("features", "seed")


def with_training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of :class:`TrainConfig`; it receives them as a dictionary, ``training``.

    What was not given is None there, for the recipe to fill in.
    """
    return _with_options(command, [_parameter(f) for f in fields(TrainConfig) if f.name not in _OWN])


def with_system_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the head and of every other system; it receives them as ``training``.

    What was not given is None there, but for the recipe of the head.
    """
    of_systems: dict[str, list[tuple[str, Field[Any], Any]]] = {}
    for name in SYSTEMS:
        kind = find_system(name).options
        for each in fields(kind):
            if each.name not in _OWN:
                of_systems.setdefault(each.name, []).append((name, each, get_type_hints(kind)[each.name]))
    shared = [
        _parameter(f, [(name, each) for name, each, _ in of_systems.pop(f.name, [])])
        for f in fields(TrainConfig)
        if f.name not in _OWN
    ]
    return _with_options(command, [*shared, *(_system_parameter(found) for found in of_systems.values())])


def with_options_of(kind: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each field that :func:`~classifier.training.config.option` made of a dataclass.

    Their defaults and help are those of the fields. The command receives them as a dictionary, ``training``.
    """
    kinds = get_type_hints(kind)
    shared = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=Annotated[kinds[each.name], _shown(each, each.metadata["help"], "Training")],
        )
        for each in fields(kind)
        if "limits" in each.metadata
    ]
    return functools.partial(_with_options, shared=shared)


def _shown(each: Field[Any], text: str, panel: str) -> Any:
    """Return how an option stands in the help; one with choices lists them in the place of its type."""
    return typer.Option(help=text, metavar="|".join(each.metadata["limits"].choices) or None, rich_help_panel=panel)


def _with_options(command: Callable[..., None], shared: list[inspect.Parameter]) -> Callable[..., None]:
    """Give a command options besides its own, which it receives as a dictionary, ``training``."""
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "training"]

    @functools.wraps(command)
    def call(**given: Any) -> None:
        command(**{p.name: given[p.name] for p in own}, training={p.name: given[p.name] for p in shared})

    parameters = [*own, *shared]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    del call.__wrapped__  # typer would look through it
    return call


def _parameter(option: Field[Any], of_systems: Sequence[tuple[str, Field[Any]]] = ()) -> inspect.Parameter:
    """Return the option of a command that sets a field of :class:`TrainConfig`.

    Args:
        option: the field.
        of_systems: systems that have an option of this name too, and their field.
    """
    is_recipe = option.name == "head"
    text = option.metadata["help"] if is_recipe else f"{option.metadata['help']} {_by_recipe(option)}"
    text = " ".join([text, *(_of_system(name, each, option) for name, each in of_systems)]).strip()
    kind = get_type_hints(TrainConfig)[option.name]
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=DEFAULT_HEAD if is_recipe else None,
        annotation=Annotated[kind if is_recipe else kind | None, _shown(option, text, "Training")],
    )


def _system_parameter(found: Sequence[tuple[str, Field[Any], Any]]) -> inspect.Parameter:
    """Return the option of a command that sets a field which only systems other than the head have."""
    name, option, kind = found[0]
    text = " ".join(_of_system(each if len(found) > 1 else "", field, None) for each, field, _ in found)
    panel = f"Systems {', '.join(each for each, _, _ in found)}" if len(found) > 1 else f"System {name}"
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, _shown(option, text, panel)],
    )


def _of_system(system: str, option: Field[Any], of_head: Field[Any] | None) -> str:
    """Return what an option means to a system, and its default there; what the head's text says is not said again.

    Args:
        system: its name; empty where only one system has the option, so that its panel says which.
        option: the field of the system's options.
        of_head: that of the head's, if it has one of this name.
    """
    default = {"True": "yes", "False": "no", "": "none"}.get(str(option.default), str(option.default))
    text = option.metadata["help"]
    if of_head is not None and text == of_head.metadata["help"]:
        return "" if option.default == of_head.default else f"(default of {system}: {default})"
    return f"With --system {system}: {text} (default: {default})" if system else f"{text} (default: {default})"


def _by_recipe(option: Field[Any]) -> str:
    """Return the value that each recipe gives an option."""
    values = {name: str(changed.get(option.name, option.default)) for name, changed in RECIPES.items()}
    words = {"True": "yes", "False": "no", "": "none"}
    if len(set(values.values())) == 1:
        return f"(default: {words.get(str(option.default), str(option.default))})"
    return f"({', '.join(f'{name}: {words.get(value, value)}' for name, value in values.items())})"
