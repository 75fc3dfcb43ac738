"""A tagger that is trained already is found, and one that a training would not make is told why it is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from toy_model import WordEncoder
from toy_tagger import make_config

from classifier.entities.config import TaggerConfig
from classifier.entities.corpora import MentionCorpus, load_mentions
from classifier.entities.facts import FACTS, WEIGHTS
from classifier.entities.runs import corpus_sentences, evaluate_tagger
from classifier.entities.trained import TrainedTagger, trained_tagger
from classifier.training.epoch import Notice
from classifier.training.resume import UNFINISHED
from featstore.errors import DataError, MissingFeatureError, UsageError
from featstore.featurize.forecast import feature_meta
from featstore.stores import create_store

Look = Callable[..., tuple[TrainedTagger | None, str]]


@pytest.fixture
def model(toy_folder: Path, tmp_path: Path) -> Path:
    """A copy of the trained toy."""
    return Path(shutil.copytree(toy_folder / "model", tmp_path / "model"))


@pytest.fixture
def config(toy_folder: Path) -> TaggerConfig:
    return make_config([toy_folder / "chemicals", toy_folder / "others"])


@pytest.fixture
def corpora(config: TaggerConfig) -> list[MentionCorpus]:
    return [load_mentions(spec) for spec in config.corpora]


@pytest.fixture
def look(toy_folder: Path, model: Path, config: TaggerConfig, corpora: list[MentionCorpus]) -> Look:
    """Look for the tagger; return it, and what was told."""

    def found(
        corpora: list[MentionCorpus] = corpora, store: Path = toy_folder / "features", config: TaggerConfig = config
    ) -> tuple[TrainedTagger | None, str]:
        heard: list[Notice] = []
        tagger = trained_tagger(corpora, store, config, model, tell=heard.append)
        return tagger, " ".join(notice.text for notice in heard)

    return found


def test_a_trained_tagger_is_found_as_its_training_left_it(
    toy_folder: Path, model: Path, corpora: list[MentionCorpus], look: Look
) -> None:
    tagger, told = look()
    assert tagger
    assert (len(tagger.training.epochs), told) == (12, "")
    assert tagger.ended.timestamp() == pytest.approx((model / FACTS).stat().st_mtime)
    evaluate_tagger(model, corpora[0], toy_folder / "features")
    assert look() == (tagger, ""), "an evaluation does not change when it was trained"


@pytest.mark.parametrize("name", [UNFINISHED, "README.md", FACTS])
def test_a_training_that_was_interrupted_goes_on(model: Path, look: Look, name: str) -> None:
    """Its state is there, or the last files are not."""
    (model / name).touch() if name == UNFINISHED else (model / name).unlink()
    assert look() == (None, "")


def test_it_is_trained_again_if_its_corpora_have_changed(look: Look, corpora: list[MentionCorpus]) -> None:
    first, second = (replace(corpus, digest=f"d{n}" * 8) for n, corpus in enumerate(corpora))
    for changed, named in (([corpora[0], second], f"{second.spec} has"), ([first, second], "others have")):
        tagger, told = look(changed)
        assert tagger is None
        assert f"{named} changed since; it has to be trained again." in told


def test_it_is_trained_again_if_its_files_are_damaged(model: Path, look: Look) -> None:
    (model / WEIGHTS).write_bytes((model / WEIGHTS).read_bytes()[:-1])
    why = "its files are damaged or of another version"
    assert look() == (None, f"the tagger in {model} is trained, but {why}; it has to be trained again.")


def test_it_is_trained_again_if_the_store_holds_other_vectors(
    tmp_path: Path, look: Look, corpora: list[MentionCorpus]
) -> None:
    meta = feature_meta(WordEncoder(), dtype="float16", backend="hdf5")
    sentences = corpus_sentences(corpora)
    store = create_store(tmp_path / "features", replace(meta, identity="ef" * 32, facts={}))
    store.append(list(sentences), WordEncoder().encode(list(sentences.values())))
    store.close()
    tagger, told = look(store=tmp_path / "features")
    assert tagger is None
    assert "is trained, but the store holds vectors of another encoder; it has" in told
    with pytest.raises(MissingFeatureError, match="cli entities featurize"):
        look(store=tmp_path / "none")


def test_a_folder_whose_tagger_cannot_be_compared_is_left_alone(model: Path, look: Look, config: TaggerConfig) -> None:
    with pytest.raises(UsageError, match=r"seed is 1 there and 2 now\. Choose another folder with --run"):
        look(config=replace(config, seed=2))
    (model / FACTS).write_text("{")
    with pytest.raises(DataError, match="tagger"):
        look()
