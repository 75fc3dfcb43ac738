"""The dev part: whole groups, always the same, every label."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from classifier.data.split import dev_split, share_of_part, training_parts
from featstore.errors import DataError
from featstore.records import Corpus, Instance

PLAIN = Instance("", ("a", "b"), (0, 1), (), (0, 1), (1, 2), "gene", "chem", "0")


def make(groups: list[tuple[int, str]]) -> list[Instance]:
    return [replace(PLAIN, id=str(n), group=f"g{g}", label=label) for n, (g, label) in enumerate(groups)]


@pytest.mark.parametrize("seed", range(20))
def test_parts_are_whole_groups_and_do_not_depend_on_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(60, 200))
    instances = make(list(zip(rng.integers(0, 80, count), rng.choice(list("001"), count), strict=True)))
    train, dev = dev_split(instances, range(len(instances)), 0.2)
    assert sorted(train + dev) == list(range(len(instances)))
    assert not {instances[p].group for p in train} & {instances[p].group for p in dev}
    shuffled = rng.permutation(count).tolist()
    assert set(dev_split(instances, shuffled, 0.2)[1]) == set(dev)


def test_a_tenth_of_every_label() -> None:
    rng = np.random.default_rng(0)
    instances = make([(n, label) for n, label in enumerate(rng.choice(list("aaaaaaab"), 2000))])
    train, dev = dev_split(instances, range(2000), 0.1)
    for label, count in Counter(i.label for i in instances).items():
        assert sum(instances[p].label == label for p in dev) == pytest.approx(count / 10, abs=1)
        assert any(instances[p].label == label for p in train)


def test_a_group_that_is_most_of_the_data_stays_in_training() -> None:
    instances = make([(0, "0")] * 500 + [(n, "0") for n in range(1, 100)])
    _, dev = dev_split(instances, range(len(instances)), 0.1)
    assert 30 <= len(dev) <= 80
    assert all(instances[p].group != "g0" for p in dev)


def test_shares_of_a_part_are_whole_groups_one_in_the_other() -> None:
    rng = np.random.default_rng(0)
    instances = make(list(zip(rng.integers(0, 300, 2000), rng.choice(list("001"), 2000), strict=True)))
    part = range(500, 2000)
    before: set[int] = set()
    for share in (0.001, 0.1, 0.25, 0.5, 0.9):
        taken = set(share_of_part(instances, part, share))
        assert before < taken < set(part)
        assert len(taken) == pytest.approx(share * 1500, abs=8)
        groups = {instances[p].group for p in taken}
        assert taken == {p for p in part if instances[p].group in groups}
        before = taken
    assert share_of_part(instances, part, 1.0) == tuple(part)


def test_a_share_may_be_too_small_to_learn_from() -> None:
    instances = [replace(i, split="train") for i in make([(n, "0") for n in range(50)])]
    instances += [replace(i, split="train", id=f"p{i.id}") for i in make([(n, "1") for n in range(60, 62)])]
    instances += [replace(i, split="dev", id=f"d{i.id}") for i in make([(90, "1"), (91, "0")])]
    corpus = Corpus("mine", "mine", tuple(instances), ("0", "1"), ("1",), "tags", "tagged", "d1")
    assert len(training_parts(corpus, 1, 0.1)[0]) == 52
    with pytest.raises(DataError, match="the train part of fold 1 of mine has no instance of a positive label"):
        training_parts(corpus, 1, 0.1, 0.05)


def test_too_little_to_part() -> None:
    with pytest.raises(DataError, match="2 sentences"):
        dev_split(make([(0, "0"), (1, "1")]), [0, 1], 0.1)


def test_a_corpus_without_splits_and_folds_says_what_it_lacks() -> None:
    corpus = Corpus("mine", "mine", tuple(make([(0, "0"), (1, "1")])), ("0", "1"), ("1",), "tags", "tagged", "d1")
    with pytest.raises(DataError, match="2 of its 2 instances have neither a split nor a fold"):
        training_parts(corpus, 1, 0.1)
