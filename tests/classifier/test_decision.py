"""The shift towards the positive labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from classifier.data.batch import Batcher
from classifier.data.features import Feature
from classifier.data.vectors import DistinctSentences, Vectors
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import make_head
from classifier.scores.metrics import score
from classifier.training.favour import PRIOR, best_shift, favour_positive
from classifier.training.predict import predict
from featstore.records import Corpus
from featstore.stores import FeatureStore

LABELS, POSITIVE = ("a", "none", "b"), ("a", "b")


def calibrated(members: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Draw probabilities, mostly negative, and gold labels that follow them."""
    rng = np.random.default_rng(2)
    logits = rng.standard_normal((4000, 3)) * 1.5 + [0, 1.5, 0]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gold = (probabilities.cumsum(1) < rng.random((4000, 1))).sum(1)
    return np.repeat(probabilities[None], members, 0).astype(np.float32), gold


@pytest.mark.parametrize("members", [1, 3])
def test_f1_wants_more_positives_than_accuracy(members: int) -> None:
    probabilities, gold = calibrated(members)
    shift = best_shift(probabilities, gold, LABELS, POSITIVE)
    assert 0.2 < shift < 1.5
    before = score(gold, probabilities[0].argmax(1), LABELS, POSITIVE).micro.f1
    after = score(gold, (probabilities[0] * np.exp([shift, 0, shift])).argmax(1), LABELS, POSITIVE).micro.f1
    assert before is not None
    assert after is not None
    assert after > before + 0.01


def test_undoes_a_bias() -> None:
    probabilities, gold = calibrated()
    fair = best_shift(probabilities, gold, LABELS, POSITIVE)
    biased = probabilities * np.exp([-0.4, 0, -0.4])
    biased /= biased.sum(2, keepdims=True)
    assert best_shift(biased, gold, LABELS, POSITIVE) == pytest.approx(fair + 0.4, abs=0.051)


@pytest.mark.parametrize("members", [1, 2])
def test_the_head_decides_accordingly(
    make_corpus: Callable[..., Corpus], in_memory: Callable[..., FeatureStore], members: int
) -> None:
    corpus = make_corpus()
    vectors = Vectors(
        [Feature("glove")], [in_memory(corpus.instances, "glove", 8)], DistinctSentences.of(corpus.instances)
    )
    batcher = Batcher(corpus.instances, vectors, corpus.labels, ())
    torch.manual_seed(1)
    head = make_head(HeadConfig((InputConfig(8),), labels=2, hidden=8, members=members))
    before = [predict(member, batcher, np.arange(99)).probabilities for member in head.members]
    shift = favour_positive(head, batcher, np.arange(99), corpus.labels, corpus.positive)
    assert shift != 0
    chosen = best_shift(np.stack(before), batcher.labels, corpus.labels, corpus.positive)
    assert shift == pytest.approx(chosen * 99 / (99 + PRIOR))  # 99 instances do not outweigh PRIOR
    after = predict(head, batcher, np.arange(99)).probabilities
    expected = np.stack(before) * np.exp([0, shift])
    np.testing.assert_allclose(after, (expected / expected.sum(2, keepdims=True)).mean(0), atol=1e-5)
