"""Engines against each other: one and two workers, processes of this machine against actors of Ray.

In: featurizing with ELMo and extraction with the model that ships, on synthetic documents. Out: a table of rates.

The rate is that of workers that are all at work: from the moment when as many items have ended as there are workers
until as many are left. What workers need to load, and that one of them waits at the end while the other does the last
item, is in the column `whole` instead; in work that takes hours both are nothing. The processor time of the command
itself, which hands out the work and writes the output, bounds the speed-up: on two cores two workers that take W
seconds together, beside a command that takes C, are at most 2 W / (W + C) times as fast as one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

from synthetic import documents, write_documents

from classifier.extract import ExtractionJob, Extractor, blocks, extract_files
from classifier.extract.models import model_folder
from classifier.extract.workers import BlockWorkers
from featstore.featurize.encode import featurize
from featstore.markdown import markdown_table
from featstore.records import sentence_key
from featstore.scale import Engine, LocalEngine, open_engine

BLOCK = 16  # documents, smaller than usual so that a short run has enough of them to share
SENTENCES = 8  # for each document, to featurize


class Steady:
    """Remembers when how much was done, and tells the rate between its ends."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._heard: list[tuple[float, int]] = []

    def __call__(self, done: int, total: int | None) -> None:
        del total
        if done and (not self._heard or done > self._heard[-1][1]):
            self._heard.append((time.perf_counter(), done))

    @property
    def rate(self) -> float:
        """What was done in a second while all workers were at work."""
        (begun, before), (ended, after) = self._heard[self._workers - 1], self._heard[-self._workers]
        return (after - before) / (ended - begun)


def run_featurize(engine: Engine, folder: Path, number: int, heard: Steady) -> None:
    """Encode sentences."""
    texts = [tuple(document.text.split()[:40]) for document in islice(documents(), SENTENCES * number)]
    unique = {sentence_key(text): text for text in ((*text, str(n)) for n, text in enumerate(texts))}
    featurize(unique, "elmo", root=folder / "features", dtype="float16", backend="hdf5", engine=engine, progress=heard)


def run_extract(engine: Engine, folder: Path, number: int, heard: Steady) -> None:
    """Extract from documents."""
    load = partial(Extractor.load, model_folder("chemprot"), tag="never")
    job = ExtractionJob([write_documents(folder / "in.jsonl", number)], folder / "out.jsonl")
    extract_files(load(), job, workers=BlockWorkers(engine, load), progress=heard)


def engines(number: int) -> None:
    """Compare engines; print a table."""
    blocks.BLOCK_DOCUMENTS = BLOCK
    work: dict[str, Callable[[Engine, Path, int, Steady], None]] = {"featurize": run_featurize, "extract": run_extract}
    rows = []
    for name, run in work.items():
        rates = {}
        for workers in (1, 2):
            for spec in ("local", "ray"):
                begun, heard = time.perf_counter(), Steady(workers)
                with tempfile.TemporaryDirectory() as folder, open_engine(spec, workers) as opened:
                    spent = time.process_time()
                    run(opened or LocalEngine(1), Path(folder), number, heard)
                    spent = time.process_time() - spent
                rates[spec, workers] = rate = heard.rate
                speed_up, against = rate / rates[spec, 1], rate / rates["local", workers]
                figures = (f"{rate:.1f}", f"{speed_up:.2f}", f"{against:.2f}", f"{time.perf_counter() - begun:.0f} s")
                rows.append([name, spec, str(workers), *figures, f"{spent:.1f} s"])
                print(*rows[-1], flush=True)
    head = ["work", "engine", "workers", "items/s", "times one worker", "times local", "whole", "processor, command"]
    print(markdown_table(head, rows))
