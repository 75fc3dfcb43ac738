"""Whether memory and the cost of a document stay flat from a thousand documents to a million.

In: nothing that the package does not bring. Documents are generated: two short sentences of words of the vocabulary,
with a number of their own, so that no two sentences are the same. The encoder is GloVe, the lightest. Out: a table with
a line whenever the number of documents has grown tenfold. ``python benchmarks/scale.py growth`` runs it.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from classifier.extract import ExtractionJob, Extractor, extract_files
from featstore.encoders import load_encoder
from featstore.featurize.encode import encode_missing
from featstore.markdown import markdown_table
from featstore.records import sentence_key
from featstore.stores import FeatureMeta, create_store, list_sets

PORTION = 5000  # documents that are encoded together
WORDS = ("the", "cells", "we", "found", "protein", "expression", "was", "increased", "by", "binding", "its", "receptor")


class Meter:
    """Prints what was spent, and how much memory is in use, whenever the documents have grown tenfold."""

    def __init__(self, first: int) -> None:
        self._next, self._documents, self._spent = first, 0, time.process_time()
        self.rows: list[list[str]] = []

    def __call__(self, documents: int, total: int | None = None) -> None:
        del total
        if documents < self._next:
            return
        spent = time.process_time()
        cost = 1000 * (spent - self._spent) / (documents - self._documents)
        now, peak = (_status(field) for field in ("VmRSS", "VmHWM"))
        self.rows.append([f"{documents:,}", f"{cost:.3f} ms", f"{now:.0f} MB", f"{peak:.0f} MB"])
        print(*self.rows[-1], sep=" | ", flush=True)
        self._next, self._documents, self._spent = 10 * self._next, documents, spent

    def table(self) -> str:
        """Return the table."""
        head = ["documents", "processor time of each since the line above", "memory in use", "peak"]
        return markdown_table(head, self.rows)


def _status(field: str) -> float:
    """Return a field of the state of this process in MB."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found
    return 1024 * int(found[1]) / 1e6


def sentences(documents: int) -> Iterator[tuple[str, ...]]:
    """Yield two sentences for each document."""
    draw = random.Random(0)
    for number in range(2 * documents):
        yield ("Case", str(number), *draw.choices(WORDS, k=8), ".")


def grow_featurize(first: int, most: int) -> None:
    """Encode the sentences of documents portion by portion into one feature set."""
    encoder = load_encoder("glove")
    meta = FeatureMeta("glove", encoder.identity, encoder.dim, encoder.layers, "float16", "hdf5", encoder.facts)
    meter, source = Meter(first), sentences(most)
    with tempfile.TemporaryDirectory(dir=".") as root:
        done = 0
        with closing(create_store(root, meta)) as store:
            while part := {sentence_key(text): text for text in islice(source, 2 * min(PORTION, first))}:
                encode_missing(part, encoder, store)
                done += len(part) // 2
                meter(done)
        (info,) = list_sets(root)
        print(f"{info.sentences:,} sentences in {info.shards:,} shards\n\n{meter.table()}")


def grow_extract(first: int, most: int) -> None:
    """Extract from documents of one pair each with a head on GloVe."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        corpus = ["--corpus", "sample:chemprot", "--context", "sentence"]
        training = ["train", "--features", "glove", *corpus, "--max-epochs", "2", "--run", "light"]
        for command in (["featurize", "--encoders", "glove", *corpus], training):
            subprocess.run([sys.executable, "-m", "cli", *command], cwd=folder, check=True, capture_output=True)
        source = Path(folder) / "in.jsonl"
        with source.open("w", encoding="utf-8") as file:
            for number in range(most):
                text = f"In case {number} aspirin inhibited COX-2."
                places = {"CHEMICAL": "aspirin", "GENE": "COX-2"}
                mentions = [
                    {"id": kind, "type": kind, "start": text.index(name), "end": text.index(name) + len(name)}
                    for kind, name in places.items()
                ]
                file.write(json.dumps({"id": str(number), "text": text, "entities": mentions}) + "\n")
        extractor = Extractor.load(Path(folder) / "runs" / "light", tag="never")
        meter = Meter(first)
        extract_files(extractor, ExtractionJob([source], Path(folder) / "out.jsonl", fresh=True), progress=meter)
        meter(most)
        print(meter.table())
