"""Metrics against scikit-learn, and what they say where a figure is not defined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.scores.metrics import Scores, score
from featstore.errors import UsageError

LABELS = ("none", "CPR:3", "CPR:4", "CPR:9")
POSITIVE = LABELS[1:]
pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@settings(deadline=None)  # the first import of scikit-learn takes its time
@given(pairs)
def test_agrees_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    gold, predicted = np.array(pairs).T
    metrics = score(gold, predicted, LABELS, POSITIVE)
    options = {"labels": [1, 2, 3], "zero_division": np.nan}
    micro = precision_recall_fscore_support(gold, predicted, average="micro", **options)[:3]
    for ours, theirs in zip((metrics.micro.precision, metrics.micro.recall, metrics.micro.f1), micro, strict=True):
        assert (ours is None) == np.isnan(theirs)
        assert ours is None or ours == pytest.approx(theirs)
    each = precision_recall_fscore_support(gold, predicted, labels=range(4), zero_division=np.nan)
    for n, label in enumerate(LABELS):
        scores = metrics.per_class[label]
        assert scores.gold == each[3][n]
        assert scores.f1 == (None if np.isnan(each[2][n]) else pytest.approx(each[2][n]))
    assert np.array_equal(metrics.confusion, confusion_matrix(gold, predicted, labels=range(4)))
    assert metrics.accuracy == pytest.approx((gold == predicted).mean())


def test_gad_is_the_score_of_class_1() -> None:
    gold, predicted = np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 1, 0])
    metrics = score(gold, predicted, ("0", "1"), ("1",))
    assert metrics.micro == metrics.per_class["1"]
    assert (metrics.micro.precision, metrics.micro.recall, metrics.micro.tp) == (2 / 3, 2 / 3, 2)
    assert metrics.macro_f1 == metrics.micro.f1


def test_missed_positives_are_told_from_confused_ones() -> None:
    gold = np.array([1, 1, 1, 2, 3, 0, 0])
    predicted = np.array([0, 0, 2, 0, 3, 1, 0])
    metrics = score(gold, predicted, LABELS, POSITIVE)
    assert metrics.missed == 4
    assert metrics.missed_as_negative == pytest.approx(3 / 4)


def test_what_is_not_defined_is_none() -> None:
    metrics = score(np.array([0, 0, 1]), np.array([0, 0, 0]), LABELS, POSITIVE)
    assert metrics.micro == Scores(None, 0.0, 0.0, gold=1, predicted=0, tp=0)
    assert metrics.per_class["CPR:9"] == Scores(None, None, None, 0, 0, 0)
    assert metrics.macro_f1 is None
    assert score(np.array([1]), np.array([1]), LABELS, ("CPR:3",)).missed_as_negative is None


@pytest.mark.parametrize(
    ("gold", "predicted", "positive", "says"),
    [
        ([], [], POSITIVE, "0 gold labels"),
        ([1, 2], [1], POSITIVE, "2 gold labels and 1 predictions"),
        ([1], [1], ("CPR:99",), "CPR:99"),
        ([1], [1], (), "are not among"),
        ([-1], [1], POSITIVE, "without label"),
        ([1], [4], POSITIVE, "from 0 to 3"),
    ],
)
def test_refuses(gold: list[int], predicted: list[int], positive: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        score(np.array(gold, dtype=int), np.array(predicted, dtype=int), LABELS, positive)
