"""A mixture averages the probabilities of trained runs, keeps its members, and refuses runs that do not belong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from classifier.runs.config import RunConfig
from classifier.runs.folds import train_fold as train_head
from classifier.runs.results import read_result
from classifier.systems.choice import run_config
from classifier.systems.folds import evaluate_fold, train_fold
from classifier.systems.mixture.model import ROUNDS, likeliest_weights
from classifier.systems.saved import load_fitted
from classifier.systems.table import SYSTEMS
from classifier.training.config import TrainConfig
from featstore.corpora import CorpusChoice
from featstore.errors import DataError, MismatchError, MissingFileError, UsageError
from featstore.fingerprint import file_sha256
from featstore.records import Corpus

Make = Callable[..., Corpus]
HEAD = TrainConfig(features="glove", optimizer="adamw", lr=0.01, hidden=8, max_epochs=3, favour=True)


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "words", "toy_system:WORDS")


def config_of(corpus: Corpus, system: str, **given: Any) -> RunConfig:
    return run_config(CorpusChoice(corpus.spec, corpus.indicators, corpus.context), system, given)


@pytest.fixture
def trained(make_corpus: Make, make_store: Callable[[Corpus], Path], tmp_path: Path) -> tuple[Corpus, Path, list[Path]]:
    """Return a corpus, a store, and the folders of a head's and of another system's run with fold 1 trained."""
    corpus = make_corpus()
    store, runs = make_store(corpus), [tmp_path / "head", tmp_path / "words"]
    choice = CorpusChoice(corpus.spec, corpus.indicators, corpus.context)
    train_head(corpus, store, RunConfig(choice, HEAD), 1, runs[0])
    train_fold(corpus, store, config_of(corpus, "words", rounds=1), 1, runs[1])
    return corpus, store, runs


def probabilities(run: Path) -> np.ndarray:
    rows = (run / "fold-1" / "predictions.tsv").read_text().splitlines()[1:]
    return np.array([[float(value) for value in row.split("\t")[3:]] for row in rows])


@pytest.mark.parametrize("weights", ["equal", "dev"])
def test_the_probabilities_are_averaged(trained: tuple[Corpus, Path, list[Path]], tmp_path: Path, weights: str) -> None:
    corpus, store, runs = trained
    mixture = config_of(corpus, "mixture", mix=f"{runs[0]}, {runs[1]}", weights=weights)
    assert mixture.label == "mixture:glove,words"
    found = evaluate_fold(corpus, store, mixture, 1, tmp_path / "both")
    for run, config in zip(runs, (RunConfig(mixture.corpus, HEAD), config_of(corpus, "words", rounds=1)), strict=True):
        evaluate_fold(corpus, store, config, 1, run)
    kept = json.loads((tmp_path / "both" / "fold-1" / "model" / "weights.json").read_text())
    assert kept == [0.5, 0.5] if weights == "equal" else sum(kept) == pytest.approx(1)
    mean = sum(weight * probabilities(run) for weight, run in zip(kept, runs, strict=True))
    np.testing.assert_allclose(found.predictions.probabilities, mean, atol=2e-6)
    assert read_result(tmp_path / "both" / "fold-1").features[0].name == "glove"

    for run in runs:  # a mixture keeps all that it needs
        shutil.rmtree(run)
    again = evaluate_fold(corpus, store, mixture, 1, tmp_path / "both")
    np.testing.assert_array_equal(found.predictions.probabilities, again.predictions.probabilities)


def test_members_find_their_vectors_among_several_sets_of_a_name(
    trained: tuple[Corpus, Path, list[Path]], make_set: Callable[..., Path], tmp_path: Path
) -> None:
    corpus, store, runs = trained
    make_set(corpus.instances, "glove", 4, identity="abc")
    head = RunConfig(CorpusChoice(corpus.spec, corpus.indicators, corpus.context), HEAD)
    with pytest.raises(UsageError, match="sets of several 'glove' encoders"):
        train_head(corpus, store, head, 1, tmp_path / "another")
    mixture = config_of(corpus, "mixture", mix=",".join(map(str, runs)))
    evaluate_fold(corpus, store, mixture, 1, tmp_path / "both")
    evaluate_fold(corpus, store, head, 1, runs[0])
    assert read_result(tmp_path / "both" / "fold-1").features == read_result(runs[0] / "fold-1").features


def test_runs_that_cannot_be_mixed(trained: tuple[Corpus, Path, list[Path]], tmp_path: Path) -> None:
    corpus, store, runs = trained
    for mix in ("", str(runs[0]), f"{runs[0]},{runs[0]}"):
        with pytest.raises(UsageError, match="two or more different runs"):
            train_fold(corpus, store, config_of(corpus, "mixture", mix=mix), 1, tmp_path / "out")
    with pytest.raises(MissingFileError, match="nowhere"):
        config_of(corpus, "mixture", mix=f"{runs[0]},{tmp_path / 'nowhere'}")
    both = config_of(corpus, "mixture", mix=",".join(map(str, runs)))
    with pytest.raises(MissingFileError, match="fold-2"):
        train_fold(corpus, store, both, 2, tmp_path / "out")
    changed = replace(corpus, digest="0" * 64)
    with pytest.raises(MismatchError, match=r"head/fold-1 was trained on toy .* not the corpus of the mixture"):
        train_fold(changed, store, both, 1, tmp_path / "out")
    train_fold(corpus, store, both, 1, tmp_path / "both")
    nested = config_of(corpus, "mixture", mix=f"{runs[0]},{tmp_path / 'both'}")
    with pytest.raises(UsageError, match="is a mixture itself"):
        train_fold(corpus, store, nested, 1, tmp_path / "out")


@pytest.mark.parametrize("text", ["[0.5]", "[2, -1]", "[0.5, 0.1]", '"half"', "[NaN, 1]", "{"])
def test_weights_that_are_none(trained: tuple[Corpus, Path, list[Path]], tmp_path: Path, text: str) -> None:
    corpus, store, runs = trained
    train_fold(corpus, store, config_of(corpus, "mixture", mix=",".join(map(str, runs))), 1, tmp_path / "both")
    fold = tmp_path / "both" / "fold-1"
    path, old = fold / "model" / "weights.json", "0.5, 0.5"
    assert old in path.read_text()
    path.write_text(text)
    facts = json.loads((fold / "run.json").read_text())
    facts["system"]["files"]["weights.json"] = file_sha256(path)
    (fold / "run.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match=r"weights|belong together"):
        load_fitted(fold)


LIKELIHOODS = arrays.arrays(np.float64, (3, 20), elements=st.floats(0.001, 1.0))


@given(LIKELIHOODS)
def test_no_other_weights_are_likelier(likelihood: np.ndarray) -> None:
    weights = likeliest_weights(likelihood)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()

    def loss(of: np.ndarray) -> float:
        return float(-np.log(of @ likelihood).mean())

    for other in (*np.eye(3), np.full(3, 1 / 3), np.array([0.5, 0.5, 0])):
        assert loss(weights) <= loss(other) + np.log(3) / ROUNDS
