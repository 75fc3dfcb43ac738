"""Is one row of an ablation better than another? Two paired tests, numpy only.

In: the scores of two systems fold by fold, or their predictions on one test part. Out: the mean difference and the
probability of one at least as large if the systems were alike.

*Several folds.* The training parts of folds overlap, so the folds' differences are not independent, and the usual
paired t-test finds far too many differences. The corrected resampled t-test (Nadeau and Bengio 2003, "Inference for the
Generalization Error", Machine Learning 52, section 3.2) widens the variance of the mean of J differences from 1/J to
1/J + n_test/n_train. Seeds are averaged within a fold first, because they share its test part and add no fold.

*One released split.* Approximate randomisation (Noreen 1989; Yeh 2000, "More accurate tests for the statistical
significance of result differences", COLING): swap the two systems' outputs at random and count how often the
difference comes out as large. It tests micro-F1 itself, which is what is reported; McNemar's test compares accuracies,
and where three of four instances are negative either can differ without the other. Sentences are swapped whole: the
pairs of one sentence are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.errors import UsageError

RESAMPLED, RANDOMISED = "corrected resampled t-test", "approximate randomisation"
SHUFFLES = 9_999
_CHUNK = 500  # shuffles at a time


@dataclass(frozen=True, slots=True)
class Comparison:
    """A paired test between two systems.

    Attributes:
        method: :data:`RESAMPLED` or :data:`RANDOMISED`.
        difference: mean score of the first less that of the second.
        p: two-sided p-value; None where the data do not allow the test (a single fold for the t-test).
        pairs: number of folds, or of sentences.
    """

    method: str
    difference: float
    p: float | None
    pairs: int


def resampled_t_test(first: Sequence[float], second: Sequence[float], test_to_train: float) -> Comparison:
    """Compare two systems by their scores on the same folds.

    Args:
        first, second: scores of the two systems, fold by fold.
        test_to_train: number of test instances of a fold divided by its number of training instances (1/9 for ten
            folds).

    Raises:
        UsageError: unequal numbers of folds, or none.
    """
    if len(first) != len(second) or not len(first):
        raise UsageError(f"{len(first)} and {len(second)} scores cannot be compared fold by fold.")
    differences = np.subtract(first, second)
    mean, count = float(differences.mean()), len(differences)
    if count < 2:
        return Comparison(RESAMPLED, mean, None, count)
    variance = float(differences.var(ddof=1)) * (1 / count + test_to_train)
    if variance <= np.finfo(float).eps ** 2:  # all folds differ by the same amount
        return Comparison(RESAMPLED, mean, 1.0 if abs(mean) < np.finfo(float).eps else 0.0, count)
    return Comparison(RESAMPLED, mean, student_t_tail(mean / math.sqrt(variance), count - 1), count)


def student_t_tail(t: float, degrees: int) -> float:
    """Return the probability that \\|T\\| >= \\|t\\| for Student's t with ``degrees`` degrees of freedom.

    With T = sqrt(degrees) tan(u) the density becomes cos(u) ** (degrees - 1) on (-pi/2, pi/2), which Gauss-Legendre
    quadrature integrates to ten digits.
    """
    nodes, weights = np.polynomial.legendre.leggauss(200)

    def area(low: float, high: float) -> float:
        half = (high - low) / 2
        angles = (high + low) / 2 + half * nodes
        return float(half * (weights * np.cos(angles) ** (degrees - 1)).sum())

    start = math.atan(abs(t) / math.sqrt(degrees))
    return area(start, math.pi / 2) / area(0, math.pi / 2)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The predictions of one trained head on a test part.

    Attributes:
        gold: label numbers. Shape: (n,).
        predicted: label numbers. Shape: (n,).
    """

    gold: NDArray[np.int64]
    predicted: NDArray[np.int64]


def randomisation_test(
    first: Sequence[Scored],
    second: Sequence[Scored],
    positive: Sequence[int],
    sentences: NDArray[np.int64],
    *,
    shuffles: int = SHUFFLES,
) -> Comparison:
    """Compare two systems by micro-F1 on one test part.

    Args:
        first, second: the predictions of each system, one entry a seed; the instances in one order.
        positive: numbers of the labels that F1 counts.
        sentences: number of each instance's sentence, from 0. Shape: (n,).
        shuffles: number of random swaps; the smallest p is 1 / (shuffles + 1).

    Raises:
        UsageError: unequal numbers of seeds, or none, or gold labels that differ.
    """
    if len(first) != len(second) or not first:
        raise UsageError(f"{len(first)} and {len(second)} seeds cannot be compared one by one.")
    if any(not np.array_equal(each.gold, first[0].gold) for each in (*first, *second)):
        raise UsageError("the two systems were evaluated on different instances, or on different gold labels.")
    gold = int(np.isin(first[0].gold, positive).sum())
    # Shape: (2 systems, seeds, 2 counts, sentences); the counts are true positives and predicted positives.
    counts = np.array(
        [[counts_by_sentence(each, positive, sentences)[:2] for each in system] for system in (first, second)]
    )
    observed = _difference(counts.sum(-1), gold)
    rng = np.random.default_rng(0)
    moved = counts[1] - counts[0]
    larger = 0
    for start in range(0, shuffles, _CHUNK):
        masks = rng.integers(0, 2, (min(_CHUNK, shuffles - start), counts.shape[-1])).astype(np.float64)
        shift = np.moveaxis(moved @ masks.T, -1, 0)  # (shuffles, seeds, 2)
        swapped = np.stack([counts[0].sum(-1) + shift, counts[1].sum(-1) - shift])
        # Differences that are equal except for rounding count as equal.
        larger += int((np.abs(_difference(swapped, gold)) >= abs(observed) - 1e-12).sum())
    return Comparison(RANDOMISED, float(observed), (larger + 1) / (shuffles + 1), counts.shape[-1])


def counts_by_sentence(scored: Scored, positive: Sequence[int], sentences: NDArray[np.int64]) -> NDArray[np.float64]:
    """Count true positives, predicted positives and gold positives sentence by sentence.

    Args:
        scored: predictions.
        positive: numbers of the labels that F1 counts.
        sentences: number of each instance's sentence, from 0. Shape: (n,).

    Returns:
        The three counts. Shape: (3, sentences).
    """
    predicted = np.isin(scored.predicted, positive)
    hits = predicted & (scored.predicted == scored.gold)
    gold = np.isin(scored.gold, positive)
    size = int(sentences.max()) + 1
    return np.stack([np.bincount(sentences, weights=marks, minlength=size) for marks in (hits, predicted, gold)])


def number_sentences(ids: Sequence[str], sentence_of: Mapping[str, str]) -> NDArray[np.int64]:
    """Return the number of each instance's sentence, from 0 in the order in which the sentences first occur.

    Args:
        ids: the instances.
        sentence_of: the sentence of each instance, by its id. An instance that is missing is a sentence of its own.
    """
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(sentence_of.get(i, i), len(numbers)) for i in ids], dtype=np.int64)


def _difference(counts: NDArray[np.float64], gold: int) -> NDArray[np.float64]:
    """Return the difference in micro-F1, mean over seeds; Shape: (2, .., seeds, 2) -> (..)."""
    f1 = 2 * counts[..., 0] / np.maximum(counts[..., 1] + gold, 1)
    result: NDArray[np.float64] = (f1[0] - f1[1]).mean(-1)
    return result


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values for the number of tests (Holm 1979); None stays None."""
    known = sorted((value, n) for n, value in enumerate(p) if value is not None)
    adjusted: list[float | None] = [None] * len(p)
    highest = 0.0
    for place, (value, n) in enumerate(known):
        highest = max(highest, min(1.0, value * (len(known) - place)))
        adjusted[n] = highest
    return adjusted
