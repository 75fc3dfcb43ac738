"""The schedule of lanes: every item once, sentences unbroken in their lane, resets where they begin, lanes even."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featstore.encoders.lanes import schedule

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


@given(LENGTHS, st.integers(1, 12), st.booleans())
def test_each_sentence_runs_unbroken_in_one_lane_from_a_reset(lengths: list[int], lanes: int, backward: bool) -> None:
    plan = schedule(np.array(lengths), lanes, backward=backward)
    assert sorted(plan.rows.tolist()) == list(range(sum(lengths)))
    active = np.diff(plan.begins)
    assert active.max() == plan.lanes <= lanes
    assert (np.diff(active) <= 0).all()
    sentence = np.repeat(np.arange(len(lengths)), lengths)
    offsets = np.cumsum(lengths) - lengths
    for lane in range(plan.lanes):
        current, expected = -1, 0
        for step in range(int((active > lane).sum())):
            item = plan.rows[plan.begins[step] + lane]
            if lane in plan.resets.get(step, []):
                assert current < 0 or expected == lengths[current]
                current, expected = sentence[item], 0
            assert sentence[item] == current
            k = item - offsets[current]
            assert k == (lengths[current] - 1 - expected if backward else expected)
            expected += 1
        assert expected == lengths[current]
    assert sum(map(len, plan.resets.values())) == len(lengths)


@given(LENGTHS, st.integers(1, 12))
def test_lanes_end_nearly_together(lengths: list[int], lanes: int) -> None:
    """Graham's bound where each goes to the lane that stands least: the mean, and the longest less its share in it."""
    plan = schedule(np.array(lengths), lanes)
    used = min(lanes, len(lengths))
    assert len(plan.begins) - 1 <= sum(lengths) / used + (1 - 1 / used) * max(lengths) + 1e-9


@given(LENGTHS, st.integers(1, 12), st.integers(1, 50))
def test_blocks_cover_the_steps_and_keep_to_their_size(lengths: list[int], lanes: int, rows: int) -> None:
    plan = schedule(np.array(lengths), lanes)
    blocks = list(plan.blocks(rows))
    assert [step for block in blocks for step in block] == list(range(len(plan.begins) - 1))
    for block in blocks:
        assert len(block) == 1 or plan.begins[block.stop] - plan.begins[block.start] <= rows


def test_no_sentences() -> None:
    plan = schedule(np.zeros(0, dtype=np.int64), 4)
    assert (plan.lanes, len(plan.rows), list(plan.blocks(8))) == (0, 0, [])


@pytest.mark.parametrize("lanes", [1, 128])
def test_a_giant_costs_its_own_length(lanes: int) -> None:
    plan = schedule(np.array([5, 300_000, 7]), lanes)
    assert len(plan.begins) - 1 == (300_012 if lanes == 1 else 300_000)
    assert len(plan.rows) == 300_012
