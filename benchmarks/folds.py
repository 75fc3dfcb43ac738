"""How far the folds of a corpus differ by their test parts, and how far by the runs.

In: two or more runs that have the same folds evaluated. Out: the mean F1 of each fold over the runs; the deviation of
these means; the deviation of what is left when the mean of the fold and that of the run are taken from each F1; and the
deviation that F1 has when the rows of a test part are drawn anew with replacement, the mean over runs and folds.

    python benchmarks/folds.py RUN RUN.. [--draws 400]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from classifier.runs.results import FoldResult, read_predictions, results_of
from classifier.scores.metrics import score
from featstore.errors import UsageError


def deviation_of_draws(result: FoldResult, draws: int) -> float:
    """Return the sample deviation of F1 over draws of a fold's test rows."""
    saved, random = read_predictions(result), np.random.default_rng(result.fold)
    labels, positive = result.metrics.labels, result.metrics.positive
    rows = random.integers(len(saved.gold), size=(draws, len(saved.gold)))
    f1 = [score(saved.gold[drawn], saved.predicted[drawn], labels, positive).micro.f1 or 0.0 for drawn in rows]
    return float(np.std(f1, ddof=1))


def main() -> None:
    """Print the table and the deviations, in points of F1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--draws", type=int, default=400, help="draws of each test part")
    given = parser.parse_args()
    runs = [results_of(run) for run in given.runs]
    folds = [result.fold for result in runs[0]]
    if len(runs) < 2 or len(folds) < 2 or any([result.fold for result in run] != folds for run in runs):
        raise UsageError("name two or more runs that have the same folds evaluated, two or more of them.")
    f1 = 100 * np.array([[result.metrics.micro.f1 or 0.0 for result in run] for run in runs])
    rest = f1 - f1.mean(0) - f1.mean(1, keepdims=True) + f1.mean()
    left = np.sqrt((rest**2).sum() / ((len(runs) - 1) * (len(folds) - 1)))
    drawn = [100 * deviation_of_draws(result, given.draws) for run in runs for result in run]
    print("| fold | " + " | ".join(map(str, folds)) + " |\n|" + "---|" * (len(folds) + 1))
    print("| mean F1 | " + " | ".join(f"{value:.2f}" for value in f1.mean(0)) + " |\n")
    print(f"deviation of these means {f1.mean(0).std(ddof=1):.2f}")
    print(f"deviation of what a run adds {left:.2f}")
    print(f"deviation over draws of a test part {np.mean(drawn):.2f}")


if __name__ == "__main__":
    main()
