"""The score over a gold standard that holds more than the instances' labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from classifier.runs.gold_standard import against_gold_standard
from classifier.training.predict import Predictions
from featstore.records import Corpus


def predicted(numbers: list[int]) -> Predictions:
    return Predictions(np.eye(3, dtype=np.float32)[numbers], ())


def test_counts_what_no_instance_covers_and_pairs_with_two_relations(make_corpus: Callable[..., Corpus]) -> None:
    corpus = make_corpus(count=4)
    gold = ["CPR:3", "CPR:3,CPR:4", "", "CPR:4"]
    instances = [replace(i, source={"gold": g}) for i, g in zip(corpus.instances, gold, strict=False)]
    corpus = replace(
        corpus,
        labels=("NONE", "CPR:3", "CPR:4"),
        positive=("CPR:3", "CPR:4"),
        notes={"gold test CPR:3": 3, "gold test CPR:4": 2, "gold dev CPR:3": 9, "gold test CPR:10": 5},
    )
    found = against_gold_standard(corpus, instances, predicted([1, 1, 2, 0]))
    assert found is not None
    assert (found.gold, found.predicted, found.tp) == (5, 3, 2)
    assert found.recall == pytest.approx(2 / 5)


def test_a_corpus_without_one(make_corpus: Callable[..., Corpus]) -> None:
    corpus = make_corpus(count=4)
    assert against_gold_standard(corpus, corpus.instances[:4], predicted([1, 1, 0, 0])) is None
