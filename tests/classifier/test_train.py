"""Training: when the rate falls and training ends, and what stops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from classifier.data.batch import Batch, Batcher
from classifier.data.features import Feature
from classifier.data.vectors import DistinctSentences, Vectors
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import AnyHead, Head, make_head
from classifier.training.config import RECIPES, TrainConfig, recipe
from classifier.training.epoch import Epoch
from classifier.training.loop import TrainState, loss_of, reproducible, train
from classifier.training.plateau import Plateau
from featstore.errors import UsageError
from featstore.records import Corpus
from featstore.stores import FeatureStore

CONFIG = TrainConfig(optimizer="adamw", lr=0.01, batch_size=8, max_epochs=5)


def test_the_rate_is_halved_when_neither_score_nor_loss_improves() -> None:
    plateau = Plateau(lr=0.1, patience=2, min_lr=0.3)
    assert plateau.step(0.69, 0.70)
    assert not plateau.step(0.50, 0.65)  # the loss falls: it learns
    assert not plateau.step(0.50, 0.66)
    assert plateau.step(0.71, 0.66)  # the score rises
    assert plateau.step(0.71, 0.65)  # the same score at a lower loss is a better epoch, but no improvement ..
    assert plateau.lr == 0.1
    assert not plateau.step(0.71, 0.67)
    assert plateau.lr == 0.05  # .. so after two such epochs the rate is halved
    assert not plateau.is_over
    assert not plateau.step(0.6, 0.9)
    assert not plateau.step(0.6, 0.9)
    assert plateau.lr == 0.025
    assert plateau.is_over


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"head": "papr"}, "Did you mean 'paper'"),
        ({"optimizer": "adam"}, "choose from sgd, adamw"),
        ({"precision": "float16"}, "choose from float32, bfloat16"),
        ({"lr": 0.0}, "lr is 0, but must be above 0"),
        (
            {"dropout": 1.0, "patience": 0},
            "dropout is 1, but must be at least 0 and below 1; patience is 0, but must be at least 1",
        ),
        ({"lr": float("nan")}, "lr is nan"),
        ({"schedule": "linear"}, "choose from plateau, cosine"),
        ({"consistency": 1.0}, "consistency is 1, which needs a dropout above 0"),
        ({"average": 1.0, "members": 0}, "members is 0, .*; average is 1, but must be at least 0 and below 1"),
    ],
)
def test_options_out_of_range(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        TrainConfig(**options)  # type: ignore[arg-type]


Fit = Callable[..., tuple[Any, list[Epoch]]]


@pytest.fixture
def fit(make_corpus: Callable[..., Corpus], in_memory: Callable[..., FeatureStore]) -> Fit:
    """Return a function that trains a small head: configuration, factor on the vectors, progress -> head, epochs."""
    corpus = make_corpus()
    sentences = DistinctSentences.of(corpus.instances)
    store = in_memory(corpus.instances, "glove", 8)
    batcher = Batcher(corpus.instances, Vectors([Feature("glove")], [store], sentences), corpus.labels, ())
    train_part, dev_part = np.split(np.random.default_rng(0).permutation(99), [70])

    def run(
        config: TrainConfig, progress: Callable[[Epoch], None] | None = None, **more: Any
    ) -> tuple[AnyHead, list[Epoch]]:
        with reproducible(config.seed, config.threads):
            head = make_head(replace(config, hidden=8).head_config((InputConfig(8),), labels=2, tags=0))
            return head, train(
                head,
                batcher,
                (train_part, dev_part),
                config,
                labels=corpus.labels,
                positive=corpus.positive,
                progress=progress,
                **more,
            )

    return run


def test_keeps_the_best_epoch(fit: Fit) -> None:
    states: list[tuple[bool, float]] = []
    restless = replace(CONFIG, lr=0.3, max_epochs=9)
    head, epochs = fit(restless, lambda epoch: states.append((epoch.best, epoch.dev_f1)))
    assert [e.number for e in epochs] == list(range(1, 10))
    last_best = max(e.number for e in epochs if e.best)
    assert last_best < 9, "choose another rate: the last epoch must not be the best"
    shorter, _ = fit(replace(restless, max_epochs=last_best))
    for ours, theirs in zip(head.state_dict().values(), shorter.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert states == [(e.best, e.dev_f1) for e in epochs]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_seed_determines_everything(fit: Fit, optimizer: str) -> None:
    config = replace(CONFIG, optimizer=optimizer, dropout=0.3, max_epochs=2)
    torch.manual_seed(11)
    head, epochs = fit(config)
    after = torch.rand(3)
    torch.manual_seed(11)
    assert torch.equal(after, torch.rand(3)), "training disturbed the caller's random numbers"
    again, epochs_again = fit(config)
    other, _ = fit(replace(config, seed=2))
    assert [replace(e, seconds=0) for e in epochs] == [replace(e, seconds=0) for e in epochs_again]
    pairs = [head.state_dict(), again.state_dict(), other.state_dict()]
    assert all(torch.equal(pairs[0][name], pairs[1][name]) for name in pairs[0])
    assert not torch.equal(pairs[0]["recurrent"], pairs[2]["recurrent"])


def test_stops_when_the_rate_is_spent(fit: Fit) -> None:
    # A rate that moves nothing: neither score nor loss improves after the first epoch.
    _, epochs = fit(TrainConfig(lr=1e-30, max_epochs=100, patience=2, min_lr=0.3))
    assert [e.lr for e in epochs] == [1e-30, 1e-30, 1e-30, 5e-31, 5e-31]


def test_a_resumed_training_remembers_the_rate(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier.training.saver.SECONDS_BETWEEN_SAVES", 0.0)
    config = TrainConfig(lr=1e-30, max_epochs=100, patience=2, min_lr=0.3)
    states: list[TrainState] = []
    _, whole = fit(config, save=states.append)
    assert len(states) == len(whole)
    for state in states:
        _, resumed = fit(config, state=state)
        assert [e.lr for e in resumed] == [e.lr for e in whole]


def test_a_loss_that_is_no_number(fit: Fit) -> None:
    with pytest.raises(
        UsageError, match=r"the loss became (nan|inf) in epoch \d+ \(optimizer sgd, learning rate 1e\+38"
    ):
        fit(TrainConfig(lr=1e38))


CURVED = replace(
    CONFIG,
    schedule="cosine",
    warmup=0.25,
    average=0.8,
    members=2,
    dropout=0.2,
    consistency=0.5,
    smoothing=0.1,
    mention_states=True,
)


def test_cosine_rises_and_falls_to_nothing() -> None:
    shares = [CURVED.share_of_rate(done) for done in (0.0, 0.125, 0.25, 0.625, 1.0)]
    assert shares == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert CONFIG.share_of_rate(0.9) == 1


def test_cosine_goes_on_to_the_last_epoch_whatever_the_scores(fit: Fit) -> None:
    config = replace(CURVED, lr=1e-30, patience=1, max_epochs=9, batch_size=7)  # a rate that moves nothing
    _, epochs = fit(config)
    last_batch = [epoch - 3.5 / 70 for epoch in range(1, 10)]  # at its middle
    assert [e.lr for e in epochs] == pytest.approx([1e-30 * config.share_of_rate(n / 9) for n in last_batch], abs=0)


def test_the_average_is_what_is_evaluated_and_kept(fit: Fit) -> None:
    config = replace(CONFIG, max_epochs=1)
    raw, raw_epochs = fit(config)
    short, _ = fit(replace(config, average=1e-9))
    long, long_epochs = fit(replace(config, average=0.999))
    torch.testing.assert_close(short.recurrent, raw.recurrent, atol=1e-6, rtol=0)
    assert not torch.allclose(long.recurrent, raw.recurrent, atol=1e-3)
    assert long_epochs[0].train_loss == raw_epochs[0].train_loss
    assert long_epochs[0].dev_loss != raw_epochs[0].dev_loss


def test_consistency_is_r_drop(fit: Fit) -> None:
    """Two passes whose dropouts are the generator's next two: the mean cross-entropy and the symmetric divergence."""
    config = replace(CONFIG, dropout=0.5, max_epochs=1, batch_size=1000, optimizer="sgd", lr=1e-30)
    losses = [fit(replace(config, consistency=c))[1][0].train_loss for c in (0.0, 1e-30, 1.0, 3.0)]
    once, twice, one, three = losses
    assert once != twice, "a second pass, under another dropout"
    divergence = one - twice
    assert divergence > 0
    assert three - twice == pytest.approx(3 * divergence, rel=1e-4)


@pytest.mark.parametrize("mention_states", [False, True])
def test_r_drop_scores_each_instance_as_a_single_pass_does(mention_states: bool) -> None:
    torch.manual_seed(1)
    inputs = (InputConfig(3), InputConfig(4))
    head = Head(HeadConfig(inputs, labels=3, tags=2, hidden=4, mention_states=mention_states))
    batch = Batch(
        rows=(torch.randn(5, 3), torch.randn(5, 4)),
        index=torch.tensor([[0, -1, 1, 2], [4, 3, -2, 0]]),
        lengths=torch.tensor([4, 3]),
        mentions=torch.tensor([[0, 2], [2, 0]]),
        labels=torch.tensor([0, 2]),
        positions=np.arange(2),
    )
    once, twice = (loss_of(head, batch, replace(CONFIG, dropout=0.1, consistency=c)) for c in (0.0, 5.0))
    torch.testing.assert_close(twice, once)  # without dropout both passes say the same


def test_the_average_forgets_the_initial_weights_in_a_few_steps(fit: Fit) -> None:
    choices: list[dict[str, Any]] = [{}, {"lr": 1e-30}, {"average": 0.9999}]
    raw, initial, averaged = (fit(replace(CONFIG, schedule="cosine", **options))[0].recurrent for options in choices)
    assert torch.dist(averaged, raw) < 0.5 * torch.dist(initial, raw), "45 steps, of 10,000 that the decay looks back"


def test_a_resumed_training_ends_with_the_same_weights(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier.training.saver.SECONDS_BETWEEN_SAVES", 0.0)
    states: list[TrainState] = []
    head, whole = fit(CURVED, save=states.append)
    again, resumed = fit(CURVED, state=states[2])
    assert [replace(e, seconds=0) for e in whole] == [replace(e, seconds=0) for e in resumed]
    for ours, theirs in zip(head.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_recipe_and_what_is_given_in_its_place() -> None:
    assert recipe("paper") == TrainConfig()
    assert recipe() == recipe("best")
    best = recipe("best", lr=None, seed=3, max_epochs=2)
    assert best == replace(TrainConfig(head="best", **RECIPES["best"]), seed=3, max_epochs=2)
    with pytest.raises(UsageError, match="Did you mean 'best'"):
        recipe("bset")
