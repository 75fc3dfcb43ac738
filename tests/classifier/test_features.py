"""The words of --features, and the sets that they find in a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from classifier.data.features import Feature, feature_spec, open_features, parse_features
from classifier.data.vectors import DistinctSentences
from featstore.errors import MismatchError, MissingFeatureError, UsageError
from featstore.records import Corpus

COMMAND = "cli featurize --corpus toy --store S"


def test_words() -> None:
    assert parse_features("glove+cse + elmo[avg]") == (Feature("glove"), Feature("cse"), Feature("elmo", "avg"))
    assert parse_features("elmo@0af3[2]") == (Feature("elmo", "2", "0af3"),)
    assert [str(f) for f in parse_features("glove@0a+elmo[top]")] == ["glove@0a", "elmo[top]"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("glove++cse", "'' in --features 'glove\\+\\+cse' is not a feature"),
        ("glove,cse", "write names joined by '\\+'"),
        ("elmo[topp]", "Did you mean 'top'"),
        ("elmo[-1]", "is not a feature"),
        ("glove+glove", "names a feature twice"),
    ],
)
def test_words_that_are_none(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_features(text)


@pytest.fixture
def corpus(make_corpus: Callable[..., Corpus]) -> Corpus:
    return make_corpus()


def opened(root: Path, corpus: Corpus, text: str, **more: Any) -> list[str]:
    with open_features(
        parse_features(text), root, DistinctSentences.of(corpus.instances).keys, COMMAND, **more
    ) as stores:
        return [store.meta.identity for store in stores]


def test_finds_the_only_set_that_is_whole(corpus: Corpus, make_set: Callable[..., Path]) -> None:
    make_set(corpus.instances[:5], "glove", 8, identity="aa")
    root = make_set(corpus.instances, "glove", 8, identity="bb")
    assert opened(root, corpus, "glove") == ["bb".ljust(64, "0")]


def test_names_the_command_for_what_is_missing(corpus: Corpus, make_set: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(MissingFeatureError, match=r"empty.*cli featurize --encoders glove --corpus toy --store S"):
        opened(tmp_path / "nothing", corpus, "glove")
    root = make_set(corpus.instances[:5], "glove", 8)
    with pytest.raises(MissingFeatureError, match=r"lacks 85 of the 90 sentences.*cli featurize --encoders glove"):
        opened(root, corpus, "glove")
    with pytest.raises(MissingFeatureError, match=r"holds only glove: nothing of .*'glvoe'\. Did you mean 'glove'\?"):
        opened(root, corpus, "glvoe")


def test_several_sets_must_be_told_apart(corpus: Corpus, make_set: Callable[..., Path]) -> None:
    make_set(corpus.instances, "glove", 8, identity="aa1")
    root = make_set(corpus.instances, "glove", 8, identity="ab2")
    with pytest.raises(UsageError, match=r"glove@aa100000(.|\n)*glove@ab200000"):
        opened(root, corpus, "glove")
    assert opened(root, corpus, "glove@ab") == ["ab2".ljust(64, "0")]


def test_one_encoder_stored_twice_is_no_question(corpus: Corpus, make_set: Callable[..., Path]) -> None:
    make_set(corpus.instances, "glove", 8)
    root = make_set(corpus.instances, "glove", 8, dtype="float32")
    with open_features(parse_features("glove"), root, [corpus.instances[0].key], COMMAND) as stores:
        assert stores[0].meta.dtype == "float32"


def test_a_head_is_not_served_other_vectors(corpus: Corpus, make_set: Callable[..., Path]) -> None:
    root = make_set(corpus.instances, "glove", 8, identity="aa1")
    (feature,) = parse_features("glove")
    with open_features([feature], root, [corpus.instances[0].key], COMMAND) as stores:
        trained_on = [feature_spec(feature, stores[0].meta)]
    assert opened(root, corpus, "glove", trained_on=trained_on)
    other = make_set(corpus.instances, "glove", 8, identity="bb2", root=root.parent / "other")
    with pytest.raises(MismatchError, match=r"trained on glove@aa1000000000 .*holds only glove@bb2000000000"):
        opened(other, corpus, "glove", trained_on=trained_on)
    make_set(corpus.instances, "glove", 8, identity="aa1", root=other)
    assert opened(other, corpus, "glove", trained_on=trained_on) == ["aa1".ljust(64, "0")]
