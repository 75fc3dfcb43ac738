"""Batches: every instance once, the right vectors in the right places, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.data.batch import FEWEST, Batch, Batcher, bucketed, shard_windows, tag_names
from classifier.data.features import Feature, open_features
from classifier.data.vectors import DistinctSentences, Vectors
from classifier.head.inference import SEQUENCES
from featstore.errors import DataError, MismatchError
from featstore.records import Corpus, Instance
from featstore.stores import FeatureStore


@pytest.fixture
def make_batcher(in_memory: Callable[..., FeatureStore]) -> Callable[..., Batcher]:
    def make(instances: list[Instance], labels: tuple[str, ...] = ("neg", "pos")) -> Batcher:
        store = in_memory(instances, "glove", 8)
        vectors = Vectors([Feature("glove")], [store], DistinctSentences.of(instances))
        return Batcher(instances, vectors, labels, tag_names(instances))

    return make


@settings(deadline=None)
@given(st.lists(st.integers(1, 90), max_size=300), *(st.integers(1, top) for top in (40, 4, 5, 9)))
def test_bucketed_takes_each_once(lengths: list[int], size: int, pack: int, pool: int, seed: int) -> None:
    sentences = np.arange(len(lengths)) // 3
    batches = bucketed(np.array(lengths), sentences, size, np.random.default_rng(seed), pack, pool)
    assert sorted(n for batch in batches for n in batch) == list(range(len(lengths)))
    assert sum(len(batch) != size for batch in batches) <= 1
    again = bucketed(np.array(lengths), sentences, size, np.random.default_rng(seed), pack, pool)
    assert [b.tolist() for b in batches] == [b.tolist() for b in again]


def test_bucketed_saves_padding_and_shuffles() -> None:
    lengths = np.random.default_rng(0).integers(5, 90, 2000)

    def padding(batches: list[np.ndarray]) -> float:
        return float(sum(len(b) * lengths[b].max() for b in batches) / lengths.sum() - 1)

    sentences = np.arange(2000)
    batches = bucketed(lengths, sentences, 32, np.random.default_rng(1))
    assert padding(batches) < 0.06
    assert padding(bucketed(lengths, sentences, 32, np.random.default_rng(1), pool=1)) > 0.5
    firsts = [lengths[b].mean() for b in batches]
    assert firsts != sorted(firsts)
    assert batches[0].tolist() != bucketed(lengths, sentences, 32, np.random.default_rng(2))[0].tolist()


def test_what_a_teacher_says_stands_beside_the_label_or_alone(
    make_corpus: Callable[..., Corpus], make_batcher: Callable[..., Batcher]
) -> None:
    instances = list(make_corpus("sentence").instances[:3])
    instances[1] = replace(instances[1], label=None)
    batcher = make_batcher(instances)
    batcher.teach(np.array([0, 1]), np.array([[0.5, 0.5], [0.9, 0.1]], dtype=np.float32), share=0.25)
    batch = batcher.batch(np.arange(3))
    assert batch.targets is not None
    expected = torch.tensor([[0.875, 0.125], [0.9, 0.1], [1.0, 0.0]])  # neg, none, neg, of which nothing is said
    torch.testing.assert_close(batch.targets, expected[torch.from_numpy(batch.positions)])


def test_packs_bring_pairs_of_a_sentence_together() -> None:
    rng = np.random.default_rng(0)
    sentences = np.repeat(np.arange(3000), rng.integers(1, 12, 3000))
    lengths = rng.integers(5, 60, 3000)[sentences]

    def distinct(pack: int) -> float:
        batches = bucketed(lengths, sentences, 32, np.random.default_rng(1), pack)
        return sum(len(np.unique(sentences[b])) for b in batches) / len(sentences)

    shares = [distinct(pack) for pack in (1, 4, 100)]
    assert shares[0] > 0.75
    assert shares[1] < 0.5
    assert shares[2] < 0.3
    # Which pairs travel together changes from epoch to epoch.
    epochs = [bucketed(lengths, sentences, 32, np.random.default_rng(n), 4) for n in (1, 2)]
    company = [{(a, b) for batch in e for a in batch for b in batch if sentences[a] == sentences[b]} for e in epochs]
    assert company[0] != company[1]


@settings(deadline=None)
@given(st.lists(st.integers(0, 20), max_size=200), st.integers(1, 9), st.integers(1, 5))
def test_shard_windows_take_each_once_and_few_shards_at_a_time(shards: list[int], seed: int, size: int) -> None:
    windows = shard_windows(np.array(shards, dtype=np.int64), np.random.default_rng(seed), size)
    assert sorted(n for window in windows for n in window) == list(range(len(shards)))
    touched = [{shards[n] for n in window} for window in windows]
    assert all(len(each) <= size for each in touched)
    assert sum(map(len, touched)) == len(set(shards))


def test_a_streamed_epoch_reads_a_few_shards_at_a_time(
    make_corpus: Callable[..., Corpus], make_set: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = make_corpus(count=60)
    for start in range(0, 60, 6):  # a shard each
        root = make_set(corpus.instances[start : start + 6], "glove", 8)
    monkeypatch.setattr("classifier.data.batch.WINDOW", 2)
    sentences = DistinctSentences.of(corpus.instances)
    with open_features([Feature("glove")], root, sentences.keys, "") as stores:
        streamed = Vectors([Feature("glove")], stores, sentences, ram_budget=0)
        held = Vectors([Feature("glove")], stores, sentences)
        assert len(set(streamed.shards)) == 10
        assert not held.shards.any()
        batcher = Batcher(corpus.instances, streamed, corpus.labels, ())
        batches = list(batcher.shuffled(np.arange(66), 4, (1, 1)))
        assert sorted(chain(*(b.positions.tolist() for b in batches))) == list(range(66))
        visits = [set(streamed.shards[sentences.of_instance[b.positions]]) for b in batches]
        assert max(map(len, visits)) == 2
        assert len({frozenset(visit) for visit in visits if len(visit) == 2}) <= 5
        again = list(batcher.shuffled(np.arange(66), 4, (1, 1)))
        assert [b.positions.tolist() for b in batches] == [b.positions.tolist() for b in again]


@pytest.mark.parametrize("context", ["tagged", "sentence"])
def test_a_batch_lays_out_every_instance(
    context: str,
    make_corpus: Callable[..., Corpus],
    make_batcher: Callable[..., Batcher],
    in_memory: Callable[..., FeatureStore],
) -> None:
    corpus = make_corpus(context)
    # Another pair of the first sentence: the head's sequence differs, the sentence does not.
    first = corpus.instances[0]
    instances = [*corpus.instances, replace(first, id="other", layout=first.layout[::-1])]
    store = in_memory(instances, "glove", 8)
    tags = tag_names(instances)
    assert bool(tags) == (context == "sentence")
    seen: list[int] = []
    for batch in make_batcher(instances).shuffled(np.arange(len(instances)), 7, (1, 2)):
        assert batch.lengths.tolist() == sorted(batch.lengths.tolist(), reverse=True)
        assert batch.index.shape == (len(batch.positions), batch.lengths[0])
        distinct = {instances[p].key for p in batch.positions}
        assert len(batch.rows[0]) == sum(len(store.read([key])[0]) for key in distinct)
        for b, position in enumerate(batch.positions):
            instance = instances[position]
            own = store.read([instance.key])[0]
            assert batch.labels[b] == ("neg", "pos").index(instance.label or "")
            assert batch.mentions[b].tolist() == list(instance.begins)
            steps = batch.index[b, : batch.lengths[b]].tolist()
            assert len(steps) == len(instance.layout)
            for step, entry in zip(steps, instance.layout, strict=True):
                if entry < 0:
                    assert tags[-1 - step] == instance.tags[-1 - entry]
                else:
                    assert np.array_equal(batch.rows[0][step].numpy(), own[entry])
        seen += batch.positions.tolist()
    assert sorted(seen) == list(range(len(instances)))


def test_the_same_seed_gives_the_same_batches(
    make_corpus: Callable[..., Corpus], make_batcher: Callable[..., Batcher]
) -> None:
    instances = list(make_corpus().instances)
    batcher = make_batcher(instances)
    part = np.arange(0, len(instances), 2)

    def drawn(seed: tuple[int, int]) -> list[list[int]]:
        return [batch.positions.tolist() for batch in batcher.shuffled(part, 8, seed)]

    assert drawn((1, 1)) == drawn((1, 1))
    assert drawn((1, 1)) != drawn((1, 2))
    assert drawn((1, 1)) != drawn((2, 1))
    assert sorted(chain.from_iterable(drawn((1, 1)))) == part.tolist()


def test_pairs_of_a_sentence_share_its_rows(
    make_corpus: Callable[..., Corpus], make_batcher: Callable[..., Batcher]
) -> None:
    first = make_corpus("sentence").instances[0]
    instances = [replace(first, id=str(n)) for n in range(6)]
    batch: Batch = next(make_batcher(instances).in_order(np.arange(6), 10))
    assert len(batch.rows[0]) == len(first.tokens)
    assert torch.equal(batch.index[0], batch.index[5])


def test_long_sentences_make_small_batches(
    make_corpus: Callable[..., Corpus], make_batcher: Callable[..., Batcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    instances = list(make_corpus("sentence").instances)
    batcher, positions = make_batcher(instances), np.arange(len(instances))
    longest = max(batcher.lengths)
    for most in (3 * longest, longest, 1):
        monkeypatch.setattr("classifier.data.batch.MOST_STEPS", most)
        for fewest in (1, 2):
            monkeypatch.setattr("classifier.data.batch.FEWEST", fewest)
            batches = list(batcher.in_order(positions, 5))
            assert sorted(chain.from_iterable(batch.positions.tolist() for batch in batches)) == positions.tolist()
            assert all(len(b.positions) == fewest or b.index.numel() <= most for b in batches[:-1])
            assert (max(len(b.positions) for b in batches) > fewest) == (most > longest)


def test_a_batch_fills_the_sequences_that_a_head_computes() -> None:
    assert FEWEST == SEQUENCES


def test_refuses_what_does_not_fit(
    make_corpus: Callable[..., Corpus], make_batcher: Callable[..., Batcher], in_memory: Callable[..., FeatureStore]
) -> None:
    instance = make_corpus("sentence").instances[0]
    with pytest.raises(MismatchError, match=f"'{instance.id}' leads outside its {len(instance.tokens)} tokens"):
        make_batcher([replace(instance, layout=(0, len(instance.tokens)))])
    with pytest.raises(MismatchError, match="leads outside"):
        make_batcher([replace(instance, layout=(0, -5))])
    with pytest.raises(MismatchError, match="leads outside"):
        make_batcher([replace(instance, layout=())])
    with pytest.raises(DataError, match="label 'maybe'; known are neg, pos"):
        make_batcher([replace(instance, label="maybe")])
    vectors = Vectors([Feature("glove")], [in_memory([instance], "glove", 8)], DistinctSentences.of([instance]))
    with pytest.raises(MismatchError, match="tag '<gene>', for which the head has no vector; it knows none"):
        Batcher([instance], vectors, ("neg", "pos"), ())
