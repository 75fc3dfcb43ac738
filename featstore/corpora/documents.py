"""Any annotated documents as a corpus: ``documents:PATH``.

In: documents with mentions and relations in a format that is read (BioC XML and JSON, PubTator, JSONL, brat with ``R``
lines): a file, or a folder. Out: an instance for each pair of mentions in one sentence whose types occur together
as the arguments of some relation; those that no relation names are the negative ones (``NONE``).

*Parts.* In this order:

- a folder with folders, or files, named ``train``, ``dev`` and ``test`` (also ``training``, ``validation`` and the
  like; ``my_train.json`` will do): those are the parts;
- documents that say what part they are in (``"split"`` in JSONL, the infon ``split`` in BioC);
- else each document is drawn by the hash of its id: eight tenths train, one tenth dev, one tenth test, the same on
  every machine whatever the order of the files. A document is never in two parts.

*Arguments.* Those of a file's relations are ids of mentions (BioC nodes, brat, JSONL) or concepts (PubTator, BioRED's
infons). What most of them are decides which. Between concepts, the score runs over documents and concepts
(:mod:`featstore.corpora.annotated`); a mention may have several, separated by ``|``, ``,`` or ``;``.

*Direction.* Two mentions make one pair. The head is of the type that most relations name first; of two mentions of
one type the earlier is the head.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import product
from pathlib import Path

from featstore.corpora.annotated import RelationTask, Source, corpus_of, types_of
from featstore.corpora.mark import Marking
from featstore.corpora.release import refuse_list
from featstore.documents import Document, Problem
from featstore.errors import DataError, MissingFileError, UsageError
from featstore.fingerprint import file_sha256
from featstore.formats import BadDocument, read_documents
from featstore.formats.folders import visible
from featstore.formats.table import format_of
from featstore.records import Corpus

_PARTS = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "devel": "dev",
    "development": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
    "testing": "test",
}
_SHARES = (("test", 0.1), ("dev", 0.2))  # upper ends of the hash
_PASSAGES = ("bioc-xml", "bioc-json", "pubtator")  # formats in which a line break separates passages


@dataclass(frozen=True, slots=True)
class DocumentPlace:
    """A file or a folder that is read as one, its format, and the part that its name says."""

    path: Path
    format: str
    split: str | None


def read(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read annotated documents; what is wrong with single ones is in the corpus's problems.

    Raises:
        UsageError: no path; ``instances`` is given; a format that cannot be determined.
        MissingFileError: there is nothing at the path.
        DataError: a file that is not of its format, a document given twice, some documents with a part and some
            without, or no relations.
    """
    refuse_list("documents", instances)
    if path is None:
        raise UsageError("'documents' needs the path of a file or folder: documents:PATH")
    places = _places(Path(path))
    problems: list[Problem] = []
    sources = list(_sources(places, problems))
    task = _task(Path(path), [source.document for source in sources])
    digest = blake2b(digest_size=32)
    for file in _files(places):
        digest.update(bytes.fromhex(file_sha256(file)))
    parted = _parted(Path(path), sources)
    return corpus_of("documents", parted, task, marking, digest=digest.hexdigest(), problems=problems)


def _places(path: Path) -> list[DocumentPlace]:
    """Return what is read: the parts of a folder if it has any, else its files, or the folder as one.

    Raises:
        MissingFileError: there is nothing at the path, or nothing that is read.
        UsageError: the format of a file cannot be determined.
    """
    if not path.exists():
        raise MissingFileError(f"{path} does not exist; documents:PATH wants a file or a folder.")
    if path.is_file():
        return [DocumentPlace(path, format_of(path, None), None)]
    inside = sorted(each for each in path.iterdir() if not each.name.startswith("."))
    parts = [(each, split) for each in inside if (split := _split_of(each)) is not None]
    if parts:
        return [place for each, split in parts for place in places_inside(each, split)]
    return places_inside(path, None)


def places_inside(path: Path, split: str | None) -> list[DocumentPlace]:
    """Return what is read of a part: itself if it is a file or the folder of a format, else its files.

    Raises:
        MissingFileError: there is nothing at the path, or nothing that is read.
        UsageError: the format of a file cannot be determined.
    """
    try:
        return [DocumentPlace(path, format_of(path, None), split)]
    except UsageError:
        if path.is_file():
            raise
    files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
    if not files:
        raise MissingFileError(f"{path} holds no documents; files of a format that is read are wanted.")
    return [DocumentPlace(file, format_of(file, None), split) for file in files]


def _split_of(path: Path) -> str | None:
    """Return the part that a name says: ``train``, ``my-train.json``, ``CDR_TestSet.xml``; None if it says none."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", path.name.split(".")[0])
    words = re.split(r"[^a-z]+", name.lower())
    said = {_PARTS[word] for word in words if word in _PARTS}
    return said.pop() if len(said) == 1 else None


def _files(places: Iterable[DocumentPlace]) -> Iterator[Path]:
    for place in places:
        if place.path.is_dir():
            yield from (file for file in visible(place.path, ["**/*"]) if file.is_file())
        else:
            yield place.path


def _sources(places: Iterable[DocumentPlace], problems: list[Problem]) -> Iterator[Source]:
    """Yield all documents; those that are bad are problems."""
    for place in places:
        for found in read_documents(place.path, place.format):
            if isinstance(found, BadDocument):
                problems.append(Problem(f"{found.where}: document {found.id or '(without an id)'}: {found.why}"))
            else:
                problems += (problem for problem in found.problems if problem.lost)
                document = replace(found, bioc=None, split=place.split or found.split)
                yield Source(document, place.path, passages=place.format in _PASSAGES)


def _parted(path: Path, sources: Sequence[Source]) -> Iterator[Source]:
    """Yield the documents with their parts; drawn by their ids if no document says its own.

    Raises:
        DataError: some say it and others do not, or one says what is no part.
    """
    said = [source.document.split for source in sources]
    if any(said) and not all(said):
        without = sources[said.index(None)]
        raise DataError(
            f"{without.place}: document {without.document.id} says no split, but others of {path} do; give all "
            "documents a split, or none."
        )
    for source in sources:
        split = source.document.split or _drawn(source.document.id)
        if split not in _PARTS:
            raise DataError(
                f"{source.place}: document {source.document.id} has the split '{split}'; train, dev or test is wanted."
            )
        yield replace(source, document=replace(source.document, split=_PARTS[split]))


def _drawn(id_: str) -> str:
    """Return the part that a document is drawn into."""
    share = int.from_bytes(blake2b(id_.encode("utf-8"), digest_size=8, person=b"featstore parts").digest()) / 2**64
    return next((split for split, end in _SHARES if share < end), "train")


def _task(path: Path, documents: Sequence[Document]) -> RelationTask:
    """Return the task that the relations of documents show.

    Raises:
        DataError: there are none.
    """
    labels = {r.label for document in documents for r in document.relations if r.label and len(r.arguments) == 2}
    if not labels:
        raise DataError(f"{path} holds no relations between two arguments; a corpus needs some to learn from.")
    separators, concepts = _naming(documents)
    bare = RelationTask(tuple(sorted(labels)), (), concepts, separators)
    orders: Counter[tuple[str, str]] = Counter()
    for document in documents:
        types = types_of(document, bare)
        for relation in document.relations:
            if len(relation.arguments) == 2:
                first, second = (types.get(argument, set()) for argument in relation.arguments)
                orders.update(product(first, second))
    # Of the two orders of two types the more frequent one, of equal ones the first in the alphabet.
    kinds = [kind for kind in orders if _leads(kind, orders)]
    if not kinds:
        raise DataError(
            f"{path}: no relation has arguments that are entities, or concepts of entities, of its document."
        )
    return replace(bare, kinds=tuple(sorted(kinds)))


def _leads(kind: tuple[str, str], orders: Mapping[tuple[str, str], int]) -> bool:
    reverse = kind[1], kind[0]
    return (-orders[kind], kind) <= (-orders.get(reverse, 0), reverse)


def _naming(documents: Sequence[Document]) -> tuple[str, bool]:
    """Return how arguments name entities: the signs that separate concepts, and whether they are concepts at all."""
    found: Counter[tuple[str, bool]] = Counter()
    ways = [("", False), ("", True), ("|", True), (",", True), (";", True)]
    for document in documents:
        arguments = [argument for relation in document.relations for argument in relation.arguments]
        for separators, concepts in ways:
            types = types_of(document, RelationTask((), (), concepts, separators))
            found[separators, concepts] += sum(argument in types for argument in arguments)
    return max(ways, key=lambda way: found[way])  # the first of equal ones
