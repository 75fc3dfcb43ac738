"""Past one machine: engines against each other, growth, the index of a large store, and a plan for PubMed.

    python benchmarks/scale.py engines --documents 640     # 1 and 2 workers, processes of this machine against Ray
    python benchmarks/scale.py growth --documents 1000 10000 100000
    python benchmarks/scale.py index --sentences 1000000 10000000 [--s3 | --store s3://BUCKET/PREFIX]
    python benchmarks/scale.py plan

In: nothing that the package does not bring. The documents are those of the sample corpus again and again, each with a
word of its own in every sentence, so that no two sentences are the same. Out: a table for each.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from itertools import count, islice
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from large_store import large_store, s3_bucket

from classifier.extract import ExtractionJob, Extractor, blocks, extract_files
from classifier.extract.models import model_folder
from classifier.extract.workers import BlockWorkers
from featstore.bundled import bundled
from featstore.encoders import load_encoder
from featstore.featurize.encode import featurize
from featstore.formats import read_documents
from featstore.markdown import markdown_table
from featstore.records import Document, sentence_key
from featstore.scale import Engine, LocalEngine, open_engine

BLOCK = 32  # documents, smaller than usual so that a short run has enough of them to share
TOKENS, SENTENCES = 301, 10.2  # of an abstract: the first 400 of ChemProt
INDEX_BYTES = 41  # of memory for a sentence, as measured by `index`


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


class Rate:
    """Remembers when what was done, from the first result on: what workers need to load is not counted."""

    def __init__(self) -> None:
        self._since: tuple[float, int] | None = None
        self.rate = 0.0

    def __call__(self, done: int, total: int | None) -> None:
        del total
        now = time.perf_counter()
        if self._since is None:
            self._since = now, done
        elif done > self._since[1]:
            self.rate = (done - self._since[1]) / (now - self._since[0])


def run_featurize(engine: Engine, folder: Path, number: int) -> float:
    """Encode the sentences of documents; return sentences a second."""
    texts = [tuple(document.text.split()[:40]) for document in islice(documents(), 4 * number)]
    unique = {sentence_key(text): text for text in ((*text, str(n)) for n, text in enumerate(texts))}
    rate = Rate()
    options = {"dtype": "float16", "backend": "hdf5"}
    featurize(unique, "elmo", root=folder / "features", engine=engine, progress=rate, **options)  # type: ignore[arg-type]
    return rate.rate


def run_extract(engine: Engine, folder: Path, number: int) -> float:
    """Extract from documents; return documents a second."""
    rate, load = Rate(), partial(Extractor.load, model_folder("chemprot"), tag="never")
    job = ExtractionJob([write_documents(folder / "in.jsonl", number)], folder / "out.jsonl")
    extract_files(load(), job, workers=BlockWorkers(engine, load), progress=rate)
    return rate.rate


def engines(number: int) -> None:
    """Compare engines; print a table."""
    blocks.BLOCK_DOCUMENTS = BLOCK
    work: dict[str, Callable[[Engine, Path, int], float]] = {"featurize": run_featurize, "extract": run_extract}
    rows = []
    for name, run in work.items():
        rates = {}
        for workers in (1, 2):
            for spec in ("local", "ray"):
                with tempfile.TemporaryDirectory() as folder, open_engine(spec, workers) as opened:
                    begun = time.perf_counter()
                    rates[spec, workers] = rate = run(opened or LocalEngine(1), Path(folder), number)
                    whole = time.perf_counter() - begun
                speed_up = rate / rates[spec, 1]
                against = rate / rates["local", workers]
                row = [name, spec, str(workers), f"{rate:.1f}", f"{speed_up:.2f}", f"{against:.2f}", f"{whole:.0f} s"]
                rows.append(row)
                print(*row, flush=True)
    head = ["work", "engine", "workers", "items/s", "times one worker", "times local", "with loading"]
    print(markdown_table(head, rows))


def resident() -> float:
    """Return the resident memory of this process in MB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found
    return 1024 * int(found[1]) / 1e6


def growth(numbers: list[int]) -> None:
    """Extract from more and more documents with a light model; print a table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        words = ["--features", "glove", "--corpus", "sample:chemprot", "--context", "sentence", "--max-epochs", "2"]
        corpus = ["--corpus", "sample:chemprot", "--context", "sentence"]
        for command in (["featurize", "--encoders", "glove", *corpus], ["train", *words, "--run", "light"]):
            subprocess.run([sys.executable, "-m", "cli", *command], cwd=folder, check=True, capture_output=True)
        extractor = Extractor.load(Path(folder) / "runs" / "light", tag="never")
        for number in numbers:
            source = write_documents(Path(folder) / "in.jsonl", number)
            begun = time.process_time()
            extract_files(extractor, ExtractionJob([source], Path(folder) / "out.jsonl", fresh=True))
            spent = time.process_time() - begun
            rows.append([f"{number:,}", f"{1000 * spent / number:.2f} ms", f"{resident():.0f} MB"])
            print(*rows[-1], flush=True)
    print(markdown_table(["documents", "processor time a document", "memory after it"], rows))


def plan(abstracts: int, abstracts_a_second: float, pairs: float, bert_ms: float, price: float) -> None:
    """Print what all of PubMed would cost, from figures that were measured on one core."""
    encoder = {spec: load_encoder(spec) for spec in ("bioglove", "elmo", "cse")}
    tokens, sentences = abstracts * TOKENS, abstracts * SENTENCES
    hours = {
        "relations from plain text, model that ships": abstracts / abstracts_a_second / 3600,
        f"BERT-base at int8, {pairs:g} pairs an abstract, mentions given": abstracts * pairs * bert_ms / 3.6e6,
    }
    print(f"{abstracts:,} abstracts, {sentences:,.0f} sentences, {tokens:,.0f} tokens\n")
    rows = [[what, f"{spent:,.0f}", f"{spent * price:,.0f}", f"{spent / 64:,.0f} h"] for what, spent in hours.items()]
    print(markdown_table(["work", "core-hours", f"cost at {price:g} a core-hour", "on 64 cores"], rows) + "\n")
    rows = []
    for spec, found in encoder.items():
        for columns, name in ((found.dim, spec), (100, f"{spec}-pca100")):
            if columns < found.dim or name == spec:
                sizes = [f"{tokens * columns * width / 1e12:,.1f} TB" for width in (2, 4)]
                rows.append([name, str(columns), *sizes])
    print(markdown_table(["feature set", "columns", "float16", "float32"], rows) + "\n")
    print(f"Index in memory at {INDEX_BYTES} bytes a sentence: {sentences * INDEX_BYTES / 1e9:,.0f} GB a process.")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    asked = parts.add_parser("engines")
    asked.add_argument("--documents", type=int, default=640)
    asked = parts.add_parser("growth")
    asked.add_argument("--documents", type=int, nargs="+", default=[1000, 10_000])
    asked = parts.add_parser("index")
    asked.add_argument("--sentences", type=int, nargs="+", default=[1_000_000, 10_000_000])
    asked.add_argument("--store", help="an address; by default a temporary folder")
    asked.add_argument("--s3", action="store_true", help="at a server on this machine that speaks S3 (moto)")
    asked = parts.add_parser("plan")
    asked.add_argument("--abstracts", type=int, default=38_000_000)
    asked.add_argument("--rate", type=float, default=21.0, help="abstracts a second on one core")
    asked.add_argument("--pairs", type=float, default=19.8, help="pairs of an abstract, for BERT")
    asked.add_argument("--bert-ms", type=float, default=48.2, help="milliseconds that BERT-base takes for a pair")
    asked.add_argument("--price", type=float, default=0.04, help="of a core-hour, in any currency")
    chosen = parser.parse_args()
    if chosen.part == "engines":
        engines(chosen.documents)
    elif chosen.part == "growth":
        growth(chosen.documents)
    elif chosen.part == "index":
        with s3_bucket() if chosen.s3 else nullcontext(chosen.store) as root:
            large_store(chosen.sentences, root)
    else:
        plan(chosen.abstracts, chosen.rate, chosen.pairs, chosen.bert_ms, chosen.price)


if __name__ == "__main__":
    main()
