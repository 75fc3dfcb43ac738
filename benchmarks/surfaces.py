"""What the surfaces of the mentions give away, and what F1 is left on test rows that the training part does not know.

In: runs with all folds evaluated, on a corpus of two labels with tags around the mentions, in the sentence context.
Out, for each run: F1 (mean over folds) on the test rows whose sentence, pair of surfaces, or one surface stands in the
training part, and on the others. Then the F1 of rules that read no sentence: each test row gets the label that most
training rows with the same surface have.

    python benchmarks/surfaces.py RUN..
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.runs.config import read_config, run_corpus
from classifier.runs.results import read_predictions, results_of
from featstore.records import Corpus, Instance

Key = Callable[[Instance], str]


def surface(instance: Instance, span: tuple[int, int]) -> str:
    """Return a mention in small letters, as the encoders saw it."""
    return " ".join(instance.tokens[place] for place in instance.layout[slice(*span)] if place >= 0).lower()


KEYS: dict[str, Key] = {
    "sentence": lambda instance: instance.sentence,
    "pair": lambda instance: f"{surface(instance, instance.head)}|{surface(instance, instance.tail)}",
    "head": lambda instance: surface(instance, instance.head),
    "tail": lambda instance: surface(instance, instance.tail),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path)
    for run in parser.parse_args().runs:
        corpus = run_corpus(read_config(run))
        report(run, corpus)


def report(run: Path, corpus: Corpus) -> None:
    """Print the two tables of a run."""
    place = {instance.id: n for n, instance in enumerate(corpus.instances)}
    label = np.array([corpus.labels.index(instance.label or "") for instance in corpus.instances])
    keys = {name: [key(instance) for instance in corpus.instances] for name, key in KEYS.items()}
    subsets: dict[str, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = {}
    rules: dict[str, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = {}
    for result in results_of(run):
        saved = read_predictions(result)
        test = np.array([place[name] for name in saved.ids])
        train = np.setdiff1d(np.arange(len(label)), test)
        known = {name: np.isin([of[n] for n in test], [of[n] for n in train]) for name, of in keys.items()}
        masks = {"all rows": np.ones(len(test), bool)}
        for name, inside in known.items():
            masks |= {f"{name} in training": inside, f"{name} not in training": ~inside}
        masks["neither sentence nor pair in training"] = ~known["sentence"] & ~known["pair"]
        for name, mask in masks.items():
            subsets.setdefault(name, []).append((saved.gold[mask], saved.predicted[mask]))
        for name, of in keys.items():
            rules.setdefault(name, []).append((saved.gold, majority(of, label, train, test)))
    print(f"\n{run.name}: {len(results_of(run))} folds\n")
    print("| test rows | rows | positive | P | R | F1, mean over folds | F1 of calling all positive |\n|" + "---|" * 7)
    for name, folds in subsets.items():
        rows, positive = sum(len(gold) for gold, _ in folds), sum(int((gold > 0).sum()) for gold, _ in folds)
        precision, recall, f1 = mean_scores(folds)
        print(f"| {name} | {rows:,} | {positive:,} | {precision:.1f} | {recall:.1f} | {f1:.2f} | ", end="")
        print(f"{200 * positive / (rows + positive):.2f} |")
    print("\n| rule: the label of most training rows with the same .. | P | R | F1 |\n|" + "---|" * 4)
    for name, folds in rules.items():
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in mean_scores(folds)) + " |")


def majority(
    of: Sequence[str], label: NDArray[np.int64], train: NDArray[np.int64], test: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return 1 for each test row whose key is positive in half or more of the training rows, or is in none."""
    rows, positive = Counter(of[n] for n in train), Counter(of[n] for n in train if label[n])
    return np.array([int(2 * positive[of[n]] >= rows[of[n]]) for n in test])


def mean_scores(folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> tuple[float, float, float]:
    """Return P, R and F1 of the positive class in per cent, each the mean over the folds that have a positive row."""
    scores = []
    for gold, predicted in folds:
        if not (gold > 0).any():
            continue
        hits, found, true = int((predicted & gold).sum()), int(predicted.sum()), int(gold.sum())
        scores.append((hits / max(found, 1), hits / true, 2 * hits / (found + true)))
    precision, recall, f1 = 100 * np.mean(scores, axis=0)
    return float(precision), float(recall), float(f1)


if __name__ == "__main__":
    main()
