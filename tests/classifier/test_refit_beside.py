"""A refit beside the run that has chosen already: nothing is chosen again, and the model is the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from toy_checkpoint import write_checkpoint

from classifier.commands.epochs import plan_line
from classifier.runs.config import RunConfig
from classifier.systems.choice import run_config, run_name, without_refit
from classifier.systems.folds import plan_fold, train_fold
from classifier.training.config import TrainConfig
from classifier.training.epoch import Epoch, Notice
from classifier.training.estimate import TrainingPlan
from featstore.corpora import CorpusChoice
from featstore.records import Corpus

FAST = TrainConfig(
    features="glove", optimizer="adamw", lr=0.01, hidden=16, max_epochs=4, batch_size=8, favour=True, calibrate=True
)
Make = Callable[..., Corpus]
Store = Callable[[Corpus], Path]
Heard = list[Epoch | Notice]


def head_config(corpus: Corpus) -> RunConfig:
    choice = CorpusChoice(corpus.spec, corpus.indicators, corpus.context)
    return RunConfig(choice, replace(FAST, refit=True))


def train(corpus: Corpus, store: str | Path, config: RunConfig, run: Path) -> Heard:
    heard: Heard = []
    train_fold(corpus, store, config, 1, run, progress=heard.append)
    return heard


def weights(run: Path, name: str = "model.safetensors") -> bytes:
    return (run / "fold-1" / name).read_bytes()


def test_a_head_takes_over_what_the_run_beside_it_has_chosen(
    make_corpus: Make, make_store: Store, tmp_path: Path
) -> None:
    corpus = make_corpus("sentence")
    store, config = make_store(corpus), head_config(corpus)
    train(corpus, store, config, tmp_path / "alone" / "whole")
    plain = without_refit(config)
    beside = tmp_path / "runs" / run_name(plain)
    chosen = train_fold(corpus, store, plain, 1, beside)

    plan = plan_fold(corpus, store, config, 1, tmp_path / "runs" / "mine")
    anew = plan_fold(corpus, store, config, 1, tmp_path / "alone" / "other")
    assert isinstance(plan, TrainingPlan)
    assert isinstance(anew, TrainingPlan)
    assert plan.done == plan.epochs == anew.refit
    assert plan.refit == chosen.best_epoch < anew.refit
    assert "no epoch but those of the refit, about" in plan_line(plan)
    taken, *epochs = train(corpus, store, config, tmp_path / "runs" / "mine")
    assert isinstance(taken, Notice)
    assert f"{beside} is the same run without --refit" in taken.text
    assert epochs
    assert all(isinstance(event, Notice) for event in epochs), "no epoch is chosen again"
    assert weights(tmp_path / "runs" / "mine") == weights(tmp_path / "alone" / "whole")


def test_a_run_that_is_not_the_same_is_not_taken_over(make_corpus: Make, make_store: Store, tmp_path: Path) -> None:
    corpus = make_corpus("sentence")
    store, config = make_store(corpus), head_config(corpus)
    plain = without_refit(config)
    beside = tmp_path / run_name(plain)
    train(corpus, store, replace(plain, train=replace(plain.train, lr=0.02)), beside)
    assert any(isinstance(event, Epoch) for event in train(corpus, store, config, tmp_path / "other rate"))

    shutil.rmtree(beside)
    changed = replace(corpus, digest="d2" * 8)
    train(changed, store, plain, beside)
    assert any(isinstance(event, Epoch) for event in train(corpus, store, config, tmp_path / "other corpus"))


def test_a_killed_refit_goes_on_with_and_without_the_run_beside_it(
    make_corpus: Make, make_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("classifier.training.saver.SECONDS_BETWEEN_SAVES", 0.0)
    corpus = make_corpus("sentence")
    store, config = make_store(corpus), head_config(corpus)
    plain = without_refit(config)
    beside = tmp_path / run_name(plain)
    train(corpus, store, plain, beside)
    train(corpus, store, config, tmp_path / "whole")

    def interrupt(event: Epoch | Notice) -> None:
        if "on the train and the dev part" in getattr(event, "text", ""):
            raise KeyboardInterrupt

    for name in ("kept", "deleted"):
        with pytest.raises(KeyboardInterrupt):
            train_fold(corpus, store, config, 1, tmp_path / name, progress=interrupt)
        if name == "deleted":
            shutil.rmtree(beside)
        heard = train(corpus, store, config, tmp_path / name)
        assert any(isinstance(event, Epoch) for event in heard) == (name == "deleted")
        assert weights(tmp_path / name) == weights(tmp_path / "whole")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fine_tuned_model_takes_the_epoch_over(make_corpus: Make, tmp_path: Path) -> None:
    corpus = make_corpus(count=200)
    options = {"encoder": f"bert:{write_checkpoint(tmp_path / 'tiny')}", "lr": 0.003, "batch_size": 8, "max_epochs": 2}
    choice = CorpusChoice(corpus.spec, corpus.indicators, corpus.context)
    config = run_config(choice, "bert", {**options, "refit": True})
    train(corpus, "", config, tmp_path / "alone" / "whole")
    plain = without_refit(config)
    assert plain == run_config(choice, "bert", options)
    train(corpus, "", plain, tmp_path / run_name(plain))
    assert "no epoch but those of the refit" in plan_line(plan_fold(corpus, "", config, 1, tmp_path / "mine"))
    heard = train(corpus, "", config, tmp_path / "mine")
    assert len(heard) >= 2
    assert not [event for event in heard if isinstance(event, Epoch)]
    name = "model/model.safetensors"
    assert weights(tmp_path / "mine", name) == weights(tmp_path / "alone" / "whole", name)
