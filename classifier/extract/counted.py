"""Documents on their way through an extraction, counted and digested.

In: documents as they are read. Out: the same, and after each how many there were and what they were, so that an
extraction that goes on can tell whether it is given the documents that it was given before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

from classifier.extract.journal import Figures
from featstore.documents import Document
from featstore.errors import MismatchError
from featstore.formats import BadDocument, SeenDocuments, read_documents
from featstore.formats.contract import AS_USUAL, Reading


class CountedDocuments:
    """Documents on their way, counted and digested, so that a later run can check that they are the same."""

    def __init__(self, documents: Iterable[Document | BadDocument]) -> None:
        self._documents = iter(documents)
        self._hash = hashlib.blake2b(digest_size=16)
        self.count = 0

    def __iter__(self) -> Iterator[Document | BadDocument]:
        return self

    def __next__(self) -> Document | BadDocument:
        found = next(self._documents)
        self.count += 1
        # What a document was read from is no part of its repr, but of what is written.
        self._hash.update(repr((found, getattr(found, "bioc", None))).encode("utf-8", "surrogatepass"))
        return found

    @property
    def digest(self) -> str:
        """Of all documents so far: 32 hex digits."""
        return self._hash.hexdigest()


def open_documents(
    sources: Sequence[Path],
    format_: str | None,
    *,
    reading: Reading = AS_USUAL,
    strict: bool = False,
    given: Iterable[Document] = (),
) -> tuple[CountedDocuments, Mapping[str, object] | None]:
    """Return the documents of several files, and what the collection of the first of them says of itself, if it is one.

    Args:
        sources: files and folders, read one after the other; a document that is in two of them is a bad one.
        format_: the format of all; None: that of each is determined from its name and content.
        reading: how they are read, where their format leaves a choice.
        strict: a document in which anything is malformed is a bad one.
        given: documents that come before those of the files.

    Raises:
        UsageError, MissingFileError, DataError: see :func:`featstore.formats.read_documents`.
    """
    seen = SeenDocuments()
    readers = [read_documents(source, format_, reading, strict=strict, seen=seen) for source in sources]
    documents = chain(given, *readers)
    first: list[Document | BadDocument] = []
    for found in documents:
        first.append(found)
        if isinstance(found, Document):
            return CountedDocuments(chain(first, documents)), found.collection
    return CountedDocuments(first), None


def skip_done(documents: CountedDocuments, done: Figures, read: int, target: Path) -> None:
    """Pass over the documents that an interrupted extraction has read.

    Args:
        documents: the input.
        done: what the extraction has done.
        read: how many documents it has read.
        target: the output.

    Raises:
        MismatchError: they are not those that it read.
    """
    for _ in islice(documents, read):
        pass
    if read and (documents.count, documents.digest) != (read, done.digest):
        raise MismatchError(
            f"the first {read:,} documents are not those of which the unfinished {target} was made; give the same "
            "input, name another file with -o, or begin anew with --fresh."
        )
