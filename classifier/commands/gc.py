"""``cli store gc``: remove feature sets; it reads runs to know which are used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from classifier.commands.options import GB, RUNS, Runs
from featstore.addresses import spelled
from featstore.commands.console import (
    err,
    escape,
    out,
    print_json,
    size_of,
)
from featstore.commands.options import (
    AsJson,
    Commands,
    Store,
    finite,
)
from featstore.errors import UsageError

CountedRun = Annotated[
    str | None,
    typer.Option("--run", envvar="FEATSTORE_RUN", help="A run to count besides those below --runs."),
]


def store_gc(
    unreferenced: Annotated[
        bool, typer.Option("--unreferenced", help="Remove sets that none of the runs was trained on.")
    ] = False,
    older_than: Annotated[
        float | None, typer.Option(min=0, callback=finite, help="Remove sets not written to for this many days.")
    ] = None,
    quota: Annotated[
        float | None,
        typer.Option(min=0, callback=finite, help="Remove the oldest sets until the store has this many GB."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove the sets. Without it the command only lists what would be removed.")
    ] = False,
    store: Store = "features",
    runs: Runs = RUNS,
    run: CountedRun = None,
    as_json: AsJson = False,
) -> None:
    """Remove feature sets that meet all conditions given, and the leftovers of dead writers.

    --unreferenced counts every run below --runs, at any depth, and the run that --run names.
    """
    from classifier.runs.find import encoders_in_use
    from featstore.stores.maintenance.usage import collect

    counted = _counted(runs, run) if unreferenced else []
    result = collect(
        store,
        keep=encoders_in_use(counted) if unreferenced else None,
        older_than=None if older_than is None else older_than * 86400,
        quota=None if quota is None else int(quota * GB),
        dry_run=not yes,
    )
    if as_json:
        print_json(result)
        return
    for removed in result.removed:
        out.print(escape(f"{removed.path} ({size_of(removed.bytes)})"), soft_wrap=True)
    for leftover in result.leftovers:
        out.print(escape(leftover), soft_wrap=True)
    out.print(
        f"{size_of(result.freed)} {'freed' if yes else 'would be freed (add --yes)'}, {size_of(result.kept)} kept"
    )


def _counted(runs: Path, run: str | None) -> list[Path]:
    """Return the runs whose features are in use, and print them.

    Raises:
        UsageError: there is none; all features would be taken for unused.
    """
    from classifier.runs.find import find_run, list_runs

    found = list_runs(runs)
    if run is not None and (named := find_run(run, runs)) not in found:
        found.append(named)
    if not found:
        raise UsageError(
            f"there is no run below {spelled(runs)}, so every feature set would count as unreferenced. Name the folder "
            "of your runs with --runs, or leave --unreferenced out."
        )
    err.print(escape(f"runs whose features are kept: {', '.join(map(spelled, found))}"), soft_wrap=True)
    return found


COMMANDS: Commands = {"gc": store_gc}
