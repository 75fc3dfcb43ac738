"""The schedule of lanes: every beginning once, read from the state of the one before it; lanes full and even."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from featstore.encoders.beginnings import Beginnings, Ints, find_beginnings
from featstore.encoders.lanes import ZERO, LaneSchedule, schedule

TEXTS = st.lists(st.text("ab", min_size=1, max_size=12), min_size=1, max_size=24)
LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


def of_texts(texts: list[str]) -> tuple[Ints, Beginnings]:
    items = np.array([ord(letter) for text in texts for letter in text], dtype=np.int64)
    return items, find_beginnings(items, np.array([len(text) for text in texts], dtype=np.int64))


def unlike(lengths: list[int]) -> Beginnings:
    """Sentences that share nothing."""
    items = np.repeat(np.arange(len(lengths)), lengths)
    return find_beginnings(items, np.array(lengths, dtype=np.int64))


def read(plan: LaneSchedule, items: Ints, beginnings: Beginnings) -> list[str]:
    """Let lanes read, and return what each had read when it came to each beginning."""
    lanes, slots = [""] * plan.lanes, ["lost"] * plan.slots
    slots[ZERO] = ""
    seen = ["never"] * len(beginnings.last_item)
    for step in range(len(plan.begins) - 1):
        for lane, slot in zip(*plan.loads.get(step, ((), ())), strict=True):
            lanes[lane] = slots[slot]
        for lane, beginning in enumerate(plan.rows[plan.begins[step] : plan.begins[step + 1]]):
            lanes[lane] += chr(items[beginnings.last_item[beginning]])
            seen[beginning] = lanes[lane]
        for lane, slot in zip(*plan.keeps.get(step, ((), ())), strict=True):
            slots[slot] = lanes[lane]
    return seen


@given(TEXTS, st.integers(1, 12))
@example(["aaaaa", "baaaa", "abaaaa", "abaaba"], 4)  # two lanes end before the last one
def test_each_beginning_is_read_once_and_after_what_comes_before_it(texts: list[str], lanes: int) -> None:
    items, beginnings = of_texts(texts)
    plan = schedule(beginnings, lanes)
    seen = read(plan, items, beginnings)
    expected = [text[: end + 1] for text in texts for end in range(len(text))]
    assert [seen[beginning] for beginning in beginnings.of_item] == expected
    assert sorted(seen) == sorted(set(expected))
    assert sorted(plan.rows.tolist()) == list(range(len(seen)))
    assert np.diff(plan.begins).max() == plan.lanes <= lanes


@given(LENGTHS, st.integers(1, 12))
def test_lanes_end_nearly_together(lengths: list[int], lanes: int) -> None:
    """Graham's bound where each goes to the lane that is free first: the mean, and the longest less its share in it."""
    plan = schedule(unlike(lengths), lanes)
    used = min(lanes, len(lengths))
    assert len(plan.begins) - 1 <= sum(lengths) / used + (1 - 1 / used) * max(lengths) + 1e-9


@given(LENGTHS, st.integers(1, 12), st.integers(1, 50))
def test_blocks_cover_the_steps_and_keep_to_their_size(lengths: list[int], lanes: int, rows: int) -> None:
    plan = schedule(unlike(lengths), lanes)
    blocks = list(plan.blocks(rows))
    assert [step for block in blocks for step in block] == list(range(len(plan.begins) - 1))
    for block in blocks:
        assert len(block) == 1 or plan.begins[block.stop] - plan.begins[block.start] <= rows


def test_no_sentences() -> None:
    plan = schedule(unlike([]), 4)
    assert (plan.lanes, len(plan.rows), list(plan.blocks(8))) == (0, 0, [])


@pytest.mark.parametrize("lanes", [1, 128])
def test_a_giant_costs_its_own_length(lanes: int) -> None:
    plan = schedule(unlike([5, 300_000, 7]), lanes)
    assert len(plan.begins) - 1 == (300_012 if lanes == 1 else 300_000)
    assert len(plan.rows) == 300_012


def test_copies_of_a_sentence_cost_what_they_do_not_share() -> None:
    copies = ["x" * 90 + mark + "y" * 10 for mark in "abcde"]
    _, beginnings = of_texts(copies)
    assert len(beginnings.last_item) == 90 + 5 * 11
    assert len(schedule(beginnings, 8).begins) - 1 == 101
