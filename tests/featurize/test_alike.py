"""Which sentences are encoded together because they share text."""

from hypothesis import given
from hypothesis import strategies as st

from featstore.featurize.alike import alike


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=12))
def test_each_sentence_is_in_one_group(sentences: list[list[str]]) -> None:
    assert sorted(position for group in alike(sentences) for position in group) == list(range(len(sentences)))


def test_a_shared_beginning_or_end_joins_and_an_opening_does_not() -> None:
    words = [f"w{i}" for i in range(20)]
    sentences = [
        ["<gene>", *words],
        [*words, "<gene>"],
        [*words[:10], "<gene>", *words[10:]],
        [*words[:3], *(f"v{i}" for i in range(17))],
        ["alone"],
    ]
    groups = {frozenset(group) for group in alike(sentences)}
    assert groups == {frozenset({0, 1, 2}), frozenset({3}), frozenset({4})}
