"""Tagging of files: documents in any of the formats that are read, the same with mentions in those that can hold them.

In: a tagger and files. Out: one file, in the order of the documents, under its name only when it is whole. It streams,
goes on after a kill, and reports and skips malformed documents, as extraction does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from classifier.entities.tagger import Tagger
from classifier.entities.windows import MODES, windows
from classifier.extract.blocks import blocks
from classifier.extract.counted import CountedDocuments, open_documents, skip_done
from classifier.extract.journal import Figures, open_extraction
from classifier.extract.report import Report, Told
from classifier.extract.workers import Block, BlockWorkers, ReadSoFar, check_same_model, done_by_workers
from featstore.documents import Document
from featstore.errors import DataError, UsageError, check_choice
from featstore.files import check_output_file
from featstore.formats import FORMATS as TABLE
from featstore.formats import BadDocument, ModelFacts, Writer, writer_of
from featstore.progress import Progress
from featstore.scale.engine import Tell
from featstore.streams import is_stream

# Written formats whose documents have a place for mentions; the others hold relations alone.
FORMATS = ("jsonl", "bioc-xml", "bioc-json", "pubtator")


@dataclass(frozen=True, slots=True)
class TaggingJob:
    """What shall be tagged.

    Attributes:
        sources: the files (or, where a format is one, folders), read one after the other.
        target: where the documents go.
        source_format: the format of all sources; None: that of each is determined from its name and content.
        target_format: one of :data:`FORMATS`.
        mode: which documents are tagged: ``missing``, ``always`` or ``never``.
        fresh: begin anew, even if there is an interrupted tagging to go on with.
        strict: leave out a document in which anything is malformed, instead of the malformed part alone.
    """

    sources: Sequence[Path]
    target: Path
    source_format: str | None = None
    target_format: str = "jsonl"
    mode: str = "missing"
    fresh: bool = False
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Tagged:
    """What a tagging did.

    Attributes:
        documents: read.
        bad: documents that could not be read or written, and are not in the output.
        mentions: written, those that were there among them.
        problems: what is malformed in documents that are in the output, counted by kind.
        lost: how many of these cost something, such as a mention that was there.
        resumed_at: documents that an interrupted tagging had done before.
        seconds: wall time.
    """

    documents: int
    bad: int
    mentions: int
    problems: Mapping[str, int]
    lost: int
    resumed_at: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TagBlocks:
    """The tagging of blocks of documents (:mod:`featstore.scale.engine`).

    Attributes:
        load: loads the tagger.
        fingerprint: the tagger's, where the command runs.
        mode: which documents are tagged.
    """

    load: Callable[[], Tagger]
    fingerprint: str
    mode: str

    @contextmanager
    def worker(self, tell: Tell) -> Iterator[Callable[[Block], list[Document | BadDocument]]]:
        """Load the tagger, and return what tags a block.

        Raises:
            MismatchError: the tagger is another one there.
        """
        del tell  # an item takes seconds
        tagger = self.load()
        check_same_model(tagger.checkpoint.fingerprint, self.fingerprint)

        def tag(block: Block) -> list[Document | BadDocument]:
            return list(tagger.tag(block, self.mode))

        yield tag


def tag_files(
    tagger: Tagger,
    job: TaggingJob,
    *,
    workers: BlockWorkers[Tagger] | None = None,
    report: Report | None = None,
    progress: Progress | None = None,
) -> Tagged:
    """Find the mentions in documents and write the documents with them.

    Args:
        tagger: the tagger.
        job: what shall be tagged.
        workers: who tags, block by block; None: this process, window by window.
        report: called with each bad document, and with everything that is malformed in the others.
        progress: called with (documents done, None) after each window or block.

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
    facts = {"tagger": model.fingerprint, "to": job.target_format, "tag": job.mode, "strict": job.strict}
    documents, collection = open_documents(job.sources, job.source_format, strict=job.strict)
    with closing(open_extraction(job.target, facts, fresh=job.fresh)) as part:
        resumed_at = part.figures.documents
        skip_done(documents, part.figures, resumed_at, job.target)
        part.begin(writer.header(model, collection))
        told = Told(report, part.figures, collection if TABLE[job.target_format].collects else None)
        with closing(
            done_by_workers(workers.engine, _blocks(workers, tagger, job), documents, documents, resumed_at)
            if workers
            else _tagged_here(tagger, job.mode, documents, resumed_at)
        ) as tagged:
            for found, position in tagged:
                text, figures = _written(found, writer, model, part.figures, told)
                part.add(text, replace(figures, digest=position.digest))
                if progress:
                    progress(position.documents, None)
        part.finish(writer.footer())
    done = part.figures
    seconds = time.perf_counter() - start
    return Tagged(done.documents, done.bad, done.mentions, done.problems, done.lost, resumed_at, seconds)


def _blocks(workers: BlockWorkers[Tagger], tagger: Tagger, job: TaggingJob) -> TagBlocks:
    return TagBlocks(workers.load, tagger.checkpoint.fingerprint, job.mode)


def _tagged_here(
    tagger: Tagger, mode: str, documents: CountedDocuments, after: int
) -> Generator[tuple[list[Document | BadDocument], ReadSoFar], None, None]:
    """Yield documents with their mentions, window by window, and where in the input each window ends."""
    with tagger.encoding() as encoding:
        for block in blocks(documents, after):  # a window ends where a block does, as it does for workers
            for window in windows(block):
                yield tagger.tag_window(window, encoding, mode), ReadSoFar.of(documents)
                encoding.forget()


def _written(
    found: Sequence[Document | BadDocument], writer: Writer, model: ModelFacts, before: Figures, told: Told
) -> tuple[str, Figures]:
    """Return tagged documents as text, and the figures after them."""
    pieces: list[str] = []
    documents, mentions = before.documents, before.mentions
    for each in found:
        piece = each if isinstance(each, BadDocument) else _piece(each, writer, model)
        if isinstance(each, BadDocument) or isinstance(piece, BadDocument):
            assert isinstance(piece, BadDocument)
            told.left_out(piece)
        else:
            pieces.append((writer.separator if documents > told.bad else "") + piece)
            told.written(each, each.problems)
            mentions += len(each.entities)
        documents += 1
    figures = replace(before, documents=documents, mentions=mentions, bad=told.bad)
    return "".join(pieces), replace(figures, problems=told.problems, lost=told.lost)


def _piece(document: Document, writer: Writer, model: ModelFacts) -> str | BadDocument:
    """Return a document as text, or why its format cannot hold it."""
    try:
        return writer.document(document, (), model, None)
    except DataError as error:
        return BadDocument(document.id, document.place, str(error))
