"""Relations from plain text against relations with given mentions: F1 and time on ChemProt's test abstracts.

In: ChemProt (``--corpus DIR``), the models that come with featstore or others. Out: precision, recall and F1 of the
relations over the whole gold standard of the test part: with the annotated mentions, with those that the tagger finds
in all sentences, and with those that it finds in the sentences that are likely to hold a pair; and what an abstract
costs, by processor time on one thread: encoding, tagging (the sentence filter with it) and relations apart. The three
take turns, a slice of the abstracts each, so that other work on the machine slows all of them.

A relation is right if its label is the gold one and both mentions are the gold arguments: *exact* the same characters,
*relaxed* at least one character in common. A gold relation that no candidate covers (across sentences, or a mention
that was not found) counts as missed.

    python benchmarks/plain_text.py --corpus DIR [--model data/models/chemprot] [--tagger FOLDER] [--documents 800]
        [--part test]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from classifier.entities.encoding import Encoding
from classifier.entities.sentences import sentences_of
from classifier.entities.tagger import Tagger
from classifier.extract.extractor import Extractor
from classifier.extract.wanted import Extraction
from featstore.bundled import bundled
from featstore.corpora.chemprot_files import ChemProtFiles, read_release
from featstore.documents import Document

SLICE = 80  # abstracts
Span = tuple[int, int]
Stated = tuple[str, str, Span, Span]  # document, label, head, tail


class Clock:
    """Processor time spent in some methods, what they call in each other subtracted."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._since = 0.0

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Count the time in a method of a class under a name."""
        inner: Callable[..., Any] = getattr(owner, method)

        def timed(*args: Any, **options: Any) -> Any:
            self._turn(name)
            try:
                return inner(*args, **options)
            finally:
                self._turn(None)

        setattr(owner, method, timed)

    def total(self, run: Callable[[], Any], name: str) -> Any:
        """Run something whose time counts under ``name`` where it counts under no other."""
        self._turn(name)
        try:
            return run()
        finally:
            self._turn(None)

    def _turn(self, name: str | None) -> None:
        now = time.process_time()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now
        if name is None:
            self._running.pop()
        else:
            self._running.append(name)


def said_by(results: Sequence[Any]) -> set[Stated]:
    """Return what a model says of documents."""
    return {
        (result.document.id, r.label, (r.head.start, r.head.end), (r.tail.start, r.tail.end))
        for result in results
        if isinstance(result, Extraction)
        for r in result.relations
    }


def gold_of(release: ChemProtFiles, documents: Sequence[Document]) -> set[Stated]:
    """Return what the gold standard says of them."""
    wanted = {document.id for document in documents}
    spans = {
        (pmid, id_): (entity.start, entity.end)
        for pmid, found in release.entities.items()
        for id_, entity in found.items()
    }
    return {
        (pmid, label, spans[pmid, head], spans[pmid, tail])
        for (pmid, head, tail), labels in release.gold.items()
        if pmid in wanted
        for label in labels
    }


def touches(one: Stated, others: Sequence[Stated]) -> bool:
    """Tell whether a relation has its document, its label and a character of each mention in common with another."""
    return any(all(a < d and c < b for (a, b), (c, d) in zip(one[2:], other[2:], strict=True)) for other in others)


def score(said: set[Stated], gold: set[Stated], relaxed: bool) -> tuple[float, float, float]:
    """Return precision, recall and F1."""
    if not relaxed:
        right = found = len(said & gold)
    else:
        by_key: dict[tuple[str, str], tuple[list[Stated], list[Stated]]] = {}
        for n, group in enumerate((said, gold)):
            for stated in group:
                by_key.setdefault(stated[:2], ([], []))[n].append(stated)
        right = sum(touches(one, theirs) for ours, theirs in by_key.values() for one in ours)
        found = sum(touches(one, ours) for ours, theirs in by_key.values() for one in theirs)
    precision, recall = right / max(1, len(said)), found / max(1, len(gold))
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


@dataclass(slots=True)
class Measured:
    """A way to get at the relations, what it said so far, and the seconds that it took, by what for."""

    name: str
    extractor: Extractor
    documents: Sequence[Document]
    results: list[Any] = field(default_factory=list)
    seconds: Counter[str] = field(default_factory=Counter)

    def go_on(self, clock: Clock, first: int) -> None:
        """Extract from a slice of the documents."""
        part = self.documents[first : first + SLICE]
        clock.seconds.clear()
        self.results += clock.total(lambda: list(self.extractor.extract_documents(part)), "relations")
        self.seconds.update(clock.seconds)

    def rows(self, gold: set[Stated]) -> list[str]:
        """Return its two rows of the table."""
        count, said = len(self.documents), said_by(self.results)
        ms = [1000 * self.seconds[part] / count for part in ("encoding", "tagging", "relations")]
        times = " | ".join(f"{value:.1f}" for value in (*ms, sum(ms)))
        rest = {"exact": f"{times} | {1000 / sum(ms):.1f}", "relaxed": " | | | |"}
        rows = []
        for match, last in rest.items():
            figures = " | ".join(f"{100 * value:.2f}" for value in score(said, gold, match == "relaxed"))
            rows.append(f"| {self.name} | {match} | {figures} | {last} |")
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="the folder of ChemProt")
    parser.add_argument("--model", type=Path, default=bundled("models/chemprot"))
    parser.add_argument("--tagger", type=Path, default=bundled("models/tagger"))
    parser.add_argument("--documents", type=int, default=800)
    parser.add_argument("--part", default="test", help="the part of ChemProt")
    options = parser.parse_args()
    torch.set_num_threads(1)
    release = read_release(options.corpus)
    given = [document for document in release.documents.values() if document.split == options.part][: options.documents]
    gold = gold_of(release, given)
    plain = [replace(document, entities=()) for document in given]
    extractor = Extractor.load(options.model, tag="never")
    # Encoders of their own: what one has kept of the words must not save another the work.
    every, likely = (
        Extractor.load(options.model, tagger=options.tagger, sentences=sentences) for sentences in ("all", "likely")
    )
    clock = Clock()
    clock.watch(Encoding, "fill", "encoding")
    clock.watch(Tagger, "tag_window", "tagging")
    tokens = sum(len(document.text.split()) for document in given)
    print(f"{len(given)} abstracts, {tokens / len(given):.0f} words each, {len(gold):,} gold relations\n")
    runs = [
        Measured("annotated", extractor, given),
        Measured("found in all sentences", every, plain),
        Measured("found in likely sentences", likely, plain),
    ]
    for first in range(0, len(given), SLICE):
        for run in runs:
            run.go_on(clock, first)
    print("| mentions | match | P | R | F1 | ms an abstract: encoding | tagging | relations | all | abstracts/s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for run in runs:
        print("\n".join(run.rows(gold)))
    sentences = sum(len(list(sentences_of(document))) for document in plain)
    unread = sum(result.document.unread for result in runs[-1].results if isinstance(result, Extraction))
    print(f"\nof {sentences:,} sentences {unread:,} ({100 * unread / sentences:.1f} %) were not read in the last row")
    given_time = sum(runs[0].seconds.values())
    more = " and ".join(f"{100 * (sum(run.seconds.values()) / given_time - 1):+.0f} %" for run in runs[1:])
    print(f"against given mentions it takes {more} of the time")


if __name__ == "__main__":
    main()
