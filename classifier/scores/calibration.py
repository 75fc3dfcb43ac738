"""Whether probabilities are what they say: of all predictions with a probability of 0.8, are four in five right?

In: the probabilities of all labels, and the gold labels. Out: a :class:`Calibration`: predictions in ten bins of their
probability, and three figures over all. Numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.errors import UsageError

BINS = 10
_LEAST = 1e-6  # the digits that predictions are written with; the logarithm of 0 is none


@dataclass(frozen=True, slots=True)
class ProbabilityBin:
    """The predictions whose probability lies in one range.

    Attributes:
        low, high: the range, without ``low``.
        count: number of predictions in it.
        probability: their mean probability; None if there are none.
        accuracy: share of them that is right; None if there are none.
    """

    low: float
    high: float
    count: int
    probability: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far probabilities are from what they say.

    Attributes:
        error: the expected calibration error (Guo et al. 2017, eq. 3): the mean distance between the probability and
            the accuracy of a bin, each bin weighed by its predictions.
        brier: mean squared distance of all labels' probabilities from the truth (Brier 1950), from 0 to 2.
        log_loss: mean negative logarithm of the gold label's probability.
        bins: ten ranges of equal width.
    """

    error: float
    brier: float
    log_loss: float
    bins: tuple[ProbabilityBin, ...]


def calibration(probabilities: NDArray[np.floating], gold: NDArray[np.integer]) -> Calibration:
    """Compare probabilities with the truth.

    Args:
        probabilities: of each label. Shape: (n, labels), n > 0.
        gold: label numbers. Shape: (n,).

    Raises:
        UsageError: there are no predictions, or the lengths differ.
    """
    if len(probabilities) != len(gold) or not len(gold):
        raise UsageError(f"{len(probabilities)} predictions cannot be held against {len(gold)} gold labels.")
    rows = np.arange(len(gold))
    highest, is_right = probabilities.max(1), probabilities.argmax(1) == gold
    edges = np.linspace(0, 1, BINS + 1)
    of_bin = np.clip(np.searchsorted(edges, highest, side="left") - 1, 0, BINS - 1)
    bins = tuple(
        _bin(float(edges[n]), float(edges[n + 1]), highest[of_bin == n], is_right[of_bin == n]) for n in range(BINS)
    )
    truth = np.zeros_like(probabilities)
    truth[rows, gold] = 1
    # A bin's count times its distance is the distance of two sums, which need no bin to be filled.
    distances = [abs(highest[of_bin == n].sum() - is_right[of_bin == n].sum()) for n in range(BINS)]
    return Calibration(
        error=float(sum(distances) / len(gold)),
        brier=float(np.square(probabilities - truth).sum(1).mean()),
        log_loss=float(-np.log(np.maximum(probabilities[rows, gold], _LEAST)).mean()),
        bins=bins,
    )


def _bin(low: float, high: float, probabilities: NDArray[np.floating], is_right: NDArray[np.bool_]) -> ProbabilityBin:
    if not len(probabilities):
        return ProbabilityBin(low, high, 0, None, None)
    return ProbabilityBin(low, high, len(probabilities), float(probabilities.mean()), float(is_right.mean()))
