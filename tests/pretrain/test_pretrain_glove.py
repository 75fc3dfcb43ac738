"""GloVe: pair counts against a plain loop; vectors that recover the counts; a file that the encoder takes."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featstore.encoders import load_encoder
from featstore.errors import UsageError
from featstore.pretrain import cooccurrence
from featstore.pretrain.cooccurrence import count_pairs
from featstore.pretrain.glove import GloVeConfig, GloVeTask, pretrain_glove
from featstore.pretrain.loop import train
from featstore.pretrain.schedule import Schedule

sentences_of = st.lists(st.lists(st.integers(0, 6), max_size=9), max_size=12)


def plain(sentences: list[list[int]], window: int) -> dict[tuple[int, int], float]:
    counts: defaultdict[tuple[int, int], float] = defaultdict(float)
    for sentence in sentences:
        for i, a in enumerate(sentence):
            for distance in range(1, window + 1):
                if i + distance < len(sentence):
                    b = sentence[i + distance]
                    counts[min(a, b), max(a, b)] += 1 / distance
    return counts


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sentences_of, st.integers(1, 4), st.sampled_from([1, 7, 1000]))
def test_pairs_are_those_of_a_plain_loop(sentences: list[list[int]], window: int, run: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cooccurrence, "_RUN", run)  # several runs, merged
        found = count_pairs((np.array(s, np.int32) for s in sentences), 7, window)
    expected = plain(sentences, window)
    keys = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert keys == sorted(expected)
    np.testing.assert_allclose(found.weight, [expected[key] for key in keys], rtol=1e-6)


def test_training_lowers_the_error_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(0)
    pairs = count_pairs((draw.integers(0, 60, 12).astype(np.int32) for _ in range(400)), 60, 5)
    schedule = Schedule(warmup=0, learning_rate=2e-2, clip=1e6, evaluate_every=20, checkpoint_every=15)

    def task() -> GloVeTask:
        torch.manual_seed(0)
        return GloVeTask(pairs, 60, dim=8, batch=256, top=10.0, seed=0)

    whole = task()
    log = train(whole, schedule, 80, tmp_path / "whole")
    assert log[-1]["train"] < 0.6 * log[0]["train"]
    broken, count = task(), iter(range(99))
    take = broken.loss

    def fail() -> torch.Tensor:
        if next(count) == 38:
            raise InterruptedError
        return take()

    monkeypatch.setattr(broken, "loss", fail)
    with pytest.raises(InterruptedError):
        train(broken, schedule, 80, tmp_path / "cut")
    resumed = task()
    train(resumed, schedule, 80, tmp_path / "cut")
    for expected, got in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(expected, got)


def test_a_pass_reads_every_training_pair_once() -> None:
    pairs = count_pairs([np.arange(40, dtype=np.int32)], 40, 10)
    task = GloVeTask(pairs, 40, dim=2, batch=16, top=10.0, seed=3)
    seen: list[int] = []
    while len(seen) < len(task._train):
        seen += task._next().tolist()
    assert sorted(seen) == task._train.tolist()
    assert seen != sorted(seen)


def test_from_text_to_the_encoder(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    lines = [f"Drug G{i % 110} inhibits G{i * 7 % 109} ." for i in range(900)]
    text.write_text("\n".join(lines), encoding="utf-8")
    config = GloVeConfig(text=(text,), out=tmp_path / "out", dim=6, least=1, pairs=64, schedule=Schedule(steps=8))
    result = pretrain_glove(config)
    assert [entry["step"] for entry in result["log"]] == [8]
    encoder = load_encoder(f"glove:{result['file']}")
    assert encoder.dim == 6
    values = encoder.encode([["Drug", "drug", "g7"]]).values
    np.testing.assert_array_equal(values[0], values[1])
    assert np.abs(values).min() > 0
    with pytest.raises(UsageError, match="at least 1"):
        replace(config, window=0)
