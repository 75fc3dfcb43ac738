"""The paired tests against published quantiles, closed forms and what they must find."""

from __future__ import annotations

import numpy as np
import pytest

from classifier.scores.significance import Scored, holm, randomisation_test, resampled_t_test, student_t_tail
from featstore.errors import UsageError


@pytest.mark.parametrize(
    ("t", "degrees", "p"),
    [  # Student's table; for one degree the closed form 1 - 2 atan(t) / pi
        (2.262157163, 9, 0.05),
        (3.249835542, 9, 0.01),
        (12.70620474, 1, 0.05),
        (2.776445105, 4, 0.05),
        (2.042272456, 30, 0.05),
        (0.0, 3, 1.0),
    ],
)
def test_students_table(t: float, degrees: int, p: float) -> None:
    assert student_t_tail(t, degrees) == pytest.approx(p, rel=1e-6)
    assert student_t_tail(-t, degrees) == student_t_tail(t, degrees)


def test_the_correction_for_folds_that_share_data() -> None:
    first, second = [0.80, 0.82, 0.79, 0.83, 0.81], [0.78, 0.81, 0.78, 0.80, 0.80]
    corrected = resampled_t_test(first, second, 0.25)
    # d = .02 .01 .01 .03 .01: mean .016, variance 8e-5; t = .016 / sqrt(8e-5 (1/5 + 1/4)) = 2.66667, 4 degrees
    assert corrected.difference == pytest.approx(0.016)
    assert corrected.p == pytest.approx(0.0560, abs=5e-5)
    uncorrected = resampled_t_test(first, second, 0.0)
    assert uncorrected.p is not None
    assert corrected.p is not None
    assert uncorrected.p < 0.02 < 0.05 < corrected.p


def test_folds_that_allow_no_variance() -> None:
    assert resampled_t_test([0.5], [0.4], 0.1).p is None
    assert resampled_t_test([0.5, 0.5], [0.5, 0.5], 0.1).p == 1.0
    assert resampled_t_test([0.5, 0.625], [0.25, 0.375], 0.1).p == 0.0
    with pytest.raises(UsageError, match="fold by fold"):
        resampled_t_test([0.5], [], 0.1)


def _predictions(gold: np.ndarray, share: float, seed: int) -> Scored:
    wrong = np.random.default_rng(seed).random(len(gold)) < share
    return Scored(gold, np.where(wrong, (gold + 1) % 3, gold))


def test_randomisation_finds_what_is_there_and_no_more() -> None:
    gold = np.random.default_rng(0).integers(0, 3, 300)
    sentences = np.arange(300)
    good, bad = ([_predictions(gold, share, seed + n) for n in range(2)] for share, seed in ((0.1, 1), (0.4, 5)))
    found = randomisation_test(good, bad, (1, 2), sentences)
    assert found.difference > 0.1
    assert found.p == pytest.approx(1e-4)  # the smallest that 9,999 shuffles allow
    assert randomisation_test(bad, good, (1, 2), sentences).difference == -found.difference
    alike = randomisation_test(good, good[::-1], (1, 2), sentences)
    assert alike.difference == pytest.approx(0)
    assert alike.p == 1.0


def test_randomisation_is_exact_where_all_swaps_can_be_counted() -> None:
    # Two instances, A right on both and B on none: of the four swaps two leave |difference| at 1, so p tends to 1/2.
    gold = np.array([1, 1])
    right, wrong = [Scored(gold, gold)], [Scored(gold, 1 - gold)]
    alone = randomisation_test(right, wrong, (1,), np.array([0, 1]))
    assert alone.difference == 1.0
    assert alone.p == pytest.approx(0.5, abs=0.02)
    # In one sentence they are swapped together: every swap leaves it at 1.
    assert randomisation_test(right, wrong, (1,), np.array([0, 0])).p == 1.0


def test_what_cannot_be_compared() -> None:
    gold = np.array([0, 1])
    one = Scored(gold, gold)
    with pytest.raises(UsageError, match="one by one"):
        randomisation_test([one], [], (1,), gold)
    with pytest.raises(UsageError, match="different instances"):
        randomisation_test([one], [Scored(1 - gold, gold)], (1,), gold)


def test_holms_adjustment() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
