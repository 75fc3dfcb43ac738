"""Scores to probabilities: Platt's sigmoid, one for each machine.

In: scores on instances that the machine was not fitted on. Out: slope and bias of the sigmoid, and with them the
probability of each label.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from classifier.systems.svm.space import Matrix


def sigmoid_of(scores: Matrix, target: NDArray[np.bool_]) -> Matrix:
    """Return slope and bias of the sigmoid that fits the scores best.

    The targets are drawn in a little, as Platt (1999) does it, so that a perfect separation has a finite slope.

    Args:
        scores: Shape: (n,).
        target: whether each is of the machine's label; both must occur. Shape: (n,).
    """
    yes = int(target.sum())
    wanted = np.where(target, (yes + 1) / (yes + 2), 1 / (len(target) - yes + 2))
    spread = max(float(np.abs(scores).max()), 1e-12)
    scaled = scores / spread

    def loss(line: Matrix) -> tuple[float, Matrix]:
        logits = line[0] * scaled + line[1]
        miss = expit(logits) - wanted
        value = (np.logaddexp(0, logits) - wanted * logits).sum()
        return float(value), np.array([(miss * scaled).sum(), miss.sum()])

    start = np.array([0.0, np.log((yes + 1) / (len(target) - yes + 1))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-6, "ftol": 1e-12}).x
    return np.array([found[0] / spread, found[1]])


def sigmoids_of(scores: Matrix, gold: NDArray[np.int64]) -> Matrix:
    """Return the sigmoid of each machine; Shape: scores (n, machines), gold (n,) -> (machines, 2)."""
    labels = [1] if scores.shape[1] == 1 else range(scores.shape[1])
    return np.stack([sigmoid_of(scores[:, n], gold == label) for n, label in enumerate(labels)])


def probabilities_of(scores: Matrix, sigmoids: Matrix) -> Matrix:
    """Return the probability of each label; those of several machines are scaled to sum to one.

    Shape: scores (n, machines), sigmoids (machines, 2) -> (n, labels).
    """
    each = expit(scores * sigmoids[:, 0] + sigmoids[:, 1])
    if each.shape[1] == 1:
        return np.concatenate([1 - each, each], axis=1)
    each = np.maximum(each, 1e-12)
    shares: Matrix = each / each.sum(1, keepdims=True)
    return shares
