"""What an epoch is judged by: the loss and the F1 of predictions for the dev part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from classifier.scores.metrics import score


def loss_and_f1(
    probabilities: NDArray[np.float32], gold: NDArray[np.int64], labels: Sequence[str], positive: Sequence[str]
) -> tuple[float, float]:
    """Return the mean cross-entropy of predictions, and their micro-F1 over the positive labels.

    Args:
        probabilities: of each label. Shape: (n, labels).
        gold: the number of each instance's label. Shape: (n,).
        labels, positive: see :func:`classifier.scores.metrics.score`.
    """
    likelihood = probabilities[np.arange(len(gold)), gold].astype(np.float64)
    loss = float(-np.log(np.maximum(likelihood, np.finfo(np.float32).tiny)).mean())
    f1 = score(gold, probabilities.argmax(1), labels, positive).micro.f1
    assert f1 is not None  # a dev part without positive instances was refused before
    return loss, f1
