"""The options that commands over runs share, and those of every command that trains."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from classifier.training.config import DEFAULT_HEAD, RECIPES, TrainConfig

RUNS = Path("runs")


Runs = Annotated[Path, typer.Option("--runs", envvar="FEATSTORE_RUNS", help="The folder of the runs.")]
RamBudget = Annotated[
    float,
    typer.Option("--ram-budget", min=0, help="Hold up to so many GB of vectors in memory; stream what is beyond."),
]


Run = Annotated[
    Path | None,
    typer.Option("--run", envvar="FEATSTORE_RUN", help="The run's folder (default: below runs/, named by what it is)."),
]


RunNames = Annotated[list[Path], typer.Argument(metavar="RUN..", help="Folders of runs, or their names below --runs.")]


Encoders = Annotated[
    str, typer.Option("--encoders", help="NAME:PATH, separated by commas, for encoders other than the bundled ones.")
]
Fold = Annotated[int | None, typer.Option("--fold", help="Whose model to use (default: the first trained fold).")]


def fold_dir(run: Path | None, fold: int | None) -> Path:
    from classifier.runs.config import latest_run, trained_folds

    folder = run or latest_run(RUNS)
    return folder / f"fold-{fold if fold is not None else (trained_folds(folder) or (1,))[0]}"


# These differ from command to command.
_OWN = ("features", "seed")


def with_training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of :class:`TrainConfig`; it receives them as a dictionary, ``training``.

    What was not given is None there, for the recipe to fill in.
    """
    shared = [_parameter(f) for f in fields(TrainConfig) if f.name not in _OWN]
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "training"]

    @functools.wraps(command)
    def call(**given: Any) -> None:
        command(**{p.name: given[p.name] for p in own}, training={p.name: given[p.name] for p in shared})

    parameters = [*own, *shared]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    del call.__wrapped__  # typer would look through it
    return call


def _parameter(option: Field[Any]) -> inspect.Parameter:
    """Return the option of a command that sets a field of :class:`TrainConfig`."""
    choices = option.metadata["limits"].choices
    is_recipe = option.name == "head"
    text = option.metadata["help"] if is_recipe else f"{option.metadata['help']} {_by_recipe(option)}"
    shown = typer.Option(help=text, metavar="|".join(choices) or None, rich_help_panel="Training")
    kind = get_type_hints(TrainConfig)[option.name]
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=DEFAULT_HEAD if is_recipe else None,
        annotation=Annotated[kind if is_recipe else kind | None, shown],
    )


def _by_recipe(option: Field[Any]) -> str:
    """Return the value that each recipe gives an option."""
    values = {name: str(changed.get(option.name, option.default)) for name, changed in RECIPES.items()}
    words = {"True": "yes", "False": "no"}
    if len(set(values.values())) == 1:
        return f"(default: {words.get(str(option.default), option.default)})"
    return f"({', '.join(f'{name}: {words.get(value, value)}' for name, value in values.items())})"


def given(context: typer.Context, names: Iterable[str]) -> list[str]:
    """The options among ``names`` that stand on the command line."""
    said = [name for name in names if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"]
    return ["--" + name.replace("_", "-") for name in said]
