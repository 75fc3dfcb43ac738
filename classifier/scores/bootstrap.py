"""How far F1 could lie from the truth: a 95 % interval by the bootstrap over sentences. Numpy only.

In: the predictions of one system on one or several test parts. Out: the interval in which the mean F1 falls in 95 % of
the resamples (the percentile interval; Efron and Tibshirani 1993, section 13.3).

Sentences are drawn with replacement, and all pairs of a sentence go together, because they are not independent of one
another. Each fold's test part is resampled on its own; the seeds of a fold share its resample. The interval therefore
says what another draw of test sentences could give. It says nothing about another draw of training sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.scores.significance import Scored, counts_by_sentence
from featstore.errors import UsageError

RESAMPLES = 2_000
LEVEL = 0.95
_CHUNK = 200  # resamples at a time


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of a score, in shares of 1.

    Attributes:
        low: its lower end.
        high: its upper end.
    """

    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class ScoredFold:
    """The predictions of one system on one test part.

    Attributes:
        seeds: the predictions, one entry for each seed.
        sentences: the number of each instance's sentence, from 0. Shape: (n,).
    """

    seeds: Sequence[Scored]
    sentences: NDArray[np.int64]


def f1_interval(
    folds: Sequence[ScoredFold], positive: Sequence[int], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """Return the 95 % interval of micro-F1, averaged over all seeds of all folds.

    Args:
        folds: the predictions, fold by fold.
        positive: numbers of the labels that F1 counts.
        resamples: how many times the sentences are drawn again.
        seed: seed of the draws; the same seed gives the same interval.

    Returns:
        The interval; None if F1 is defined in no resample, since no instance is positive or predicted as positive.

    Raises:
        UsageError: no folds, or a fold without seeds.
    """
    if not folds or not all(fold.seeds for fold in folds):
        raise UsageError("an interval needs predictions of at least one fold and one seed.")
    rng = np.random.default_rng(seed)
    scores = np.concatenate([_resampled(fold, positive, resamples, rng) for fold in folds], axis=1)
    means = scores.mean(1)  # undefined where one of the cells is
    means = means[np.isfinite(means)]
    if not len(means):
        return None
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def _resampled(
    fold: ScoredFold, positive: Sequence[int], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return F1 of each seed in each resample, NaN where it is not defined; Shape: (resamples, seeds)."""
    counts = np.stack([counts_by_sentence(each, positive, fold.sentences) for each in fold.seeds])
    size = counts.shape[-1]
    parts = []
    for start in range(0, resamples, _CHUNK):
        drawn = rng.multinomial(size, np.full(size, 1 / size), min(_CHUNK, resamples - start))
        hits, predicted, gold = np.moveaxis(counts @ drawn.T, 1, 0)  # each (seeds, resamples of this chunk)
        whole = predicted + gold
        parts.append(np.divide(2 * hits, whole, out=np.full_like(whole, np.nan), where=whole > 0).T)
    return np.concatenate(parts)
