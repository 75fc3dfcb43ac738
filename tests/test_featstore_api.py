"""The Python API of featstore: a corpus as a sequence, a sentence to an array, a store that is read by sentence."""

from __future__ import annotations

import builtins
import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_model import WordEncoder

import featstore
from featstore.errors import MissingFeatureError, MissingFileError, UsageError
from featstore.ragged import Ragged
from featstore.records import Corpus
from featstore.stores import FeatureMeta, create_store

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return featstore.load_corpus("sample:chemprot")


def test_the_version_is_that_of_the_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cli import main

    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert featstore.__version__ == version("featstore") == stated
    monkeypatch.setattr(sys, "argv", ["cli", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out.split() == ["featstore", stated]


def test_both_packages_say_that_they_are_typed() -> None:
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for package in ("featstore", "classifier"):
        assert (ROOT / package / "py.typed").is_file()
        assert package in built["only-include"]


def test_a_corpus_is_a_sequence_of_its_instances(corpus: Corpus) -> None:
    assert len(corpus) == len(list(corpus)) == len(corpus.instances)
    assert corpus[0] is corpus.instances[0]
    assert corpus[-1] is corpus.instances[-1]
    assert corpus[2:4] == corpus.instances[2:4]
    assert corpus[0] in corpus
    assert bool(Corpus("x", "x", (), (), (), "tags", "tagged", ""))


def test_a_corpus_as_a_table(corpus: Corpus) -> None:
    pytest.importorskip("pandas")
    frame = corpus.to_dataframe()
    assert frame["id"].tolist() == [instance.id for instance in corpus]
    assert frame["label"].value_counts().sum() == len(corpus)
    first = frame.iloc[0]
    assert f"<{first['head_type']}> {first['head']} </{first['head_type']}>" in " ".join(first["tokens"])
    plain = featstore.load_corpus("sample:chemprot", context="sentence").to_dataframe()
    assert plain[["id", "head", "tail"]].equals(frame[["id", "head", "tail"]])


def test_without_pandas_a_table_says_what_to_install(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_pandas(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pandas)
    with pytest.raises(UsageError, match=re.escape("pip install 'featstore[pandas]'")):
        corpus.to_dataframe()


def test_a_text_and_its_tokens_have_the_same_vectors() -> None:
    text, toy = "Aspirin inhibits COX-2.", WordEncoder()
    tokens = featstore.tokens_of(text)
    assert tokens == ("Aspirin", "inhibits", "COX", "-", "2", ".")
    array = featstore.encode(text, toy)
    assert array.shape == (6, toy.dim)
    assert array.dtype == np.dtype(np.float32)
    assert np.array_equal(array, featstore.encode(list(tokens), toy))
    assert featstore.encode("", toy).shape == (0, toy.dim)
    with pytest.raises(UsageError, match="unknown"):
        featstore.encode(text, "glvoe")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with two sentences of the toy encoder."""
    toy = WordEncoder()
    sentences = [featstore.tokens_of("Aspirin inhibits COX-2."), ("One", "more")]
    meta = FeatureMeta("words", toy.identity, toy.dim, 1, "float16", "hdf5", dict(toy.facts))
    filled = create_store(tmp_path / "features", meta)
    filled.append([featstore.records.sentence_key(tokens) for tokens in sentences], toy.encode(sentences))
    filled.close()
    return tmp_path / "features"


def test_a_store_is_read_by_sentence(store: Path) -> None:
    text, toy = "Aspirin inhibits COX-2.", WordEncoder()
    with featstore.open_vectors(store, "words") as vectors:
        assert len(vectors) == 2
        assert vectors.meta.name == "words"
        assert text in vectors
        assert ["One", "more"] in vectors
        assert "Something else" not in vectors
        assert np.array_equal(vectors[text], featstore.encode(text, toy).astype(np.float16))
        first, second = vectors.read([["One", "more"], text])
        assert (len(first), len(second)) == (2, 6)
        with pytest.raises(MissingFeatureError, match=r"'Something else' \(2 tokens\).*featurize_corpus"):
            vectors["Something else"]
        with pytest.raises(UsageError, match="one text"):
            list(vectors.read(text))


def test_a_set_that_is_not_there_is_named_with_those_that_are(store: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no feature set 'word'; it holds words. Did you mean 'words'"):
        featstore.open_vectors(store, "word")
    with pytest.raises(MissingFileError, match="is empty or does not exist"):
        featstore.open_vectors(tmp_path / "nothing", "words")


def test_one_set_of_several_is_chosen_by_its_encoder_and_its_precision(store: Path) -> None:
    toy = WordEncoder()
    exact = FeatureMeta("words", toy.identity, toy.dim, 1, "float32", "hdf5", dict(toy.facts))
    create_store(store, exact).close()
    with featstore.open_vectors(store, "words") as vectors:
        assert vectors.meta.dtype == "float32"
    other = FeatureMeta("words", "f" * 64, 2, 1, "float16", "hdf5")
    created = create_store(store, other)
    created.append([featstore.records.sentence_key(["One"])], Ragged.from_list([np.zeros((1, 2))], 2))
    created.close()
    with pytest.raises(UsageError, match="words@ffffffff"):
        featstore.open_vectors(store, "words")
    with featstore.open_vectors(store, "words@ffff") as vectors:
        assert vectors[["One"]].shape == (1, 2)


def test_a_corpus_is_featurized_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: Corpus) -> None:
    from featstore.encoders import ENCODERS

    monkeypatch.setitem(ENCODERS, "words", "toy_model:load_words")
    (done,) = featstore.featurize_corpus(corpus, ["words"], store=tmp_path / "features", workers=1)
    assert done.encoded == done.sentences > 0
    choice = featstore.CorpusChoice("sample:chemprot")
    (again,) = featstore.featurize_corpus(choice, ["words"], store=tmp_path / "features", workers=1)
    assert (again.stored, again.encoded) == (done.sentences, 0)
    with featstore.open_vectors(tmp_path / "features", "words") as vectors:
        assert vectors[corpus[0].tokens].shape == (len(corpus[0].tokens), WordEncoder.dim)
    with pytest.raises(UsageError, match="give a list"):
        featstore.featurize_corpus(corpus, "words", store=tmp_path / "features")
