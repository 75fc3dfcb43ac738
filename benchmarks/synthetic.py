"""Documents without end, no two of them the same, for what is measured or tried with many.

    python benchmarks/synthetic.py 100000 > documents.jsonl       # short ones, with mentions and relations

In: nothing that the package does not bring. Out: the abstracts of the sample corpus again and again, each with a number
of its own (:func:`documents`); or single sentences of a pattern, which a light model learns in seconds.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from featstore.bundled import bundled
from featstore.documents import Document
from featstore.formats import read_documents


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


def write_short(number: int) -> None:
    """Print short documents as JSONL; the verb says the relation."""
    draw, verbs = random.Random(1), ("inhibits", "activates", "does not change")
    for n in range(number):
        drug, gene, verb = f"drug{draw.randrange(9999)}", f"GEN{draw.randrange(9999)}", draw.choice(verbs)
        text = f"In trial {n} the compound {drug} {verb} {gene} in cells of rats."
        mentions = [
            {"id": id_, "type": type_, "start": text.index(word), "end": text.index(word) + len(word)}
            for id_, type_, word in (("a", "CHEMICAL", drug), ("b", "GENE", gene))
        ]
        relations = [] if verb == verbs[2] else [{"label": verb, "head": "a", "tail": "b"}]
        print(json.dumps({"id": str(n), "text": text, "entities": mentions, "relations": relations}))


if __name__ == "__main__":
    write_short(int(sys.argv[1]))
