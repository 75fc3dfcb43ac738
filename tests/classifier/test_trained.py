"""A fold that is trained already is found, and one that a training would not make is told why it is none."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from classifier.runs.config import CONFIG
from classifier.runs.facts import WEIGHTS, TrainingFacts
from classifier.systems.choice import run_config
from classifier.systems.folds import evaluate_fold, train_fold
from classifier.systems.table import SYSTEMS, find_system
from classifier.systems.trained import TrainedFold, trained_fold
from classifier.training.epoch import Notice
from classifier.training.resume import UNFINISHED
from featstore.addresses import files_below, spelled
from featstore.corpora import CorpusChoice
from featstore.errors import MissingFeatureError, UsageError
from featstore.records import Corpus

MakeCorpus = Callable[..., Corpus]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(SYSTEMS, "words", "toy_system:WORDS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no power fails here


HEAD = {"features": "glove", "hidden": 4, "max_epochs": 1}


class Fold:
    """Fold 1 of a run that is trained, and how it is looked for later."""

    def __init__(self, corpus: Corpus, store: Path, run: Path, system: str, **given: object) -> None:
        choice = CorpusChoice(corpus.spec, corpus.indicators, corpus.context)
        self.corpus, self.store, self.run, self.config = corpus, store, run, run_config(choice, system, given)
        assert self.found() == (None, "")
        self.training = self.train()

    def train(self) -> TrainingFacts:
        return train_fold(self.corpus, self.store, self.config, 1, self.run)

    def found(self, corpus: Corpus | None = None, fold: int = 1) -> tuple[TrainedFold | None, str]:
        """Look for a fold; return it, and what was told."""
        heard: list[str] = []

        def tell(notice: Notice) -> None:
            heard.append(notice.text)

        found = trained_fold(corpus or self.corpus, self.store, self.config, fold, self.run, tell=tell)
        return found, " ".join(heard)

    def wants_training(self, why: str, corpus: Corpus | None = None) -> bool:
        told = f"fold 1 of {spelled(self.run)} is trained, but {why}; it has to be trained again."
        return self.found(corpus) == (None, told)


def test_a_trained_head_is_found_until_something_differs(
    make_corpus: MakeCorpus, make_set: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = make_corpus()
    fold = Fold(corpus, make_set(corpus.instances, "glove", 8), tmp_path / "run", "head", **HEAD)
    folder = tmp_path / "run" / "fold-1"
    found, told = fold.found()
    assert found
    assert (found.training, told) == (fold.training, "")
    assert found.ended.timestamp() == pytest.approx((folder / CONFIG).stat().st_mtime)
    assert fold.found(fold=2) == (None, "")
    evaluate_fold(corpus, fold.store, fold.config, 1, fold.run)
    assert fold.found() == (found, ""), "an evaluation does not change when it was trained"
    assert fold.wants_training("the corpus has changed since", replace(corpus, digest="d2" * 8))
    (folder / UNFINISHED).touch()
    assert fold.found() == (None, ""), "a training that was interrupted goes on"
    (folder / UNFINISHED).unlink()
    weights = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(weights[:-1])
    assert fold.wants_training("its files are damaged or of another version")
    (folder / WEIGHTS).write_bytes(weights)
    shutil.rmtree(fold.store)
    make_set(corpus.instances, "glove", 8, identity="ef")
    assert fold.wants_training("the store holds vectors of another encoder")
    shutil.rmtree(fold.store)
    with pytest.raises(MissingFeatureError, match="cli featurize"):
        fold.found()
    with pytest.raises(UsageError, match="belongs to another configuration"):
        Fold(corpus, fold.store, fold.run, "head", **HEAD, seed=2)


def test_a_system_is_found_until_what_it_was_fitted_from_differs(
    s3: str, make_corpus: MakeCorpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fold = Fold(make_corpus(), tmp_path, Path(f"{s3}/runs/mine"), "words")
    found, told = fold.found()
    assert found
    assert (found.training, told) == (fold.training, "")
    assert abs(found.ended.timestamp() - time.time()) < 600
    assert not files_below(tmp_path / "cache" / "featstore-runs"), "no copy stays here"
    with monkeypatch.context() as patch:
        patch.setattr(type(find_system("words")), "sources", lambda *_: {"stops": "00"})
        assert fold.wants_training("the files have changed that it was fitted from")
    fsspec.filesystem("s3").rm(f"{s3}/runs/mine/fold-1/README.md")
    assert fold.found() == (None, ""), "it was cut as it was put there"
