"""``cli ablate``: a grid of trainings and its report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from classifier.commands.options import (
    GB,
    RUNS,
    RamBudget,
    Runs,
    check_features,
    with_runs_found,
    with_training_options,
)
from featstore.addresses import spelled
from featstore.commands.console import (
    err,
    escape,
    out,
    print_json,
    print_table,
    show_log,
)
from featstore.commands.options import (
    AsJson,
    Commands,
    Corpus,
    EngineName,
    Instances,
    Store,
    given,
)
from featstore.errors import UsageError
from featstore.files import check_output_folder, read_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from classifier.ablate import CellEvent
    from classifier.ablate.ablation import Ablation
    from classifier.ablate.grid import Grid, RowPlan


@with_training_options
def ablate_command(
    training: dict[str, Any],
    called: typer.Context,
    features: Annotated[
        str, typer.Option(help="Combinations of features to compare, separated by semicolons.")
    ] = "glove; glove+cse; glove+elmo; glove+cse+elmo",
    systems: Annotated[
        str,
        typer.Option(
            help="Systems to compare in place of --features, separated by semicolons: 'head:glove+cse; bert:DIR; spinn "
            "trees=FILE; svm'. Behind a name, OPTION=VALUE sets an option of `cli train --system NAME`."
        ),
    ] = "",
    all_subsets: Annotated[
        bool, typer.Option("--all-subsets", help="Compare every subset of --encoders in place of --features.")
    ] = False,
    encoders: Annotated[
        str, typer.Option(help="Encoders for --all-subsets. By default they are all in the store, without views.")
    ] = "",
    corpus: Corpus = "sample",
    instances: Instances = None,
    folds: Annotated[str, typer.Option(help="Folds to train and evaluate: all, or numbers such as 1,2,3.")] = "all",
    seeds: Annotated[
        str, typer.Option(help="Number of seeds (3 means the seeds 1, 2 and 3), or the seeds themselves: 1,5,7.")
    ] = "1",
    indicators: Annotated[
        str,
        typer.Option(
            envvar="FEATSTORE_INDICATORS",
            help="How pairs are marked: one or several of tags, replace and blind, separated by commas.",
        ),
    ] = "tags",
    contexts: Annotated[
        str,
        typer.Option(
            envvar="FEATSTORE_CONTEXT", help="What the encoders see: tagged, sentence or both, separated by commas."
        ),
    ] = "tagged",
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of processes, which train one cell at a time each. By default it is this process alone; with "
            "--engine ray there is one for each core of the cluster.",
        ),
    ] = None,
    engine: EngineName = "local",
    store: Store = "features",
    runs: Runs = RUNS,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder or address for the report.")] = Path("ablation"),
    ram_budget: RamBudget = 4.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which cells would be run, and run none.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train and evaluate a grid of combinations, cell by cell, and report on it (HTML, Markdown, CSV, JSON).

    Every cell is a run as `cli train` makes it; what is complete is not run again. --head takes several heads,
    separated by commas. A cell that fails is reported, and the others are run (exit code 3). All processes of a
    machine share the memory budget.
    """
    from classifier.ablate import ablate
    from classifier.ablate import grid as grids
    from classifier.ablate.ablation import summarise_grid
    from classifier.ablate.publish import write_report
    from classifier.systems.words import split_systems
    from featstore.scale import open_engine

    show_log()
    check_output_folder(out_folder, or_address=True)
    check_output_folder(runs, or_address=True)
    if systems and (clashing := given(called, ("features", "all_subsets"))):
        raise UsageError(f"--systems names what is compared; leave {' and '.join(clashing)} out.")
    heads, others = split_systems(systems)
    if all_subsets:
        combinations = grids.all_subsets(_words(encoders) if encoders else grids.featurized(store))
    else:
        combinations = grids.split_features(";".join(heads) if systems else features)
    grid = grids.Grid(
        features=combinations,
        systems=others,
        folds=grids.folds(folds, corpus, instances),
        seeds=grids.seeds(seeds),
        indicators=_words(indicators),
        contexts=_words(contexts),
        heads=_words(training.pop("head")),
        corpus=corpus,
        instances=instances,
        options=with_runs_found(training, runs),
    )
    check_features(grid.features, store)
    if dry_run:
        _print_plan(grids.plan(grid, runs), as_json)
        return
    with open_engine(engine, jobs) as opened, grid_progress(grid) as progress:
        events = ablate(grid, store, runs, engine=opened, ram_budget=int(ram_budget * GB), progress=progress)
    ablation = summarise_grid(grid, events, store, runs)
    write_report(ablation, store, out_folder, "cli " + shlex.join(sys.argv[1:]))
    _report(ablation, out_folder, as_json)


def _report(ablation: Ablation, out_folder: Path, as_json: bool) -> None:
    """Print the report and say where it lies; exit with 3 if a cell failed."""
    from classifier.ablate.publish import HTML, JSON

    if as_json:
        sys.stdout.write(read_text(out_folder / JSON, ", though the report is written."))
    else:
        _print_ablation(ablation)
    err.print(escape(f"report: {spelled(out_folder / HTML)}"), soft_wrap=True)
    if ablation.failed:
        err.print("some cells failed; running the command again tries them again.")
        raise typer.Exit(3)


def _words(text: str) -> tuple[str, ...]:
    """Return what a list separated by commas names."""
    return tuple(word.strip() for word in text.split(","))


def _print_plan(plan: list[RowPlan], as_json: bool) -> None:
    if as_json:
        print_json(plan)
        return
    print_table(
        "Plan (nothing was run)",
        ["row", "cells", "complete", "to run"],
        [[p.name, str(p.cells), str(p.complete), str(p.cells - p.complete)] for p in plan],
    )


def _print_ablation(ablation: Ablation) -> None:
    from classifier.ablate.tables import tables
    from classifier.ablate.verdict import verdict

    for table in tables(ablation):
        print_table(table.title, list(table.header), [list(row) for row in table.rows])
    for sentence in verdict(ablation):
        out.print(escape(sentence), soft_wrap=True)


@contextmanager
def grid_progress(grid: Grid) -> Iterator[Callable[[CellEvent], None]]:
    """Yield a callback that shows where a grid stands: a live table on a terminal, a line a finished cell elsewhere."""
    from classifier.ablate.board import HEADER, Board

    board = Board(grid)
    if not err.is_terminal:

        def on_log(event: CellEvent) -> None:
            if line := board.update(event):
                err.print(escape(line), soft_wrap=True)

        yield on_log
        return
    from rich.live import Live

    def table() -> Table:
        drawn = Table(*HEADER)
        for line in board.lines():
            drawn.add_row(*map(escape, line))
        return drawn

    with Live(table(), console=err, refresh_per_second=4) as live:

        def on_terminal(event: CellEvent) -> None:
            board.update(event)
            live.update(table())

        yield on_terminal


COMMANDS: Commands = {"ablate": ablate_command}
