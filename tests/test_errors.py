"""Words of messages that several rooms share."""

from __future__ import annotations

import pytest

from featstore.errors import count_of


@pytest.mark.parametrize(("number", "words"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1024, "1,024 rows")])
def test_what_is_counted_agrees_with_its_number(number: int, words: str) -> None:
    assert count_of(number, "row") == words
