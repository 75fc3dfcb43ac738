"""Ids of documents, each of which should be given once: relations name their document by it.

In: documents on their way. Out: the same. A document that was read before, mentions and all, is a bad one; another
document of the same id is kept and reported. What is kept of a document in memory is sixteen bytes, so that a million
documents cost sixteen megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from featstore.documents import Document, Problem
from featstore.formats.contract import BadDocument

ID_TWICE = "document id given twice"
_RECENT = 256


class SeenDocuments:
    """The documents that were met so far, as digests."""

    def __init__(self) -> None:
        self._ids, self._whole = _Digests(), _Digests()

    def judge(self, document: Document) -> Document | BadDocument:
        """Return a document, with a problem if another had its id, or a bad one if it is a repetition; remember it."""
        new_id = self._ids.add(document.id)
        mentions = sorted((e.start, e.end, e.type) for e in document.entities)
        if self._whole.add(repr((document.id, document.text, mentions))):
            if new_id:
                return document
            why = f"the id {document.id} was given to another document already; relations of both will name it."
            return replace(document, problems=(*document.problems, Problem(why, document.place, ID_TWICE, lost=False)))
        why = "the document is given twice; what was read already is left out here."
        return BadDocument(document.id, document.place, why)


def each_once(documents: Iterable[Document | BadDocument], seen: SeenDocuments) -> Iterator[Document | BadDocument]:
    """Yield documents, each compared with those that were seen before."""
    return (seen.judge(found) if isinstance(found, Document) else found for found in documents)


class _Digests:
    """A set of texts, in eight bytes each: of a million, two agree by chance once in 37 million times."""

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._sorted: list[NDArray[np.uint64]] = []  # each at least twice as long as the next

    def add(self, text: str) -> bool:
        """Add a text, and return whether it is new."""
        digest = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
        if digest in self._recent or any(_holds(digests, digest) for digests in self._sorted):
            return False
        self._recent.add(digest)
        if len(self._recent) == _RECENT:
            digests = np.fromiter(self._recent, np.uint64, _RECENT)
            self._recent.clear()
            while self._sorted and len(self._sorted[-1]) < 2 * len(digests):
                digests = np.concatenate([self._sorted.pop(), digests])
            digests.sort()
            self._sorted.append(digests)
        return True


def _holds(digests: NDArray[np.uint64], digest: int) -> bool:
    place = int(np.searchsorted(digests, np.uint64(digest)))
    return place < len(digests) and int(digests[place]) == digest
