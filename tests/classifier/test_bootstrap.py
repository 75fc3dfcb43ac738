"""The bootstrap interval of F1 against cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from classifier.scores.bootstrap import Interval, ScoredFold, f1_interval
from classifier.scores.significance import Scored, number_sentences
from featstore.errors import UsageError


def _fold(count: int, seed: int, right: float, pairs: int = 1) -> ScoredFold:
    """Sentences of ``pairs`` instances each, all of one label; a sentence is right or wrong as a whole."""
    rng = np.random.default_rng(seed)
    gold = np.repeat(rng.integers(0, 2, count), pairs)
    hit = np.repeat(rng.random(count) < right, pairs)
    return ScoredFold([Scored(gold, np.where(hit, gold, 1 - gold))], np.repeat(np.arange(count), pairs))


def _width(interval: Interval | None) -> float:
    assert interval is not None
    return interval.high - interval.low


def test_a_perfect_system_has_no_spread() -> None:
    assert f1_interval([_fold(50, 1, right=1.1)], [1]) == Interval(1.0, 1.0)


def test_it_covers_the_true_score_about_as_often_as_it_says() -> None:
    # Gold is positive half of the time and a prediction is right with probability 0.8, so the expected F1 is 0.8.
    inside = [
        interval.low <= 0.8 <= interval.high
        for seed in range(120)
        if (interval := f1_interval([_fold(200, seed, right=0.8)], [1], resamples=200))
    ]
    assert 0.88 <= np.mean(inside) <= 0.99


def test_pairs_of_one_sentence_are_not_independent() -> None:
    alone, together = _fold(100, 3, right=0.7), _fold(100, 3, right=0.7, pairs=9)
    assert _width(f1_interval([together], [1])) == pytest.approx(_width(f1_interval([alone], [1])))
    apart = ScoredFold(together.seeds, np.arange(900))
    assert _width(f1_interval([apart], [1])) < 0.5 * _width(f1_interval([together], [1]))


def test_folds_narrow_it_and_seeds_alone_do_not() -> None:
    one = _fold(100, 4, right=0.7)
    seeds = ScoredFold([*one.seeds, *one.seeds], one.sentences)
    assert f1_interval([seeds], [1]) == f1_interval([one], [1])
    folds = [_fold(100, seed, right=0.7) for seed in range(9)]
    assert _width(f1_interval(folds, [1])) < 0.5 * _width(f1_interval([one], [1]))


def test_what_cannot_be_scored() -> None:
    nothing = ScoredFold([Scored(np.zeros(9, np.int64), np.zeros(9, np.int64))], np.arange(9))
    assert f1_interval([nothing], [1]) is None
    with pytest.raises(UsageError, match="at least one fold"):
        f1_interval([], [1])


def test_sentences_are_numbered_as_they_come() -> None:
    assert number_sentences(["a", "b", "c", "d"], {"a": "x", "b": "y", "c": "x"}).tolist() == [0, 1, 0, 2]
