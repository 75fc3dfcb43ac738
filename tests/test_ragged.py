"""Ragged parts that are joined are what all sentences at once would be."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from featstore.ragged import Ragged


@given(st.lists(st.lists(st.integers(0, 4), max_size=4), min_size=1, max_size=5))
def test_joined_parts_are_the_sentences_in_their_order(parts: list[list[int]]) -> None:
    rng = np.random.default_rng(0)
    rows = [[rng.standard_normal((tokens, 2), dtype=np.float32) for tokens in part] for part in parts]
    joined = Ragged.joined([Ragged.from_list(part, 2) for part in rows])
    whole = Ragged.from_list([matrix for part in rows for matrix in part], 2)
    np.testing.assert_array_equal(joined.values, whole.values)
    np.testing.assert_array_equal(joined.offsets, whole.offsets)
    assert joined.values.dtype == np.float32
    assert joined.offsets.dtype == np.int64
