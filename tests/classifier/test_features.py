"""The words of --features, and the sets that they find in a store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.data.features import Feature, feature_spec, layer_places, open_features, parse_features
from classifier.data.vectors import DistinctSentences
from featstore.errors import MismatchError, MissingFeatureError, UsageError
from featstore.ragged import Ragged
from featstore.records import Corpus
from featstore.stores import FeatureMeta, create_store

COMMAND = "cli featurize --corpus toy --store S"


def test_words() -> None:
    assert parse_features("glove+cse + elmo[avg]") == (Feature("glove"), Feature("cse"), Feature("elmo", "avg"))
    assert parse_features("bert[2,4,6]+elmo") == (Feature("bert", "2,4,6"), Feature("elmo"))
    assert parse_features("elmo@0af3[2]") == (Feature("elmo", "2", "0af3"),)
    assert [str(f) for f in parse_features("glove@0a+elmo[top]")] == ["glove@0a", "elmo[top]"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("glove++cse", "'' in --features 'glove\\+\\+cse' is not a feature"),
        ("glove,cse", "write names joined by '\\+'"),
        ("elmo[topp]", "Did you mean 'top'"),
        ("elmo[-1]", "is not a feature"),
        ("elmo[1,]", "the layer choice in 'elmo\\[1,\\]' is unknown"),
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


def bert(layers: list[int], digits: str) -> FeatureMeta:
    facts = {"encoder": "bert", "layers": layers}
    return FeatureMeta("bert", digits.ljust(64, "0"), 8 * len(layers), len(layers), "float16", "hdf5", facts)


def test_layers_of_bert_have_the_numbers_of_the_model() -> None:
    meta = bert([2, 4, 6], "aa")
    places = {word: layer_places(word, meta) for word in ("mix", "top", "avg", "4", "6,2")}
    assert places == {"mix": (0, 1, 2), "top": (2,), "avg": None, "4": (1,), "6,2": (2, 0)}
    assert feature_spec(Feature("bert", "6,2"), meta).layers == 2
    with pytest.raises(UsageError, match=r"bert\[0\] reads layer 0; the store holds layers 2, 4, 6 of bert"):
        layer_places("0", meta)
    with pytest.raises(UsageError, match=r"bert\[2,2\] names a layer twice"):
        layer_places("2,2", meta)


def test_the_set_that_has_the_layer_serves(corpus: Corpus, tmp_path: Path) -> None:
    instances, rng = corpus.instances[:3], np.random.default_rng(1)
    for meta in (bert([6], "aa"), bert([2, 4], "bb")):
        meta = replace(meta, facts={})  # facts that are none would not have this identity
        with closing(create_store(tmp_path, meta)) as store:
            rows = [rng.standard_normal((len(i.tokens), meta.dim), dtype=np.float32) for i in instances]
            store.append([i.key for i in instances], Ragged.from_list(rows, meta.dim))
    with open_features(parse_features("bert[1]"), tmp_path, [instances[0].key], COMMAND) as stores:
        assert stores[0].meta.layers == 2
    with pytest.raises(UsageError, match=r"bert\[7\] reads layer 7"):
        opened(tmp_path, replace(corpus, instances=instances), "bert[7]")


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
