"""``cli extract``: text and documents to relations."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classifier.commands.notices import Notices
from classifier.commands.options import (
    RUNS,
    Encoders,
    Fold,
    Runs,
    fold_dir,
    given,
)
from featstore.commands.console import (
    duration,
    out,
    print_json,
    progress_bar,
    tell,
)
from featstore.commands.options import (
    Commands,
    EncoderDevice,
    encoder_specs,
    finite,
    one_of,
)
from featstore.errors import UsageError
from featstore.files import STDOUT, check_input, check_output_file, check_readable_folder

if TYPE_CHECKING:
    from classifier.extract import Extracted
    from featstore.formats import Reading, Writer

TABLE = "table"
STDIN = Path("-")


def _readable() -> tuple[str, ...]:
    from classifier.extract.files import PAIRS
    from featstore.formats.table import readable

    return (*readable(), PAIRS)


def _writable() -> tuple[str, ...]:
    from featstore.formats.table import writable

    return (TABLE, *writable())


def _modes() -> tuple[str, ...]:
    from classifier.entities.tagger import MODES

    return MODES


def extract_command(
    called: typer.Context,
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT..", help="Texts or documents, read one file after the other; - is standard input."
        ),
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="A text to read, in place of files.")] = None,
    target: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where the relations go. By default they go to stdout.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            help="The model: a folder that cli bundle made, or the name of one that comes with featstore (cli models "
            "ls). By default it is chemprot, unless a run is named.",
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", envvar="FEATSTORE_RUN", help="Use the model of a run: its folder, or its name below --runs."
        ),
    ] = None,
    runs: Runs = RUNS,
    fold: Fold = None,
    source_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            callback=one_of(_readable),
            help="Format of the inputs: jsonl, bioc-xml, bioc-json, pubtator, brat, chemprot, pubmed-xml, medline, "
            "jats, csv, tsv, text or pairs. By default the format of each is told from its name and content.",
            rich_help_panel="Input",
        ),
    ] = None,
    lines: Annotated[
        bool,
        typer.Option("--lines", help="Each line of plain text is a document, not each file.", rich_help_panel="Input"),
    ] = False,
    text_column: Annotated[
        list[str] | None,
        typer.Option(
            "--text-column",
            help="Column of a table that holds the text; repeat it for several. By default it is text, sentence, or "
            "title and abstract.",
            rich_help_panel="Input",
        ),
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(
            "--id-column",
            help="Column of a table that holds the ids. By default id or pmid, or else rows are numbered.",
            rich_help_panel="Input",
        ),
    ] = None,
    tag: Annotated[
        str,
        typer.Option(
            "--tag",
            callback=one_of(_modes),
            help="Find the mentions of documents that have none (missing), of all documents, beside those that are "
            "there (always), or of no document (never).",
            rich_help_panel="Mentions",
        ),
    ] = "missing",
    tagger: Annotated[
        Path | None,
        typer.Option(
            "--tagger",
            help="Folder of a tagger. By default it is the one that comes with featstore.",
            rich_help_panel="Mentions",
        ),
    ] = None,
    types: Annotated[
        str,
        typer.Option(
            "--types",
            help="Names of types that are not known, as NAME=TYPE,..: DRUG=CHEMICAL. Synonyms are known.",
            rich_help_panel="Mentions",
        ),
    ] = "",
    target_format: Annotated[
        str | None,
        typer.Option(
            "--to",
            callback=one_of(_writable),
            help="Format of the output: table, jsonl, tsv, html, bioc-xml, bioc-json, pubtator or chemprot. By default "
            "it is told from the name of the output; on a terminal it is a table, and elsewhere jsonl.",
            rich_help_panel="Output",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            callback=finite,
            help="Keep relations of at least this probability. By default a relation is kept if it is more probable "
            "than no relation.",
            rich_help_panel="Output",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Keep only this many relations of each document, the most probable ones.",
            rich_help_panel="Output",
        ),
    ] = None,
    max_distance: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Consider pairs with at most this many tokens between the mentions.",
            rich_help_panel="Output",
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add the attention on each token.", rich_help_panel="Output")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Leave out a document in which anything is not right, instead of that mention alone.",
            rich_help_panel="Input",
        ),
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Begin anew, not where an interrupted one stopped.", rich_help_panel="Output"),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print a summary as JSON on stdout; without -o print the relations, a document a line.",
            rich_help_panel="Output",
        ),
    ] = False,
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
) -> None:
    """Extract relations from text or documents. Mentions that are not there are found first.

    An interrupted extraction into a file goes on where it stopped.
    """
    from classifier.extract import ExtractionJob, extract_files
    from classifier.extract.extractor import Extractor
    from classifier.extract.models import model_folder
    from classifier.extract.report import DOCUMENT_LEFT_OUT
    from classifier.extract.wanted import Wanted
    from featstore.formats import Reading
    from featstore.formats.plain import plain_document
    from featstore.formats.source import source_of
    from featstore.types import read_types

    if model and (clashing := given(called, ("run", "fold"))):
        raise UsageError(f"--model {model} is a whole model; leave {' and '.join(clashing)} out.")
    if as_json and target == STDOUT:
        raise UsageError("-o - and --json both write to stdout; leave one of them out.")
    documents = [] if text is None else [plain_document("text", text)]
    inputs = _inputs(sources or [], documents)
    place = target or STDOUT
    check_output_file(place)
    written = target_format or _format_of(target, as_json=as_json)
    wanted = Wanted(threshold, top, max_distance, explain, tuple(read_types(types).items()))
    reading = Reading(lines, tuple(text_column or ()), id_column)
    job = ExtractionJob(
        [source_of(path) for path in inputs], place, source_format, written, wanted, fresh, reading, documents, strict
    )
    _note_formats(job.sources, source_format, reading, written, explain=explain)
    if tagger is not None:  # it is loaded only when a document needs it
        check_readable_folder(tagger)
        check_input(tagger)
    of_run = model is None and (run is not None or bool(given(called, ("runs", "fold"))))
    extractor = Extractor.load(
        fold_dir(run, runs, fold) if of_run else model_folder(model),
        encoders=encoder_specs(encoders) if encoders else [],
        store=store,
        threads=threads,
        device=device,
        tag=tag,
        tagger=tagger,
    )
    tell(f"model: {extractor.facts.name}, which relates {extractor.related}")
    notices = Notices(DOCUMENT_LEFT_OUT)
    shown = written == TABLE and place == STDOUT  # a bar would get in the way
    with nullcontext() if shown else progress_bar("extracting", "documents") as progress:
        done = extract_files(extractor, job, writer=_writer(written, place), report=notices.tell, progress=progress)
    if as_json and target:
        print_json(done)
    _print_done(done, place, tag)
    notices.finish(done.bad, done.lost, done.problems)


def _inputs(sources: Sequence[Path], documents: Sequence[object]) -> Sequence[Path]:
    """Return the files to read, all of which are there."""
    if not sources and not documents:
        raise UsageError('nothing to read is named; give files, - for standard input, or --text "..".')
    if sources.count(STDIN) > 1:
        raise UsageError("standard input (-) is named twice; it can be read once.")
    for source in sources:
        if source != STDIN:
            check_input(source)
    return sources


def _format_of(target: Path | None, *, as_json: bool) -> str:
    """Return the format of an output that was not named."""
    from featstore.formats import FORMATS

    if target is not None:
        suffixes = {suffix: name for name, entry in FORMATS.items() if entry.writes for suffix in entry.suffixes}
        return suffixes.get(target.suffix.lower(), "jsonl")
    return TABLE if sys.stdout.isatty() and not as_json else "jsonl"


def _writer(written: str, place: Path) -> Writer | None:
    """Return the writer of tables; None: the format has one of its own."""
    from classifier.commands.relations import RelationTable

    if written != TABLE:
        return None
    to_terminal = place == STDOUT and out.is_terminal
    return RelationTable(out.width if to_terminal else 120, colour=to_terminal and not out.no_color)


def _note_formats(
    sources: Sequence[Path], source_format: str | None, reading: Reading, written: str, *, explain: bool
) -> None:
    """Say what of the inputs is not read, and what has no room in the output."""
    from classifier.extract.files import PAIRS
    from featstore.formats import FORMATS
    from featstore.formats.table import format_of

    if source_format != PAIRS:
        for name in dict.fromkeys(format_of(source, source_format, reading) for source in sources):
            if skipped := FORMATS[name].skips:
                tell(f"{name}: {skipped}")
    if explain and written != TABLE and not FORMATS[written].explains:
        able = [TABLE, *(name for name, entry in FORMATS.items() if entry.explains)]
        tell(f"{written} has no room for what --explain adds; these have: {', '.join(able)}")


def _print_done(done: Extracted, place: Path, tag: str) -> None:
    """Say what was done; why documents have no relations; how the types of their mentions were understood."""
    resumed = f" ({done.resumed_at:,} before)" if done.resumed_at else ""
    where = "stdout" if place == STDOUT else place
    tell(
        f"{_count(done.documents, 'document')}{resumed}, {_count(done.pairs, 'pair')}, "
        f"{_count(done.relations, 'relation')} -> {where}, "
        f"{duration(done.seconds)}"
    )
    for reason, count in done.nothing.items():
        hint = "; --tag missing would look for them" if reason == "no mentions" and tag == "never" else ""
        tell(f"without a relation: {_count(count, 'document')}, {reason}{hint}")
    read = [f"{name} as {known}" for name, known in done.types.items() if known and name.upper() != known]
    if read:
        tell(f"types: {', '.join(read)}")
    other = [name for name, known in done.types.items() if not known]
    if other and done.nothing:
        tell(f"types that the model does not pair: {', '.join(other)}; say with --types NAME=TYPE what is meant by one")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


COMMANDS: Commands = {"extract": extract_command}
