"""``cli extract`` and ``cli bundle``: new documents to relations, and a model to give away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classifier.commands.options import (
    RUNS,
    Encoders,
    Fold,
    Run,
    Runs,
    fold_dir,
    given,
)
from featstore.commands.console import (
    command,
    duration,
    err,
    escape,
    print_json,
    print_table,
    progress_bar,
    size_of,
    tell,
)
from featstore.commands.options import (
    AsJson,
    Commands,
    EncoderDevice,
    encoder_specs,
    finite,
    one_of,
)
from featstore.errors import UsageError
from featstore.files import STDOUT, check_input, check_output_file, check_output_folder

if TYPE_CHECKING:
    from classifier.extract import Extracted
    from featstore.formats import BadDocument


def _readable() -> tuple[str, ...]:
    from classifier.extract.files import PAIRS
    from featstore.formats.table import readable

    return (*readable(), PAIRS)


def _writable() -> tuple[str, ...]:
    from featstore.formats.table import writable

    return tuple(writable())


def extract_command(
    called: typer.Context,
    sources: Annotated[
        list[Path], typer.Argument(metavar="INPUT..", help="Documents with entities, read one file after the other.")
    ],
    target: Annotated[Path, typer.Option("-o", "--output", help="Where the relations go.")],
    run: Run = None,
    runs: Runs = RUNS,
    fold: Fold = None,
    model: Annotated[Path | None, typer.Option(help="A model bundle (cli bundle) instead of a run.")] = None,
    source_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            callback=one_of(_readable),
            help="Format of the inputs. By default each file's is told from its name and content.",
        ),
    ] = None,
    target_format: Annotated[
        str, typer.Option("--to", callback=one_of(_writable), help="Format of the output, such as jsonl, tsv or brat.")
    ] = "jsonl",
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            callback=finite,
            help="Keep relations of at least this probability. By default a relation is kept if it is more probable "
            "than no relation.",
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Keep only this many relations of each document, the most probable ones.")
    ] = None,
    max_distance: Annotated[
        int | None, typer.Option(min=0, help="Consider pairs with at most this many tokens between the mentions.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Add the attention on each token.")] = False,
    types: Annotated[
        str,
        typer.Option(help="Names of types that are not known, as NAME=TYPE,..: DRUG=CHEMICAL. Synonyms are known."),
    ] = "",
    encoders: Encoders = "",
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            envvar="FEATSTORE_STORE",
            help="Store to read vectors from and to keep new ones in. By default they are held in memory only.",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Number of threads of the matrix products.")] = 1,
    device: EncoderDevice = "cpu",
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, not where an interrupted one stopped.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON on stdout.")] = False,
) -> None:
    """Extract relations from documents, encoding on the way; an interrupted extraction goes on where it stopped."""
    from classifier.extract import ExtractionJob, extract_files
    from classifier.extract.extractor import Extractor
    from classifier.extract.wanted import Wanted
    from featstore.types import read_types

    if model and (clashing := given(called, ("run", "fold"))):
        raise UsageError(f"--model {model} is a whole model; leave {' and '.join(clashing)} out.")
    if as_json and target == STDOUT:
        raise UsageError("-o - and --json both write to stdout; leave one of them out.")
    if model:
        check_input(model)
    for source in sources:
        check_input(source)
    check_output_file(target)
    renamed = tuple(read_types(types).items())
    wanted = Wanted(threshold, top, max_distance, explain, renamed)
    job = ExtractionJob(sources, target, source_format, target_format, wanted, fresh)
    specs = encoder_specs(encoders) if encoders else []
    extractor = Extractor.load(
        model or fold_dir(run, runs, fold), encoders=specs, store=store, threads=threads, device=device
    )
    with progress_bar("extracting", "documents") as progress:
        done = extract_files(extractor, job, report=_report_bad, progress=progress)
    if as_json:
        print_json(done)
    resumed = f" ({done.resumed_at:,} before)" if done.resumed_at else ""
    err.print(
        f"{done.documents:,} documents{resumed}, {done.pairs:,} pairs, {done.relations:,} relations -> "
        f"{escape(str(target))}, {duration(done.seconds)}",
        soft_wrap=True,
    )
    _print_why(done)
    if done.bad:
        err.print(f"{done.bad:,} documents were bad and are not in the output.")
        raise typer.Exit(3)


def _print_why(done: Extracted) -> None:
    """Say why documents have no relations, and how the types of their mentions were understood."""
    for reason, count in done.nothing.items():
        err.print(f"without a relation: {count:,} documents, {reason}")
    read = [f"{escape(name)} as {known}" for name, known in done.types.items() if known and name.upper() != known]
    if read:
        err.print(f"types: {', '.join(read)}", soft_wrap=True)
    other = [escape(name) for name, known in done.types.items() if not known]
    if other and done.nothing:
        err.print(
            f"types that the model does not pair: {', '.join(other)}; name one that it does with --types NAME=TYPE",
            soft_wrap=True,
        )


def _report_bad(bad: BadDocument) -> None:
    where = f"{bad.where}: " if bad.where else ""
    err.print(f"[bold]skipped[/] {escape(where)}document '{escape(bad.id)}': {escape(bad.why)}", soft_wrap=True)


def bundle_command(
    target: Annotated[Path, typer.Option("-o", "--output", help="The bundle's folder.")],
    run: Run = None,
    runs: Runs = RUNS,
    fold: Fold = None,
    encoders: Encoders = "",
    with_encoders: Annotated[
        bool, typer.Option("--with-encoders/--without-encoders", help="Copy the encoders, or name their identity only.")
    ] = True,
    licence: Annotated[str, typer.Option(help="Of the model, for its card: an SPDX name.")] = "other",
    as_json: AsJson = False,
) -> None:
    """Write one folder with a trained model, its encoders and its card, to use or to give away."""
    from classifier.extract.bundle import write_bundle

    check_output_folder(target)
    specs = encoder_specs(encoders) if encoders else []
    files = write_bundle(
        fold_dir(run, runs, fold), target, encoders=specs, with_encoders=with_encoders, licence=licence
    )
    if as_json:
        print_json(files)
        return
    print_table(str(target), ["file", "size"], [[name, size_of(size)] for name, size in files.items()])
    tell(f"use it with: {command('extract', '--model', target)} INPUT -o OUT")


COMMANDS: Commands = {"extract": extract_command, "bundle": bundle_command}
