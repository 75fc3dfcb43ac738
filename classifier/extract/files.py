"""Extraction from files: documents in any of the formats that are read, relations in any that are written.

In: a model and files. Out: one file, in the order of the documents, under its name only when it is whole. It streams:
memory does not grow with the number of documents. Malformed documents are reported and skipped. An extraction that was
interrupted goes on at the end of the last window that was written; the documents before are read again, and must be
those that were read then.

Sentences with marked pairs (``pairs``, :mod:`featstore.corpora.jsonl`) are classified as they stand: each of them gets
a line, whatever its label.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from classifier.extract.counted import CountedDocuments, open_documents, skip_done
from classifier.extract.extractor import Extractor
from classifier.extract.journal import Figures, Output, open_extraction
from classifier.extract.reasons import UNLIKE_THE_MODEL
from classifier.extract.report import Report, Told, refused
from classifier.extract.shards import ShardFile, input_position, own_documents
from classifier.extract.standing import Standing
from classifier.extract.wanted import Extraction, Wanted
from classifier.extract.workers import BlockWorkers, ExtractBlocks, ReadSoFar, done_by_workers
from featstore.addresses import address_of
from featstore.corpora import jsonl
from featstore.documents import Document
from featstore.errors import DataError, UsageError
from featstore.files import check_input, check_output_file, write_file
from featstore.formats import FORMATS, BadDocument, ModelFacts, Writer, count_documents, writer_of
from featstore.formats.contract import AS_USUAL, Reading
from featstore.formats.source import Begun, source_of
from featstore.progress import Progress
from featstore.scale.shard import Shard
from featstore.streams import behind_links, is_stream
from featstore.types import kind_of, shown

PAIRS = "pairs"
_MOST_TYPES = 1000
_PAIRS_AT_ONCE = 1024  # of marked pairs


@dataclass(frozen=True, slots=True)
class ExtractionJob:
    """What shall be extracted.

    Attributes:
        sources: the files (or, where a format is one, folders), read one after the other.
        target: where the relations go.
        source_format: the format of all sources; None: that of each is determined from its name and content.
        target_format: a format that is written.
        wanted: which relations.
        fresh: begin anew, even if there is an interrupted extraction to go on with.
        reading: how the sources are read, where their format leaves a choice.
        given: documents that come before those of the sources.
        strict: leave out a document in which anything is malformed, instead of the malformed part alone.
        shard: extract from the blocks of this shard only, into a file beside ``target``; None: from all documents.
    """

    sources: Sequence[Path]
    target: Path
    source_format: str | None = None
    target_format: str = "jsonl"
    wanted: Wanted = field(default_factory=Wanted)
    fresh: bool = False
    reading: Reading = AS_USUAL
    given: Sequence[Document] = ()
    strict: bool = False
    shard: Shard | None = None


@dataclass(frozen=True, slots=True)
class Extracted:
    """What an extraction did.

    Attributes:
        documents: extracted from, or found bad (pairs: lines).
        bad: documents that could not be read or written, and are not in the output.
        pairs: candidates that were scored.
        relations: written.
        resumed_at: documents that an interrupted extraction had done before.
        seconds: wall time.
        nothing: documents without relations, by the reason (:mod:`classifier.extract.reasons`).
        problems: what is malformed in documents that are in the output, counted by kind.
        lost: how many of these cost something: a mention, the pairs of a sentence.
        unread: sentences in which no tagger looked for mentions, because they can hardly hold a pair.
        types: the types of the mentions, of those documents that were not done before: type in the documents -> the
            model's type that it is, or an empty string if it is none.
    """

    documents: int
    bad: int
    pairs: int
    relations: int
    resumed_at: int
    seconds: float
    nothing: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    unread: int = 0
    types: Mapping[str, str] = field(default_factory=dict)


def extract_files(
    extractor: Extractor,
    job: ExtractionJob,
    *,
    workers: BlockWorkers[Extractor] | None = None,
    writer: Writer | None = None,
    report: Report | None = None,
    progress: Progress | None = None,
) -> Extracted:
    """Extract relations from files.

    Args:
        extractor: the model.
        job: what shall be extracted.
        workers: who extracts, block by block; None: this process, window by window.
        writer: writes the output; None: the writer of the job's format.
        report: called with each bad document, and with everything that is malformed in the others.
        progress: called with (documents done, documents to do) after each few seconds of work; those that an
            interrupted extraction had done are not counted. In the middle of a document with very many pairs it is
            called too, and the log says how many pairs have been scored.

    Raises:
        UsageError: an unknown format, an option that does not go with another, the part of another extraction.
        MissingFileError, DataError: a source that is not there, or not of its format.
        MismatchError: the documents have changed since the extraction was interrupted.
        ResourceError: the output cannot be written.
    """
    start = time.perf_counter()
    job = _checked(job)
    pairs = job.sources and not job.given and all(map(jsonl.holds_pairs, job.sources))
    if job.source_format == PAIRS or (job.source_format is None and pairs):
        return _classify_pairs(extractor, job, start, progress)
    writer, has_place = writer or writer_of(job.target_format), writer is None and FORMATS[job.target_format].collects
    documents, collection = open_documents(
        job.sources, job.source_format, reading=job.reading, strict=job.strict, given=job.given
    )
    types: dict[str, str] = {}
    with closing(_open_output(job, _facts(extractor, job), documents, writer)) as part:
        resumed_at = part.figures.documents
        read = resumed_at if job.shard is None else input_position(resumed_at, job.shard)
        skip_done(documents, part.figures, read, job.target)
        part.begin(writer.header(extractor.facts, collection))
        told = Told(report, part.figures, collection if has_place else None)
        standing = Standing(progress, documents.count, _to_do(job) if progress else None)
        own = documents if job.shard is None else own_documents(documents, job.shard)
        with closing(
            done_by_workers(workers.engine, _blocks(workers, extractor, job), documents, own, resumed_at)
            if workers
            else _said_here(extractor, job.wanted, documents, own, resumed_at, standing)
        ) as found:
            for said, position in found:
                text, figures = _written(said, job, writer, extractor.facts, part.figures, told)
                part.add(text, replace(figures, digest=position.digest))
                _note_types(said, extractor, job.wanted, types)
                standing.tell(position.documents)
        part.finish(writer.footer())
    done = {name: value for name, value in asdict(part.figures).items() if name not in ("digest", "mentions")}
    return Extracted(**done, resumed_at=resumed_at, seconds=time.perf_counter() - start, types=types)


def _checked(job: ExtractionJob) -> ExtractionJob:
    """Return a job whose places can be read and written; sources at addresses are opened."""
    check_output_file(job.target)
    job = replace(job, sources=[source_of(source) if address_of(source) else source for source in job.sources])
    for source in job.sources:
        if not isinstance(source, Begun) and not is_stream(source):
            check_input(source)
    if job.shard and is_stream(job.target):
        raise UsageError(f"shard {job.shard} needs a file to be written beside; name the output of all shards with -o.")
    if not is_stream(job.target) and behind_links(job.target) in map(behind_links, job.sources):
        raise UsageError(f"{job.target} is input and output; name another file with -o.")
    return job


def _facts(extractor: Extractor, job: ExtractionJob) -> dict[str, object]:
    """Return what an output depends on besides the documents: only an extraction of the same goes on with it."""
    model = {"name": extractor.facts.name, "fingerprint": extractor.facts.fingerprint}
    facts = {"model": model, "to": job.target_format, "tag": extractor.tagging, "strict": job.strict}
    return facts | asdict(job.wanted)


def _blocks(workers: BlockWorkers[Extractor], extractor: Extractor, job: ExtractionJob) -> ExtractBlocks:
    return ExtractBlocks(workers.load, extractor.facts.fingerprint, job.wanted)


def _said_here(
    extractor: Extractor,
    wanted: Wanted,
    documents: CountedDocuments,
    own: Iterable[Document | BadDocument],
    after: int,
    standing: Standing,
) -> Generator[tuple[list[Extraction | BadDocument], ReadSoFar], None, None]:
    """Yield what the model says, window by window, and where in the input each ends."""
    for window in extractor.windows(own, wanted, after=after, scored=standing.within):
        yield window, ReadSoFar.of(documents)


def _open_output(
    job: ExtractionJob, facts: Mapping[str, object], documents: CountedDocuments, writer: Writer
) -> Output:
    """Open the output of a job, or of its shard."""
    if job.shard is None:
        return open_extraction(job.target, facts, fresh=job.fresh)
    return ShardFile(job.target, job.shard, facts, documents, (writer.separator, writer.footer()), fresh=job.fresh)


def _to_do(job: ExtractionJob) -> int | None:
    """Return how many documents a job has, about; None where that is not known."""
    counts = [count_documents(source, job.source_format) for source in job.sources]
    return None if None in counts else len(job.given) + sum(filter(None, counts))


def _note_types(
    window: Sequence[Extraction | BadDocument], extractor: Extractor, wanted: Wanted, types: dict[str, str]
) -> None:
    """Add the types of a window's mentions, up to a number that no sensible input has."""
    assert extractor.checkpoint.pairing is not None
    for found in window:
        for entity in found.document.entities if isinstance(found, Extraction) else ():
            if entity.type not in types and len(types) < _MOST_TYPES:
                kind = kind_of(entity.type, extractor.checkpoint.pairing.types, dict(wanted.types))
                types[entity.type] = shown(kind) if kind else ""


def _written(
    window: Sequence[Extraction | BadDocument],
    job: ExtractionJob,
    writer: Writer,
    model: ModelFacts,
    before: Figures,
    told: Told,
) -> tuple[str, Figures]:
    """Return the documents of a window as text, and the figures after it."""
    pieces: list[str] = []
    documents, pairs, relations, unread = before.documents, before.pairs, before.relations, before.unread
    nothing = Counter(before.nothing)
    for found in window:
        piece = found if isinstance(found, BadDocument) else _piece(found, writer, model, strict=job.strict)
        if isinstance(found, BadDocument) or isinstance(piece, BadDocument):
            assert isinstance(piece, BadDocument)
            told.left_out(piece)
        else:
            pieces.append((writer.separator if documents > told.bad else "") + piece)
            told.written(found.document, found.problems)
            pairs, relations = pairs + found.pairs, relations + len(found.relations)
            unread += found.document.unread
            if found.nothing:
                nothing.update([found.nothing.reason])
                if found.nothing.reason in UNLIKE_THE_MODEL:
                    told.note(found.document, found.nothing.why, f"without a relation: {found.nothing.reason}")
        documents += 1
    figures = Figures(documents, told.bad, pairs, relations, nothing=dict(nothing), unread=unread)
    return "".join(pieces), replace(figures, problems=told.problems, lost=told.lost)


def _piece(found: Extraction, writer: Writer, model: ModelFacts, *, strict: bool) -> str | BadDocument:
    """Return a document as text, or why its format cannot hold it, or what is wrong with it."""
    if strict and (bad := refused(found.document.id, found.problems)):
        return bad
    try:
        return writer.document(found.document, found.relations, model, found.nothing)
    except DataError as error:
        return BadDocument(found.document.id, found.document.place, str(error))


def _classify_pairs(extractor: Extractor, job: ExtractionJob, start: float, progress: Progress | None) -> Extracted:
    """Classify sentences with marked pairs: one object a line, in the order given."""
    if job.target_format != "jsonl" or job.wanted != Wanted() or len(job.sources) != 1 or job.shard:
        raise UsageError("pairs are classified as they stand: one file of them, to jsonl, without further options.")
    corpus = jsonl.read(str(job.sources[0]), extractor.marking, None)
    labels = extractor.checkpoint.labels
    lines = []
    for first in range(0, len(corpus.instances), _PAIRS_AT_ONCE):
        instances = corpus.instances[first : first + _PAIRS_AT_ONCE]
        predictions = extractor.classify(instances)
        for instance, number, row in zip(instances, predictions.labels, predictions.probabilities, strict=True):
            relation = {
                "id": instance.id,
                "line": int(instance.source["line"]),
                "label": labels[number],
                "probability": float(row[number]),
                "probabilities": dict(zip(labels, map(float, row), strict=True)),
            }
            lines.append(json.dumps(relation, ensure_ascii=False) + "\n")
        if progress:
            progress(len(lines), len(corpus.instances))
    write_file(job.target, "".join(lines).encode("utf-8"))
    count = len(lines)
    return Extracted(count, 0, count, count, 0, time.perf_counter() - start)
