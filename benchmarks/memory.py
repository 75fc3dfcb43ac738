"""The memory of extraction from plain text, as the number of documents grows.

    python benchmarks/memory.py --corpus $DATA/chemprot --documents 1200
    python benchmarks/memory.py --documents 100000 --every 5000

In: a folder of ChemProt's files, whose abstracts are read again and again without their mentions, each time under new
ids; or none, and then documents of a title and one or two sentences that the grammar of the sample makes, nearly all
different. Out: after each hundred documents (``--every``) the resident memory of the process, the documents a second
since the line before, by processor time, and how many pairs and relations there were so far. The model and the tagger
are those that come with featstore.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import re
import time
import tomllib
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import torch
from make_sample import SEED, Draw, capitalised

from classifier.extract.extractor import Extractor
from classifier.extract.wanted import Extraction
from featstore.bundled import bundled
from featstore.documents import Document
from featstore.formats import read_documents


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


def short() -> Iterator[Document]:
    """Yield documents of the sample's grammar without end: a title and one or two sentences."""
    grammar = tomllib.loads(Path(__file__).with_name("sample_grammar.toml").read_text(encoding="utf-8"))["chemprot"]
    shared = tomllib.loads(Path(__file__).with_name("sample_grammar.toml").read_text(encoding="utf-8"))["words"]
    words, draw = shared | grammar["words"], Draw(SEED + 2)
    for number in count(1):
        chemicals, genes = draw.several(words["C"], 2), draw.several(words["G"], 2)
        names = {
            f"{kind}{place}": [name]
            for kind, two in (("C", chemicals), ("G", genes))
            for place, name in enumerate(two, 1)
        }
        patterns = [draw.pick(grammar["titles"])]
        patterns += [draw.weighted(grammar["sentences"])[-1] for _ in range(1 + draw.chance(0.5))]
        title, *body = (capitalised(draw.expand(pattern, words | names)) for pattern in patterns)
        yield Document(f"{number:06d}", f"{title}\n{' '.join(body)}", ())


def main() -> None:
    """Extract, and print a line now and then."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, help="folder of ChemProt's files; without it sentences are made")
    parser.add_argument("--documents", type=int, default=1200, help="how many documents are extracted from")
    parser.add_argument("--every", type=int, default=100, help="documents between two lines")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    extractor = Extractor.load(bundled("models/chemprot"))
    documents = plain(chosen.corpus) if chosen.corpus else short()
    done = said = pairs = relations = 0
    since = time.process_time()
    for window in extractor.windows(islice(documents, chosen.documents)):
        before, done = done, done + len(window)
        found = [result for result in window if isinstance(result, Extraction)]
        pairs += sum(result.pairs for result in found)
        relations += sum(len(result.relations) for result in found)
        if done // chosen.every > before // chosen.every or done == chosen.documents:
            now = time.process_time()
            rate = (done - said) / (now - since)
            print(f"{done} documents, {resident()} MB, {rate:.1f}/s, {pairs} pairs, {relations} relations", flush=True)
            since, said = now, done


if __name__ == "__main__":
    main()
