"""A run from end to end on a small corpus: training, checkpoint, evaluation, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from classifier.runs import RunConfig, evaluate_fold
from classifier.train import TrainConfig
from featstore.records import Corpus

FAST = TrainConfig(features="glove+elmo", optimizer="adamw", lr=0.01, hidden=16, max_epochs=16, batch_size=8)


def run_config(corpus: Corpus, train: TrainConfig = FAST) -> RunConfig:
    return RunConfig(corpus=corpus.spec, indicators=corpus.indicators, context=corpus.context, train=train)


@pytest.mark.parametrize("context", ["tagged", "sentence"])
def test_learns_a_signal(
    context: str, make_corpus: Callable[..., Corpus], make_store: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = make_corpus(context)
    heard: list[object] = []
    evaluation = evaluate_fold(
        corpus, make_store(corpus), run_config(corpus), 2, tmp_path / "run", progress=heard.append
    )
    assert evaluation.metrics.micro.f1 is not None
    assert evaluation.metrics.micro.f1 > 0.9
    assert "not trained yet" in heard[0].text
