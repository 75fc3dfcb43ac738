"""The score over a gold standard that holds more than the instances' labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from classifier.runs.gold_standard import against_gold_standard
from classifier.training.predictions import Predictions
from featstore.gold import GoldPair, GoldRelation, GoldStandard, gold_pair
from featstore.records import Corpus

PAIRS = [gold_pair("d", str(n), str(n + 1)) for n in range(4)]


def predicted(numbers: list[int], sureness: list[float] | None = None) -> Predictions:
    """Each instance has the label of its number, with its probability."""
    probabilities = np.eye(3, dtype=np.float32)[numbers]
    if sureness:
        probabilities *= np.array(sureness, dtype=np.float32)[:, None]
    return Predictions(probabilities, ())


def standard(
    make_corpus: Callable[..., Corpus],
    relations: list[tuple[GoldPair, str, str]],
    stands_for: list[tuple[GoldPair, ...]],
) -> Corpus:
    """A corpus of four test instances; what each stands for, and the relations (pair, label, split)."""
    corpus = make_corpus(count=4)
    instances = tuple(replace(i, split="test") for i in corpus.instances[:4])
    return replace(
        corpus,
        instances=instances,
        labels=("NONE", "CPR:3", "CPR:4"),
        positive=("CPR:3", "CPR:4"),
        gold=GoldStandard(
            tuple(GoldRelation(*relation) for relation in relations),
            {i.id: pairs for i, pairs in zip(instances, stands_for, strict=True)},
        ),
    )


def test_counts_what_no_instance_covers_and_pairs_with_two_relations(make_corpus: Callable[..., Corpus]) -> None:
    corpus = standard(
        make_corpus,
        [
            (PAIRS[0], "CPR:3", "test"),
            (PAIRS[1], "CPR:3", "test"),
            (PAIRS[1], "CPR:4", "test"),
            (PAIRS[3], "CPR:4", "test"),
            (gold_pair("d", "across", "sentences"), "CPR:3", "test"),
            (PAIRS[2], "CPR:4", "dev"),
            (PAIRS[0], "CPR:10", "test"),  # no label that is scored
        ],
        [(pair,) for pair in PAIRS],
    )
    found = against_gold_standard(corpus, corpus.instances, predicted([1, 1, 2, 0]))
    assert found is not None
    assert (found.gold, found.predicted, found.tp) == (5, 3, 2)
    assert found.recall == pytest.approx(2 / 5)


def test_several_pairs_of_mentions_are_one_pair_of_concepts(make_corpus: Callable[..., Corpus]) -> None:
    one, two, other = PAIRS[:3]
    corpus = standard(
        make_corpus, [(one, "CPR:3", "test"), (two, "CPR:3", "test")], [(one,), (one,), (one, two), (other,)]
    )
    found = against_gold_standard(corpus, corpus.instances, predicted([1, 0, 0, 0]))
    assert found is not None
    assert (found.gold, found.predicted, found.tp) == (2, 1, 1)
    # The surest of its mentions gives a pair its label; a mention of two concepts stands for both.
    found = against_gold_standard(corpus, corpus.instances, predicted([2, 0, 1, 0], [0.6, 0.9, 0.8, 0.9]))
    assert found is not None
    assert (found.gold, found.predicted, found.tp) == (2, 2, 2)
    found = against_gold_standard(corpus, corpus.instances, predicted([2, 0, 1, 0], [0.9, 0.9, 0.8, 0.9]))
    assert found is not None
    assert (found.predicted, found.tp) == (2, 1)


def test_a_corpus_without_one(make_corpus: Callable[..., Corpus]) -> None:
    corpus = make_corpus(count=4)
    assert against_gold_standard(corpus, corpus.instances[:4], predicted([1, 1, 0, 0])) is None
