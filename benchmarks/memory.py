"""The memory of extraction from plain text, as the number of documents grows.

    python benchmarks/memory.py --corpus $DATA/chemprot --documents 1200

In: a folder of ChemProt's files, whose abstracts are read again and again without their mentions, each time under new
ids. Out: after each hundred documents the resident memory of the process and the documents a second so far. The model
and the tagger are those that come with featstore.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from classifier.extract.extractor import Extractor
from featstore.bundled import bundled
from featstore.formats import read_documents
from featstore.records import Document

EVERY = 100  # documents


def resident() -> int:
    """Return the resident memory of this process in MB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found
    return round(1024 * int(found[1]) / 1e6)


def plain(corpus: Path) -> Iterator[Document]:
    """Yield the corpus's texts without end."""
    for turn in count():
        for document in read_documents(corpus, "chemprot"):
            if isinstance(document, Document):
                yield Document(f"{document.id}-{turn}", document.text, ())


def main() -> None:
    """Extract, and print a line now and then."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of ChemProt's files")
    parser.add_argument("--documents", type=int, default=1200, help="how many documents are extracted from")
    chosen = parser.parse_args()
    extractor = Extractor.load(bundled("models/chemprot"))
    start, done = time.perf_counter(), 0
    for window in extractor.windows(islice(plain(chosen.corpus), chosen.documents)):
        before, done = done, done + len(window)
        if done // EVERY > before // EVERY or done == chosen.documents:
            print(f"{done} documents, {resident()} MB, {done / (time.perf_counter() - start):.1f}/s", flush=True)


if __name__ == "__main__":
    main()
