"""Documents without end: those of the sample corpus again and again, each with a number of its own.

In: nothing that the package does not bring. Out: documents with mentions, no two of them the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from featstore.bundled import bundled
from featstore.formats import read_documents
from featstore.records import Document


def documents() -> Iterator[Document]:
    """Yield documents with mentions without end, no two of them the same."""
    for turn in count():
        for document in read_documents(bundled("sample/chemprot"), "chemprot"):
            if isinstance(document, Document):
                yield Document(f"{document.id}-{turn}", f"{document.text} Case {turn} was closed.", document.entities)


def write_documents(path: Path, number: int) -> Path:
    """Write documents as JSONL."""
    with path.open("w", encoding="utf-8") as file:
        for document in islice(documents(), number):
            mentions = [{"id": e.id, "type": e.type, "start": e.start, "end": e.end} for e in document.entities]
            file.write(json.dumps({"id": document.id, "text": document.text, "entities": mentions}) + "\n")
    return path
