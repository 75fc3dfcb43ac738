"""Probabilities are held against the truth: by hand, and for whatever predictions there may be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.scores.calibration import BINS, calibration
from featstore.errors import UsageError


def test_by_hand() -> None:
    found = calibration(np.array([[0.95, 0.05], [0.85, 0.15], [0.25, 0.75], [0.9, 0.1]]), np.array([0, 1, 1, 0]))
    assert [each.count for each in found.bins] == [0] * 7 + [1, 2, 1]  # the upper end belongs to the bin
    assert [each.probability for each in found.bins[7:]] == pytest.approx([0.75, 0.875, 0.95])
    assert [each.accuracy for each in found.bins[7:]] == [1.0, 0.5, 1.0]
    assert found.error == pytest.approx((0.25 + 2 * 0.375 + 0.05) / 4)
    assert found.brier == pytest.approx(2 * (0.05**2 + 0.85**2 + 0.25**2 + 0.1**2) / 4)
    assert found.log_loss == pytest.approx(-sum(map(math.log, (0.95, 0.15, 0.75, 0.9))) / 4)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(0, 2)), min_size=1))
def test_every_prediction_is_in_one_bin(rows: list[tuple[int, int, int]]) -> None:
    logits = np.array([[first / 10, second / 10, 1.0] for first, second, _ in rows])
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = calibration(probabilities, np.array([gold for _, _, gold in rows]))
    assert len(found.bins) == BINS
    assert sum(each.count for each in found.bins) == len(rows)
    for each in found.bins:
        assert each.probability is None or each.low - 1e-9 < each.probability <= each.high + 1e-9
    distances = [each.count * abs((each.probability or 0) - (each.accuracy or 0)) for each in found.bins]
    assert found.error == pytest.approx(sum(distances) / len(rows))
    assert 0 <= found.error <= 1
    assert 0 <= found.brier <= 2


def test_sure_and_right_is_perfect_and_sure_and_wrong_is_finite() -> None:
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert (calibration(sure, np.array([0, 1])).error, calibration(sure, np.array([0, 1])).brier) == (0, 0)
    wrong = calibration(sure, np.array([1, 0]))
    assert (wrong.error, wrong.brier) == (1, 2)
    assert math.isfinite(wrong.log_loss)
    with pytest.raises(UsageError, match="2 predictions cannot be held against 1 gold labels"):
        calibration(sure, np.array([0]))
