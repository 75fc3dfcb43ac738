"""Precision, recall and F1 with *named* positive labels. Numpy only.

In: gold and predicted label numbers, the names of all labels, and which of them the corpus's official score counts:
``("1",)`` for GAD (the F1 of class 1), the five scored groups for ChemProt (micro over them, the evaluation kit's
choice). Out: the micro figures over those labels, the same figures for each class, the macro mean, the confusion matrix
and the kinds of errors on positives. Nothing is guessed: the caller names the positive labels, and a figure that is not
defined (the precision of a class that was never predicted) is None, not 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.errors import UsageError


@dataclass(frozen=True, slots=True)
class Scores:
    """Precision, recall and F1 of one label or of several together; None where a denominator is 0.

    Attributes:
        precision: tp / predicted.
        recall: tp / gold.
        f1: 2 tp / (predicted + gold).
        gold: number of instances that have the label.
        predicted: number of instances for which it was predicted.
        tp: number of instances for which both agree.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    gold: int
    predicted: int
    tp: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """The measurements of an evaluation.

    Attributes:
        micro: over the positive labels together: the official score.
        macro_f1: mean of the positive labels' F1; None if one of them has none.
        accuracy: share of all instances that are predicted correctly.
        per_class: every label, in the order given.
        labels: the order of ``confusion``.
        positive: the labels that ``micro`` and ``macro_f1`` count.
        confusion: counts; row gold, column predicted.
        missed: number of instances of a positive label for which another label was predicted.
        missed_as_negative: share of ``missed`` for which no positive label was predicted ("no relation"); None if
            nothing was missed.
    """

    micro: Scores
    macro_f1: float | None
    accuracy: float
    per_class: dict[str, Scores]
    labels: tuple[str, ...]
    positive: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    missed: int
    missed_as_negative: float | None


def score(
    gold: NDArray[np.integer], predicted: NDArray[np.integer], labels: Sequence[str], positive: Sequence[str]
) -> Metrics:
    """Compare predictions with the gold labels.

    Args:
        gold: label numbers, that is, positions in ``labels``. Shape: (n,), n > 0.
        predicted: the same. Shape: (n,).
        labels: all labels.
        positive: the labels that count, each one of ``labels``.

    Raises:
        UsageError: there are no instances, the lengths differ, a number is not that of a label, or a positive label is
            unknown.
    """
    if len(gold) != len(predicted) or not len(gold):
        raise UsageError(f"{len(gold)} gold labels and {len(predicted)} predictions cannot be scored.")
    if not set(positive) <= set(labels) or not positive:
        raise UsageError(f"the positive labels {', '.join(positive) or '(none)'} are not among {', '.join(labels)}.")
    for numbers in (gold, predicted):
        if numbers.min() < 0 or numbers.max() >= len(labels):
            raise UsageError(f"label numbers run from 0 to {len(labels) - 1}; -1 stands for an instance without label.")
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, (gold, predicted), 1)
    counts = np.stack([confusion.sum(1), confusion.sum(0), confusion.diagonal()])  # gold, predicted, tp

    is_positive = np.array([label in positive for label in labels])
    per_class = {label: scores(*counts[:, n]) for n, label in enumerate(labels)}
    f1s = [per_class[label].f1 for label in positive]
    defined = [f1 for f1 in f1s if f1 is not None]
    missed = int(counts[0, is_positive].sum() - counts[2, is_positive].sum())
    as_negative = int(confusion[np.ix_(is_positive, ~is_positive)].sum())
    return Metrics(
        micro=scores(*counts[:, is_positive].sum(1)),
        macro_f1=sum(defined) / len(defined) if len(defined) == len(f1s) else None,
        accuracy=float(confusion.trace() / len(gold)),
        per_class=per_class,
        labels=tuple(labels),
        positive=tuple(positive),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        missed=missed,
        missed_as_negative=_ratio(as_negative, missed),
    )


def scores(gold: int, predicted: int, tp: int) -> Scores:
    """Return the scores of these counts."""
    return Scores(
        precision=_ratio(tp, predicted),
        recall=_ratio(tp, gold),
        f1=_ratio(2 * tp, predicted + gold),
        gold=int(gold),
        predicted=int(predicted),
        tp=int(tp),
    )


def _ratio(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
