"""The temperature of a head's scores: found again where it is known, and applied to every member."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier.data.batch import Batcher
from classifier.data.features import Feature
from classifier.data.vectors import DistinctSentences, Vectors
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import make_head
from classifier.runs.config import RunConfig
from classifier.runs.folds import evaluate_fold, train_fold
from classifier.scores.calibration import calibration
from classifier.training.calibrate import TEMPERATURES, best_temperature, calibrate
from classifier.training.config import TrainConfig
from classifier.training.favour import PRIOR
from classifier.training.predict import predict
from featstore.corpora import CorpusChoice
from featstore.records import Corpus
from featstore.stores import FeatureStore

STEP = TEMPERATURES[1] / TEMPERATURES[0]


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_a_known_temperature_is_found(temperature: float, members: int) -> None:
    rng = np.random.default_rng(2)
    logits = rng.standard_normal((4000, 3)) * 1.5
    fair = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gold = (fair.cumsum(1) < rng.random((4000, 1))).sum(1)
    sure = np.exp(logits * temperature)
    told = np.repeat((sure / sure.sum(1, keepdims=True))[None], members, 0).astype(np.float32)
    found = best_temperature(told, gold)
    assert temperature / 1.06 < found < temperature * 1.06
    if temperature == 2.0:
        believable = told[0] ** (1 / found)
        before, after = (calibration(p / p.sum(1, keepdims=True), gold) for p in (told[0], believable))
        assert after.error < before.error / 4


@pytest.mark.parametrize("members", [1, 2])
def test_every_member_is_divided(
    make_corpus: Callable[..., Corpus], in_memory: Callable[..., FeatureStore], members: int
) -> None:
    corpus, everything = make_corpus(), np.arange(99)
    store = in_memory(corpus.instances, "glove", 8)
    vectors = Vectors([Feature("glove")], [store], DistinctSentences.of(corpus.instances))
    batcher = Batcher(corpus.instances, vectors, corpus.labels, ())
    torch.manual_seed(1)
    head = make_head(HeadConfig((InputConfig(8),), labels=2, hidden=8, members=members))
    before = np.stack([predict(member, batcher, everything).probabilities for member in head.members])
    temperature = calibrate(head, batcher, everything)
    assert temperature == pytest.approx(best_temperature(before, batcher.labels) ** (99 / (99 + PRIOR)))
    assert temperature != 1
    expected = before ** (1 / temperature)
    after = predict(head, batcher, everything).probabilities
    np.testing.assert_allclose(after, (expected / expected.sum(2, keepdims=True)).mean(0), atol=1e-5)


def test_the_labels_stay_and_a_refit_is_divided_too(
    make_corpus: Callable[..., Corpus], make_store: Callable[[Corpus], Path], tmp_path: Path
) -> None:
    corpus = make_corpus("sentence")
    store = make_store(corpus)
    choice = CorpusChoice(corpus.spec, corpus.indicators, corpus.context)
    plain = TrainConfig(features="glove", optimizer="adamw", lr=0.02, hidden=8, max_epochs=2, favour=True)
    said, temperatures = {}, {}
    for name, more in (
        ("plain", plain),
        ("calibrated", replace(plain, calibrate=True)),
        ("refit", replace(plain, refit=True)),
        ("calibrated refit", replace(plain, refit=True, calibrate=True)),
    ):
        config = RunConfig(choice, more)
        temperatures[name] = train_fold(corpus, store, config, 1, tmp_path / name).training.temperature
        said[name] = evaluate_fold(corpus, store, config, 1, tmp_path / name).predictions.probabilities
    assert temperatures["plain"] == temperatures["refit"] == 1
    assert temperatures["calibrated"] == temperatures["calibrated refit"] != 1
    for name in ("plain", "refit"):
        other = said["calibrated" if name == "plain" else "calibrated refit"]
        powers = said[name].astype(np.float64) ** (1 / temperatures["calibrated"])
        np.testing.assert_allclose(other, powers / powers.sum(1, keepdims=True), atol=1e-5)
        np.testing.assert_array_equal(other.argmax(1), said[name].argmax(1))
