"""Vectors by number of sentence: held or streamed the same, layers as asked, nothing wrong passes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import pytest
import torch

from classifier.data.features import Feature
from classifier.data.vectors import DistinctSentences, Vectors
from featstore.errors import DataError, MismatchError, UsageError
from featstore.ragged import Ragged
from featstore.records import Corpus
from featstore.stores import FeatureMeta, FeatureStore


class Tampered:
    """A set whose vectors are changed on the way out."""

    def __init__(self, store: FeatureStore, change: Callable[[Ragged], Ragged]) -> None:
        self._store, self._change = store, change

    @property
    def meta(self) -> FeatureMeta:
        return self._store.meta

    def read(self, keys: Sequence[bytes]) -> Ragged:
        return self._change(self._store.read(keys))

    def shards_of(self, keys: Sequence[bytes]) -> np.ndarray:
        return self._store.shards_of(keys)


def tampered(store: FeatureStore, change: Callable[[Ragged], Ragged]) -> FeatureStore:
    return cast(FeatureStore, Tampered(store, change))  # it has what reading asks for


@pytest.fixture
def corpus(make_corpus: Callable[..., Corpus]) -> Corpus:
    return make_corpus()


def test_sentences_are_distinct(corpus: Corpus) -> None:
    sentences = DistinctSentences.of(corpus.instances)
    assert len(sentences.keys) == 90
    assert len(sentences.of_instance) == 99
    for instance, number in zip(corpus.instances, sentences.of_instance, strict=True):
        assert sentences.keys[number] == instance.key
        assert sentences.lengths[number] == len(instance.tokens)


@pytest.mark.parametrize("budget", [0, 20_000, 1 << 30])  # nothing held, one of the two, both
def test_rows_are_those_of_the_store(corpus: Corpus, in_memory: Callable[..., FeatureStore], budget: int) -> None:
    stores = [in_memory(corpus.instances, "glove", 8), in_memory(corpus.instances, "elmo", 18, 3)]
    sentences = DistinctSentences.of(corpus.instances)
    vectors = Vectors([Feature("glove"), Feature("elmo")], stores, sentences, budget)
    numbers = np.array([17, 3, 88, 3])
    for rows, store in zip(vectors.rows(numbers), stores, strict=True):
        assert rows.dtype == torch.float16
        assert np.array_equal(rows.numpy(), store.read([sentences.keys[n] for n in numbers]).values)


@pytest.mark.parametrize("layer", ["top", "avg", "0", "1"])
def test_layers(corpus: Corpus, in_memory: Callable[..., FeatureStore], layer: str) -> None:
    store = in_memory(corpus.instances, "elmo", 18, 3)
    sentences = DistinctSentences.of(corpus.instances)
    vectors = Vectors([Feature("elmo", layer)], [store], sentences)
    (rows,) = vectors.rows(np.arange(5))
    stored = store.read(sentences.keys[:5]).values.astype(np.float64).reshape(-1, 3, 6)
    expected = {"top": stored[:, 2], "avg": stored.mean(1), "0": stored[:, 0], "1": stored[:, 1]}[layer]
    np.testing.assert_allclose(rows.numpy(), expected, atol=2e-3)
    assert (vectors.specs[0].layers, vectors.specs[0].dim, vectors.specs[0].layer) == (1, 6, layer)


@pytest.mark.parametrize(("layer", "places"), [("0,2", [0, 2]), ("2,0", [2, 0]), ("0,1,2", [0, 1, 2])])
def test_some_layers_are_handed_on_to_be_mixed(
    corpus: Corpus, in_memory: Callable[..., FeatureStore], layer: str, places: list[int]
) -> None:
    store = in_memory(corpus.instances, "elmo", 18, 3)
    sentences = DistinctSentences.of(corpus.instances)
    vectors = Vectors([Feature("elmo", layer)], [store], sentences)
    stored = store.read(sentences.keys[:2]).values.reshape(-1, 3, 6)
    assert (vectors.specs[0].layers, vectors.specs[0].dim) == (len(places), 6)
    rows = vectors.rows(np.array([0, 1]))[0].numpy().reshape(-1, len(places), 6)
    np.testing.assert_array_equal(rows, stored[:, places])


def test_a_layer_that_is_not_there(corpus: Corpus, in_memory: Callable[..., FeatureStore]) -> None:
    sentences = DistinctSentences.of(corpus.instances)
    with pytest.raises(UsageError, match=r"elmo\[3\] reads layer 3; the store holds layers 0, 1, 2 of elmo"):
        Vectors([Feature("elmo", "3")], [in_memory(corpus.instances, "elmo", 18, 3)], sentences)
    with pytest.raises(UsageError, match=r"glove\[1\] reads layer 1; the store holds layer 0 of glove"):
        Vectors([Feature("glove", "1")], [in_memory(corpus.instances, "glove", 8)], sentences)


def test_moments(corpus: Corpus, in_memory: Callable[..., FeatureStore]) -> None:
    store = in_memory(corpus.instances, "elmo", 18, 3)
    sentences = DistinctSentences.of(corpus.instances)
    numbers = np.arange(0, 90, 2)
    ((mean, deviation),) = Vectors([Feature("elmo")], [store], sentences).moments(numbers)
    rows = store.read([sentences.keys[n] for n in numbers]).values.astype(np.float64)
    np.testing.assert_allclose(mean, rows.mean(0), atol=1e-6)
    np.testing.assert_allclose(deviation, rows.std(0), atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("budget", [0, 1 << 30])
def test_numbers_that_are_not_finite(
    corpus: Corpus, in_memory: Callable[..., FeatureStore], bad: float, budget: int
) -> None:
    def spoil(vectors: Ragged) -> Ragged:
        vectors.values[vectors.offsets[2] + 1, 5] = bad
        return vectors

    store = tampered(in_memory(corpus.instances, "glove", 8), spoil)
    with pytest.raises(
        DataError, match=r"glove@\w+ holds NaN or infinity in the sentence of instance 'toy:2' \(token 1"
    ):
        Vectors([Feature("glove")], [store], DistinctSentences.of(corpus.instances), budget).rows(np.arange(4))


def test_rows_that_are_not_the_tokens(corpus: Corpus, in_memory: Callable[..., FeatureStore]) -> None:
    def shift(vectors: Ragged) -> Ragged:
        offsets = vectors.offsets.copy()
        offsets[2] += 1
        return Ragged(vectors.values, offsets)

    store = tampered(in_memory(corpus.instances, "glove", 8), shift)
    length = len(corpus.instances[1].tokens)
    with pytest.raises(MismatchError, match=f"holds {length + 1} rows .* 'toy:1', which has {length} tokens"):
        Vectors([Feature("glove")], [store], DistinctSentences.of(corpus.instances))


def test_vectors_are_let_go_of_at_once(corpus: Corpus, in_memory: Callable[..., FeatureStore]) -> None:
    """Extraction makes a new one for each window; a circle of references would keep the windows in memory."""
    store = in_memory(corpus.instances, "glove", 8)
    gc.disable()
    try:
        vectors = Vectors([Feature("glove")], [store], DistinctSentences.of(corpus.instances))
        vectors.rows(np.arange(2))
        gone = weakref.ref(vectors)
        del vectors
        assert gone() is None
    finally:
        gc.enable()
