"""``cli bundle``: a model to give away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from classifier.commands.options import (
    RUNS,
    Encoders,
    Fold,
    Run,
    Runs,
    fold_dir,
)
from featstore.addresses import spelled
from featstore.commands.console import (
    command,
    print_json,
    print_table,
    size_of,
    tell,
)
from featstore.commands.options import (
    AsJson,
    Commands,
    encoder_specs,
)
from featstore.files import check_output_folder


def bundle_command(
    target: Annotated[Path, typer.Option("-o", "--output", help="The bundle's folder or its address.")],
    run: Run = None,
    runs: Runs = RUNS,
    fold: Fold = None,
    encoders: Encoders = "",
    with_encoders: Annotated[
        bool, typer.Option("--with-encoders/--without-encoders", help="Copy the encoders, or name their identity only.")
    ] = True,
    licence: Annotated[str, typer.Option(help="Licence of the model as an SPDX name, for its card.")] = "other",
    as_json: AsJson = False,
) -> None:
    """Write one folder with a trained model, its encoders and its card, to use or to give away."""
    from classifier.extract.bundle import write_bundle

    check_output_folder(target, or_address=True)
    specs = encoder_specs(encoders) if encoders else []
    files = write_bundle(
        fold_dir(run, runs, fold), target, encoders=specs, with_encoders=with_encoders, licence=licence
    )
    if as_json:
        print_json(files)
        return
    print_table(spelled(target), ["file", "size"], [[name, size_of(size)] for name, size in files.items()])
    tell(f"use it with: {command('extract', '--model', spelled(target))} INPUT -o OUT")


COMMANDS: Commands = {"bundle": bundle_command}
