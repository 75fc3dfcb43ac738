"""The options that commands over runs share, and those of every command that trains."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

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


def _training(
    head: Annotated[
        str, typer.Option(help="A recipe: paper (Hiai et al. 2021, eq. 1-10) or best; the options below change it.")
    ] = "paper",
    optimizer: Annotated[str | None, typer.Option(help="sgd (the paper's) or adamw.")] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate: 0.1 is the paper's for sgd, 0.001 suits adamw.")
    ] = None,
    schedule: Annotated[str | None, typer.Option(help="Of the learning rate: plateau (--patience) or cosine.")] = None,
    warmup: Annotated[float | None, typer.Option(help="Share of the steps in which the rate of cosine rises.")] = None,
    average: Annotated[float | None, typer.Option(help="Decay of the weights' moving average; 0: none.")] = None,
    consistency: Annotated[
        float | None,
        typer.Option(help="Score each batch under two dropouts that must agree, with this weight (R-Drop); 0: once."),
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of adamw.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Instances in a batch.")] = None,
    hidden: Annotated[int | None, typer.Option(help="Hidden units of each direction.")] = None,
    project: Annotated[int | None, typer.Option(help="Map wider features to so many columns first; 0: do not.")] = None,
    spans: Annotated[bool | None, typer.Option(help="Classify the entities' mean states too.")] = None,
    members: Annotated[int | None, typer.Option(help="So many heads, whose probabilities are averaged.")] = None,
    dropout: Annotated[float | None, typer.Option(help="On the inputs and before the output layer.")] = None,
    standardise: Annotated[
        bool | None, typer.Option(help="Centre and scale each input column over the training part.")
    ] = None,
    favour: Annotated[
        bool | None, typer.Option(help="At the end raise the positive labels' scores by what is best on the dev part.")
    ] = None,
    max_epochs: Annotated[int | None, typer.Option(help="At most so many epochs; with cosine just so many.")] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without improvement before plateau halves.")] = None,
    precision: Annotated[str | None, typer.Option(help="Of the matrix products: float32 or bfloat16.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of the matrix products.")] = 1,
) -> None:
    """The options of every command that trains; each is named after the field of TrainConfig that it sets."""


def with_training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of :func:`_training`; it receives them as a dictionary, ``training``.

    What was not given is None there, for the recipe to fill in.
    """
    shared = inspect.signature(_training, eval_str=True).parameters
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "training"]

    @functools.wraps(command)
    def call(**given: Any) -> None:
        command(**{p.name: given[p.name] for p in own}, training={name: given[name] for name in shared})

    parameters = [*own, *shared.values()]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    del call.__wrapped__  # typer would look through it
    return call


def given(context: typer.Context, names: Iterable[str]) -> list[str]:
    """The options among ``names`` that stand on the command line."""
    said = [name for name in names if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"]
    return ["--" + name.replace("_", "-") for name in said]
