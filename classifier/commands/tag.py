"""``cli entities tag``: documents in, documents with the mentions that a tagger finds in them out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from classifier.commands.notices import Notices
from classifier.commands.options import Encoders, Threads, VectorStore
from featstore.addresses import address_of
from featstore.commands.console import duration, print_json, progress_bar, show_log, tell
from featstore.commands.options import EncoderDevice, EngineName, encoder_specs
from featstore.errors import count_of
from featstore.files import check_input, check_output_file


def tag_command(
    sources: Annotated[list[Path], typer.Argument(metavar="INPUT..", help="Documents, read one file after the other.")],
    target: Annotated[Path, typer.Option("-o", "--output", help="Where the documents with mentions go; - is stdout.")],
    tagger: Annotated[
        Path | None, typer.Option("--tagger", help="Folder of a tagger. By default the one that comes with featstore.")
    ] = None,
    source_format: Annotated[
        str | None,
        typer.Option(
            "--format", help="Format of the inputs. By default it is recognised by each file's name and content."
        ),
    ] = None,
    target_format: Annotated[str, typer.Option("--to", help="Format of the output.")] = "jsonl",
    tag: Annotated[
        str,
        typer.Option(help="Documents to tag: missing (those without mentions), always (all of them) or never."),
    ] = "missing",
    encoders: Encoders = "",
    store: VectorStore = None,
    threads: Threads = 1,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of processes that tag, each with a tagger of its own. By default it is this process alone; "
            "with --engine ray there is one for each core of the cluster.",
        ),
    ] = None,
    engine: EngineName = "local",
    device: EncoderDevice = "cpu",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Leave out a document in which anything is malformed, instead of the malformed mention alone.",
        ),
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew instead of going on where an interrupted command stopped.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON on stdout.")] = False,
) -> None:
    """Find the mentions in documents and write the documents with them."""
    from classifier.entities.tagger import Tagger
    from classifier.extract.report import DOCUMENT_LEFT_OUT
    from classifier.extract.tag_files import TaggingJob, tag_files
    from classifier.extract.workers import BlockWorkers
    from featstore.scale import open_engine

    show_log()
    for source in sources:
        check_input(source)
    check_output_file(target)
    specs = encoder_specs(encoders) if encoders else []
    load = partial(Tagger.load, tagger, encoders=specs, store=store, threads=threads, device=device)
    loaded = load()
    job = TaggingJob(sources, target, source_format, target_format, tag, fresh, strict)
    notices = Notices(DOCUMENT_LEFT_OUT)
    with open_engine(engine, workers) as opened, progress_bar("tagging", "documents") as progress:
        shared = None if opened is None else BlockWorkers(opened, load)
        done = tag_files(loaded, job, workers=shared, report=notices.tell, progress=progress)
    if as_json:
        print_json(done)
    found = f"{count_of(done.documents, 'document')}, {count_of(done.mentions, 'mention')}"
    tell(f"{found} -> {address_of(target) or target}, {duration(done.seconds)}")
    notices.finish(done.bad, done.lost, done.problems)
