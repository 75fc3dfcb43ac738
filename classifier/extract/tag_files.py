"""Tagging of files: documents in any of the formats that are read, the same with mentions in those that can hold them.

In: a tagger and files. Out: one file, in the order of the documents, under its name only when it is whole. It streams,
goes on after a kill, and tells bad documents and passes over them, as extraction does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from classifier.entities.tagger import MODES, Tagger, windows
from classifier.extract.counted import CountedDocuments, skip_done
from classifier.extract.files import Report
from classifier.extract.journal import open_extraction
from featstore.errors import DataError, UsageError
from featstore.files import check_output_file, is_stream
from featstore.formats import BadDocument, ModelFacts, Writer, read_documents, writer_of
from featstore.progress import Progress
from featstore.records import Document, check_choice

# Written formats whose documents have a place for mentions; the others hold relations alone.
FORMATS = ("jsonl", "bioc-xml", "bioc-json", "pubtator")


@dataclass(frozen=True, slots=True)
class TaggingJob:
    """What shall be tagged.

    Attributes:
        sources: the files (or, where a format is one, folders), read one after the other.
        target: where the documents go.
        source_format: the format of all sources; None: of each what can be told from it.
        target_format: one of :data:`FORMATS`.
        mode: which documents are tagged: ``missing``, ``always`` or ``never``.
        fresh: begin anew, even if there is an interrupted tagging to go on with.
    """

    sources: Sequence[Path]
    target: Path
    source_format: str | None = None
    target_format: str = "jsonl"
    mode: str = "missing"
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Tagged:
    """What a tagging did.

    Attributes:
        documents: read.
        bad: documents that could not be read or written, and are not in the output.
        mentions: written, those that were there among them.
        resumed_at: documents that an interrupted tagging had done before.
        seconds: wall time.
    """

    documents: int
    bad: int
    mentions: int
    resumed_at: int
    seconds: float


def tag_files(
    tagger: Tagger, job: TaggingJob, *, report: Report | None = None, progress: Progress | None = None
) -> Tagged:
    """Find the mentions in documents and write the documents with them.

    Args:
        tagger: the tagger.
        job: what shall be tagged.
        report: called with each bad document.
        progress: called with (documents done, None) after each window.

    Raises:
        UsageError: an unknown format or mode, or a format that has no place for mentions.
        MissingFileError, DataError: a source that is not there, or not of its format.
        MismatchError: the documents have changed since the tagging was interrupted.
        ResourceError: the output cannot be written.
    """
    start = time.perf_counter()
    check_choice("the mode of tagging", job.mode, MODES)
    check_choice("the output format of documents with mentions", job.target_format, FORMATS)
    check_output_file(job.target)
    if not is_stream(job.target) and any(source.resolve() == job.target.resolve() for source in job.sources):
        raise UsageError(f"{job.target} is input and output; name another file with -o.")
    writer = writer_of(job.target_format)
    model = ModelFacts(tagger.name, tagger.checkpoint.fingerprint, ())
    facts = {"tagger": model.fingerprint, "to": job.target_format, "tag": job.mode}
    documents = CountedDocuments(chain.from_iterable([read_documents(s, job.source_format) for s in job.sources]))
    with closing(open_extraction(job.target, facts, fresh=job.fresh)) as part, tagger.encoding() as encoding:
        resumed_at = part.figures.documents
        skip_done(documents, part.figures, job.target)
        part.begin(writer.header(model))
        for window in windows(documents):
            figures, pieces = part.figures, []
            for found in tagger.tag_window(window, encoding, job.mode):
                piece = found if isinstance(found, BadDocument) else _piece(found, writer, model)
                if isinstance(piece, BadDocument):
                    figures = replace(figures, documents=figures.documents + 1, bad=figures.bad + 1)
                    if report:
                        report(piece)
                    continue
                assert isinstance(found, Document)
                pieces.append((writer.separator if figures.documents > figures.bad else "") + piece)
                count = figures.mentions + len(found.entities)
                figures = replace(figures, documents=figures.documents + 1, mentions=count)
            encoding.forget()
            part.add("".join(pieces), replace(figures, digest=documents.digest))
            if progress:
                progress(documents.count, None)
        part.finish(writer.footer())
    done = part.figures
    return Tagged(done.documents, done.bad, done.mentions, resumed_at, time.perf_counter() - start)


def _piece(document: Document, writer: Writer, model: ModelFacts) -> str | BadDocument:
    """Return a document as text, or why its format cannot hold it."""
    try:
        return writer.document(document, (), model, None)
    except DataError as error:
        return BadDocument(document.id, "", str(error))
