"""Engines against each other: one and two workers, processes of this machine against actors of Ray.

In: featurizing with ELMo and extraction with the model that ships, on synthetic documents. Out: a table of rates.

The rate is that of workers that are all at work: from the moment when as many items have ended as there are workers
until as many are left. What workers need to load, and that one of them waits at the end while the other does the last
item, is in the column `whole` instead; in work that takes hours both are nothing. Two workers that end their items at
the same moments are one item short at an end of that time, so there must be many items: with 20 of them a perfect
speed-up of 2 is measured as 1.9. The processor time of the command itself, which hands out the work and writes the
output, bounds the speed-up as far as it falls into the same time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice, product
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
SENTENCES = 24  # for each document, to featurize; a sentence takes much less than a document


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


Run = Callable[[Engine, str, Steady], None]  # what it does, under the name of the turn


def featurizing(folder: Path, number: int) -> Run:
    """Return what encodes sentences that share neither their beginnings nor their ends."""
    texts = [document.text.split()[:40] for document in islice(documents(), 200)]
    given = ((str(n), *texts[n % len(texts)], str(n)) for n in range(SENTENCES * number))
    unique = {sentence_key(text): text for text in given}

    def run(engine: Engine, turn: str, heard: Steady) -> None:
        root = folder / f"features-{turn}"
        featurize(unique, "elmo", root=root, dtype="float16", backend="hdf5", engine=engine, progress=heard)

    return run


def extracting(folder: Path, number: int) -> Run:
    """Return what extracts from documents."""
    load = partial(Extractor.load, model_folder("chemprot"), tag="never")
    source = write_documents(folder / "in.jsonl", number)

    def run(engine: Engine, turn: str, heard: Steady) -> None:
        job = ExtractionJob([source], folder / f"out-{turn}.jsonl")
        extract_files(load(), job, workers=BlockWorkers(engine, load), progress=heard)

    return run


WORK = {"featurize": featurizing, "extract": extracting}


def engines(number: int, work: Sequence[str]) -> None:
    """Compare engines at ``work``, names of :data:`WORK`; print a table."""
    blocks.BLOCK_DOCUMENTS = BLOCK
    rows = []
    for name in work:
        rates: dict[tuple[str, int], float] = {}
        with tempfile.TemporaryDirectory() as folder:
            run = WORK[name](Path(folder), number)
            for workers, spec in product((1, 2), ("local", "ray")):
                begun, heard = time.perf_counter(), Steady(workers)
                with open_engine(spec, workers) as opened:
                    spent = time.process_time()
                    run(opened or LocalEngine(1), f"{spec}-{workers}", heard)
                    spent = time.process_time() - spent
                rates[spec, workers] = rate = heard.rate
                speed_up, against = rate / rates[spec, 1], rate / rates["local", workers]
                figures = (f"{rate:.1f}", f"{speed_up:.2f}", f"{against:.2f}", f"{time.perf_counter() - begun:.0f} s")
                rows.append([name, spec, str(workers), *figures, f"{spent:.1f} s"])
                print(*rows[-1], flush=True)
    head = ["work", "engine", "workers", "items/s", "times one worker", "times local", "whole", "processor, command"]
    print(markdown_table(head, rows))
