"""Parallel streams: every column of consecutive blocks is one running text."""

from itertools import pairwise

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featstore.pretrain.streams import Streams

EMPTY = np.zeros(0, np.int32)
lines_of = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1, max_size=6)


def endless(lines: list[list[int]]) -> list[np.ndarray]:
    return [np.array([*line, 0], np.int32) for line in lines] * 200


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines_of, st.integers(1, 4), st.integers(1, 7))
def test_columns_run_on_and_hold_whole_lines(lines: list[list[int]], width: int, length: int) -> None:
    streams = Streams(iter(endless(lines)), [EMPTY] * width)
    blocks = [streams.block(length) for _ in range(5)]
    for before, after in pairwise(blocks):
        np.testing.assert_array_equal(before[-1], after[0])
    for column in range(width):
        text = np.concatenate([block[:-1, column] for block in blocks]).tolist()
        whole = [run for run in "".join(map(str, text)).split("0")[:-1] if run]
        assert set(whole) <= {"".join(map(str, line)) for line in lines}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines_of, st.integers(1, 5))
def test_saved_rests_continue_exactly(lines: list[list[int]], length: int) -> None:
    source = iter(endless(lines))
    streams = Streams(source, [EMPTY] * 3)
    streams.block(length)
    rests = [rest.copy() for rest in streams.rests]
    remaining = list(source)
    again = Streams(iter(remaining), rests)
    expected = Streams(iter(remaining), streams.rests)
    for _ in range(4):
        np.testing.assert_array_equal(again.block(length), expected.block(length))


def test_a_stream_can_skip_to_the_next_line() -> None:
    lines = iter([np.array(line, np.int32) for line in ([1, 2, 0], [3, 4, 0], [5, 6, 0], [7, 8, 0])])
    streams = Streams(lines, [EMPTY])
    mark = np.array([0], np.int32)
    assert streams.block(1)[:, 0].tolist() == [1, 2]
    streams.skip_to(0, mark)  # the rest is [2, 0]
    assert streams.block(2)[:, 0].tolist() == [0, 3, 4]
    streams.rests[0] = np.array([4], np.int32)  # a rest without a mark: one is put before the next line
    streams.skip_to(0, mark)
    assert streams.block(3)[:, 0].tolist() == [0, 5, 6, 0]
