"""The figures of several folds, summarised.

In: evaluations. Out: mean and standard deviation of the official score over folds, as the paper's Table 2 gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from classifier.scores.metrics import Metrics, Scores


@dataclass(frozen=True, slots=True)
class Summary:
    """Precision, recall and F1 of the positive labels over several folds.

    Attributes:
        folds: number of folds.
        precision, recall, f1: their means; None if the figure is not defined for one of the folds.
        f1_deviation: sample standard deviation of F1; None for one fold.
        missed_as_negative: mean share of the missed positives that were called negative.
    """

    folds: int
    precision: float | None
    recall: float | None
    f1: float | None
    f1_deviation: float | None
    missed_as_negative: float | None


def summarise(metrics: Sequence[Metrics]) -> Summary:
    """Average over folds, each fold with the same weight (BioBERT's ``re_eval`` for GAD)."""
    micro: list[Scores] = [m.micro for m in metrics]
    f1 = [s.f1 for s in micro if s.f1 is not None]
    return Summary(
        folds=len(metrics),
        precision=_mean([s.precision for s in micro]),
        recall=_mean([s.recall for s in micro]),
        f1=_mean([s.f1 for s in micro]),
        f1_deviation=stdev(f1) if len(f1) == len(micro) > 1 else None,
        missed_as_negative=_mean([m.missed_as_negative for m in metrics]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) > 0 else None
