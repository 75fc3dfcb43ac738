"""``cli extract``: text and documents to relations."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classifier.commands.extract_model import MentionOptions, ModelOptions
from classifier.commands.extract_options import TABLE, InputOptions, OutputOptions
from classifier.commands.notices import Notices
from featstore.addresses import address_of
from featstore.commands.console import duration, out, print_json, progress_bar, show_log, tell
from featstore.commands.grouped import with_option_groups
from featstore.commands.options import AsJson, Commands
from featstore.errors import UsageError, count_of
from featstore.files import check_input
from featstore.streams import STDOUT

if TYPE_CHECKING:
    from classifier.extract import Extracted, ExtractionJob
    from featstore.formats import Writer
    from featstore.scale import Shard

STDIN = Path("-")


@with_option_groups
def extract_command(
    called: typer.Context,
    *,
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT..", help="Texts or documents, read one file after the other; - is standard input."
        ),
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="A text to read, in place of files.")] = None,
    model: ModelOptions,
    inputs: InputOptions,
    mentions: MentionOptions,
    output: OutputOptions,
) -> None:
    """Extract relations from text or documents. In documents without mentions, the mentions are found first.

    An interrupted extraction into a file goes on where it stopped.
    """
    from classifier.extract import ExtractionJob, extract_files
    from classifier.extract.report import DOCUMENT_LEFT_OUT
    from classifier.extract.workers import BlockWorkers
    from featstore.formats.plain import plain_document
    from featstore.formats.source import source_of
    from featstore.scale import open_engine

    model.check(called)
    output.check()
    mentions.check()
    documents = [] if text is None else [plain_document("text", text)]
    job = ExtractionJob(
        sources=[source_of(path) for path in _inputs(sources or [], documents)],
        target=output.place,
        source_format=inputs.source_format,
        target_format=output.format,
        wanted=output.wanted(mentions.types),
        fresh=output.fresh,
        reading=inputs.reading,
        given=documents,
        strict=inputs.strict,
        shard=output.share,
    )
    show_log()
    _note_formats(job)
    load = model.loader(called, mentions, output.format)
    extractor = load()
    tell(f"model: {extractor.facts.name}, which relates {extractor.related}")
    notices = Notices(DOCUMENT_LEFT_OUT)
    shown = job.target_format == TABLE and job.target == STDOUT  # a bar would get in the way
    with (
        open_engine(model.engine, model.workers) as engine,
        nullcontext() if shown else progress_bar("extracting", "documents") as progress,
    ):
        workers = None if engine is None else BlockWorkers(engine, load)
        done = extract_files(
            extractor, job, workers=workers, writer=_writer(job), report=notices.tell, progress=progress
        )
    if output.summarised:
        print_json(done)
    _print_done(done, job.target, mentions.tag, job.shard)
    notices.finish(done.bad, done.lost, done.problems)


def join_command(
    target: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="The output that cli extract was given with -o, in every job.")
    ],
    as_json: AsJson = False,
) -> None:
    """Join the outputs of all jobs of cli extract --shard into one, which is what a single job would have written."""
    from classifier.extract.join import join_shards
    from classifier.extract.report import DOCUMENT_LEFT_OUT

    done = join_shards(target)
    if as_json:
        print_json(done)
    _print_done(done, target)
    tell(f"the files {target}.*-of-* are no longer needed.")
    Notices(DOCUMENT_LEFT_OUT).finish(done.bad, done.lost, done.problems)


def _inputs(sources: Sequence[Path], documents: Sequence[object]) -> Sequence[Path]:
    """Return the files to read, all of which are there."""
    if not sources and not documents:
        raise UsageError('nothing to read was given; give files, - for standard input, or --text "..".')
    if sources.count(STDIN) > 1:
        raise UsageError("standard input (-) is named twice; it can be read once.")
    for source in sources:
        if source != STDIN:
            check_input(source)
    return sources


def _writer(job: ExtractionJob) -> Writer | None:
    """Return the writer of tables; None: the format has one of its own."""
    from classifier.commands.relations import RelationTable

    if job.target_format != TABLE:
        return None
    to_terminal = job.target == STDOUT and out.is_terminal
    return RelationTable(out.width if to_terminal else 120, colour=to_terminal and not out.no_color)


def _note_formats(job: ExtractionJob) -> None:
    """Say what of the inputs is not read, and what has no room in the output."""
    from classifier.extract.files import PAIRS
    from featstore.formats import FORMATS
    from featstore.formats.table import format_of

    if job.source_format != PAIRS:
        for name in dict.fromkeys(format_of(source, job.source_format, job.reading) for source in job.sources):
            if skipped := FORMATS[name].skips:
                tell(f"{name}: {skipped}")
    written = job.target_format
    if job.wanted.explain and written != TABLE and not FORMATS[written].explains:
        able = [TABLE, *(name for name, entry in FORMATS.items() if entry.explains)]
        tell(f"{written} has no room for what --explain adds; these have: {', '.join(able)}")


def _print_done(done: Extracted, place: Path, tag: str = "", shard: Shard | None = None) -> None:
    """Say what was done; why documents have no relations; how the types of their mentions were understood."""
    from classifier.extract.shards import shard_file

    resumed = f" ({done.resumed_at:,} before)" if done.resumed_at else ""
    file = shard_file(place, shard) if shard else place
    where = "stdout" if place == STDOUT else address_of(file) or file
    of = f"shard {shard}: " if shard else ""
    tell(
        f"{of}{count_of(done.documents, 'document')}{resumed}, {count_of(done.pairs, 'pair')}, "
        f"{count_of(done.relations, 'relation')} -> {where}, "
        f"{duration(done.seconds)}"
    )
    if done.unread:
        tell(
            f"not read: {count_of(done.unread, 'sentence')}, which can hardly hold a pair of the model's types; "
            "--sentences all reads every sentence"
        )
    for reason, count in done.nothing.items():
        hint = "; --tag missing would look for them" if reason == "no mentions" and tag == "never" else ""
        tell(f"without a relation: {count_of(count, 'document')}, {reason}{hint}")
    read = [f"{name} as {known}" for name, known in done.types.items() if known and name.upper() != known]
    if read:
        tell(f"types: {', '.join(read)}")
    other = [name for name, known in done.types.items() if not known]
    if other and done.nothing:
        tell(f"types that the model does not pair: {', '.join(other)}; say with --types NAME=TYPE what is meant by one")


COMMANDS: Commands = {"extract": extract_command, "join": join_command}
