"""How far ``--favour``'s shift can be trusted on a small dev part; judged on dev parts alone.

In: runs that were trained with ``--favour``. Out, for several sizes of the dev part: the F1 on the rest of the dev
parts without a shift, with the shift as it is chosen, and with the shift times n / (n + prior) for several priors.
The dev part of each fold is cut in two many times: ``n`` of its rows choose the shift, and the other rows judge it. No
test part is read.

    python benchmarks/favour.py RUN.. --store features [--sizes 30,120,240] [--rounds 40]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.data.features import open_features
from classifier.data.split import training_parts
from classifier.data.vectors import DistinctSentences
from classifier.runs.checkpoint import Checkpoint, load_checkpoint
from classifier.runs.classify import classify
from classifier.runs.config import read_config, run_corpus
from classifier.scores.metrics import score
from classifier.training.favour import best_shift

PRIORS = (0, 50, 100, 200, 400)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--store", default="features")
    parser.add_argument("--sizes", default="30,120,240")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    print(f"{'run':32} {'n':>5} {'judged':>6} {'none':>7}" + "".join(f"{f'prior {p}':>11}" for p in PRIORS))
    for run in options.runs:
        folds = dev_parts(run, options.store)
        for size in map(int, options.sizes.split(",")):
            rows = judged(folds, size, options.rounds)
            if len(rows):
                rest = np.mean([len(gold) - size for _, gold, _ in folds if len(gold) > size])
                print(f"{run.name:32} {size:5} {rest:6.0f} " + " ".join(f"{100 * f1:7.2f}   " for f1 in rows.mean(0)))


def dev_parts(run: Path, store: str) -> list[tuple[NDArray[np.float32], NDArray[np.int64], Checkpoint]]:
    """Return for each fold the dev part's probabilities without the shift, its labels and the checkpoint."""
    config = read_config(run)
    corpus = run_corpus(config)
    parts = []
    for folder in sorted(run.glob("fold-*")):
        checkpoint = load_checkpoint(folder)
        _, dev = training_parts(corpus, checkpoint.fold, config.train.dev_share)
        instances = [corpus.instances[position] for position in dev]
        keys = DistinctSentences.of(instances).keys
        with open_features(checkpoint.parsed_features, store, keys, "cli featurize", checkpoint.features) as stores:
            found = classify(checkpoint, instances, stores).probabilities
        favoured = np.array([label in checkpoint.positive for label in checkpoint.labels])
        plain = found * np.exp(-checkpoint.training.shift * favoured)
        gold = np.array([checkpoint.labels.index(instance.label or "") for instance in instances])
        parts.append(((plain / plain.sum(1, keepdims=True)).astype(np.float32), gold, checkpoint))
    return parts


def judged(
    folds: list[tuple[NDArray[np.float32], NDArray[np.int64], Checkpoint]], size: int, rounds: int
) -> NDArray[np.float64]:
    """Return the F1 of each fold's mean over ``rounds`` cuts. Shape: (folds, 1 + priors)."""
    rng = np.random.default_rng(1)
    rows = []
    for found, gold, checkpoint in folds:
        if len(gold) <= size:
            continue
        favoured = np.array([label in checkpoint.positive for label in checkpoint.labels])
        f1 = np.zeros((rounds, 1 + len(PRIORS)))
        for n in range(rounds):
            order = rng.permutation(len(gold))
            chosen, rest = order[:size], order[size:]
            shift = best_shift(found[None, chosen], gold[chosen], checkpoint.labels, checkpoint.positive)
            for k, by in enumerate((0.0, *(shift * size / (size + prior) for prior in PRIORS))):
                predicted = (found[rest] * np.exp(by * favoured)).argmax(1)
                f1[n, k] = score(gold[rest], predicted, checkpoint.labels, checkpoint.positive).micro.f1 or 0.0
        rows.append(f1.mean(0))
    return np.array(rows)


if __name__ == "__main__":
    main()
