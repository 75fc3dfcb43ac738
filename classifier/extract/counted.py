"""Documents on their way through an extraction, counted and digested.

In: documents as they are read. Out: the same, and after each how many there were and what they were, so that an
extraction that goes on can tell whether it is given the documents that it was given before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from classifier.extract.journal import Figures
from featstore.errors import MismatchError
from featstore.formats import BadDocument
from featstore.records import Document


class CountedDocuments:
    """Documents on their way, counted and digested, so that it can be told whether they are the same another time."""

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


def skip_done(documents: CountedDocuments, done: Figures, target: Path) -> None:
    """Pass over the documents that an interrupted extraction has done.

    Raises:
        MismatchError: they are not those that it read.
    """
    for _ in islice(documents, done.documents):
        pass
    if done.documents and (documents.count, documents.digest) != (done.documents, done.digest):
        raise MismatchError(
            f"the first {done.documents:,} documents are not those of which {target}.part was made; give the same "
            "input, name another file with -o, or begin anew with --fresh."
        )
