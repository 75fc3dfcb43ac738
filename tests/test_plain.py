"""Plain data to typed values: what goes out with asdict comes back the same, and what is wrong is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featstore.errors import DataError, UsageError
from featstore.plain import from_plain


@dataclass(frozen=True, slots=True)
class Leaf:
    name: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    REMOVED: ClassVar[Mapping[str, object]] = {"gone": False}

    count: int
    leaves: tuple[Leaf, ...]
    pair: tuple[str, int] = ("", 0)
    by_name: Mapping[str, Leaf] = field(default_factory=dict)
    anything: Mapping[str, object] = field(default_factory=dict)
    either: int | str = 0
    on: bool = True

    def __post_init__(self) -> None:
        if self.count < 0:
            raise UsageError("count must be at least 0.")


texts, numbers = st.text(max_size=5), st.integers(-(2**40), 2**40)
leaves = st.builds(Leaf, texts, st.none() | st.floats(allow_nan=False, allow_infinity=False))
trees = st.builds(
    Tree,
    st.integers(0, 9),
    st.lists(leaves, max_size=3).map(tuple),
    st.tuples(texts, numbers),
    st.dictionaries(texts, leaves, max_size=2),
    st.dictionaries(texts, st.none() | st.booleans() | texts, max_size=2),
    numbers | texts,
    st.booleans(),
)


@given(trees)
def test_a_value_comes_back_as_it_was(tree: Tree) -> None:
    assert from_plain(Tree, json.loads(json.dumps(asdict(tree))), "it") == tree


def test_a_whole_number_serves_as_a_number_and_defaults_fill_in() -> None:
    tree = from_plain(Tree, {"count": 1, "leaves": [{"name": "a", "share": 1}], "gone": False}, "it")
    assert tree == Tree(1, (Leaf("a", 1.0),))
    assert isinstance(tree.leaves[0].share, float)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"count": "1"}, "file: 'count' must be a whole number, not '1'."),
        ({"count": True}, "'count' must be a whole number, not True"),
        ({"count": -1}, "cannot be used: count must be at least 0."),
        ({"cuont": 1}, "'cuont' is not known here. Did you mean 'count'?"),
        ({"gone": True}, "'gone' is True, and this version knows only False"),
        ({"leaves": {}}, "'leaves' must be a list, not {}"),
        ({"leaves": [{"name": "a"}, {}]}, r"'leaves[1].name' is missing"),
        ({"leaves": [{"name": "a", "share": "x"}]}, "'leaves[0].share' must be a number, not 'x'"),
        ({"pair": ["a"]}, "'pair' must hold 2 values, not 1"),
        ({"pair": "ab"}, "'pair' must be a list, not 'ab'"),
        ({"by_name": {"x": 3}}, "'by_name.x' must be a table, not 3"),
        ({"either": 1.5}, "'either' must be a whole number or a text, not 1.5"),
        ({"on": 1}, "'on' must be true or false, not 1"),
        ({"by_name": {"x": "y" * 99}}, ".."),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], said: str) -> None:
    with pytest.raises(DataError) as error:
        from_plain(Tree, {"count": 1, "leaves": [], **change}, "file")
    assert said in str(error.value)
    assert len(str(error.value)) < 120


def test_data_that_is_no_table() -> None:
    with pytest.raises(DataError, match="file: it must be a table, not 3"):
        from_plain(Tree, 3, "file")
