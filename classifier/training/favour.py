"""The readiness of a head to predict a relation, chosen on the dev part.

In: a trained head, a dev part, and which labels count as positive. Out: the same head, with the number added to the
scores of all positive labels that gives the highest dev F1. Training with cross-entropy aims at accuracy. F1 does not
count true negatives, so it is highest if an instance is called positive from a probability of about half the F1 on
(Lipton et al. 2014). This matters if most instances are negative: most errors of the paper are relations that were
predicted as "no relation".

A small dev part cannot choose this number well. The number is therefore shrunk towards 0, as if ``PRIOR`` further
instances had said that none is needed. `benchmarks/favour.py` measures this on dev parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.data.batch import Batcher
from classifier.head.model import AnyHead
from classifier.scores.metrics import score
from classifier.training.predict import predict

SHIFTS = np.linspace(-1.0, 2.0, 61)
PRIOR = 200  # instances; against a dev part of 30 it leaves 13 % of the shift, against one of 2,000 it leaves 91 %
_WINDOW = (
    11  # number of shifts whose F1 is averaged, because on a small dev part the curve is rough and its peak is chance
)


def favour_positive(
    head: AnyHead,
    batcher: Batcher,
    positions: NDArray[np.int64],
    labels: Sequence[str],
    positive: Sequence[str],
) -> float:
    """Add a number to the biases of the positive labels, and return it.

    It is the shift that maximises F1 at ``positions``, times n / (n + ``PRIOR``) for n positions.
    """
    probabilities = np.stack([predict(member, batcher, positions).probabilities for member in head.members])
    shift = best_shift(probabilities, batcher.labels[positions], labels, positive)
    shift *= len(positions) / (len(positions) + PRIOR)
    shift_positive(head, shift, labels, positive)
    return shift


def shift_positive(head: AnyHead, shift: float, labels: Sequence[str], positive: Sequence[str]) -> None:
    """Add ``shift`` to the biases of the positive labels."""
    favoured = np.array([label in positive for label in labels])
    with torch.no_grad():
        for member in head.members:
            member.classifier.bias.add_(torch.from_numpy(shift * favoured))


def best_shift(
    probabilities: NDArray[np.float32], gold: NDArray[np.int64], labels: Sequence[str], positive: Sequence[str]
) -> float:
    """Return the shift of the positive labels' scores with which micro-F1 is highest, smoothed over its neighbours.

    Args:
        probabilities: of each member's labels. Shape: (members, n, labels).
        gold: the label of each instance. Shape: (n,).
        labels, positive: see :func:`classifier.scores.metrics.score`.
    """
    favoured = np.array([label in positive for label in labels])
    f1 = np.zeros(len(SHIFTS))
    for n, shift in enumerate(SHIFTS):
        shifted = probabilities * np.exp(shift * favoured)
        predicted = (shifted / shifted.sum(2, keepdims=True)).mean(0).argmax(1)
        f1[n] = score(gold, predicted, labels, positive).micro.f1 or 0.0
    inner = slice(_WINDOW // 2, len(SHIFTS) - _WINDOW // 2)
    smooth = np.convolve(f1, np.full(_WINDOW, 1 / _WINDOW), mode="valid")
    return float(SHIFTS[inner][smooth.argmax()])
