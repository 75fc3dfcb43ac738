"""Which documents a tagger reads, and which of them together.

In: documents. Out: the same in groups. Nothing here needs a network, so that what only asks does not wait for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from featstore.documents import Document
from featstore.formats import BadDocument

MODES = ("missing", "always", "never")
ALL, LIKELY = "all", "likely"
SENTENCES = (ALL, LIKELY)  # that a tagger reads where relations are extracted
SHIPPED = "models/tagger"
WINDOW_CHARACTERS = 50_000  # of the documents that are tagged together: about 8,000 tokens, a few seconds of work
WINDOW_DOCUMENTS = 512


def windows(documents: Iterable[Document | BadDocument]) -> Iterator[list[Document | BadDocument]]:
    """Yield documents in groups that are tagged together; where a group ends depends on its own documents alone."""
    window: list[Document | BadDocument] = []
    characters = 0
    for document in documents:
        window.append(document)
        characters += len(document.text) if isinstance(document, Document) else 0
        if characters >= WINDOW_CHARACTERS or len(window) >= WINDOW_DOCUMENTS:
            yield window
            window, characters = [], 0
    if window:
        yield window


def is_tagged(document: Document, mode: str) -> bool:
    """Tell whether a mode tags a document."""
    return mode == "always" or (mode == "missing" and not document.entities)
