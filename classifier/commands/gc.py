"""``cli store gc``: remove feature sets; it reads runs to know which are used."""

from __future__ import annotations

from typing import Annotated

import typer

from classifier.commands.options import (
    RUNS,
)
from featstore.commands.console import (
    escape,
    out,
    print_json,
    size_of,
)
from featstore.commands.options import (
    AsJson,
    Commands,
    Store,
)


def store_gc(
    unreferenced: Annotated[bool, typer.Option(help="Sets that no run below runs/ was trained on.")] = False,
    older_than: Annotated[float | None, typer.Option(help="Sets not written to for so many days.")] = None,
    quota: Annotated[float | None, typer.Option(help="The oldest sets, until the store takes so many GB.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it the command says what would go.")] = False,
    store: Store = "features",
    as_json: AsJson = False,
) -> None:
    """Remove feature sets that meet all conditions given, and what dead writers left behind."""
    from classifier.runs.config import encoders_in_use
    from featstore.stores.usage import collect

    result = collect(
        store,
        keep=encoders_in_use(RUNS) if unreferenced else None,
        older_than=None if older_than is None else older_than * 86400,
        quota=None if quota is None else int(quota * 1e9),
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


COMMANDS: Commands = {"gc": store_gc}
