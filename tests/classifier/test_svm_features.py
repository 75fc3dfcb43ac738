"""The features of the system svm: they come from the sentence and the pair alone, in either context."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.systems.svm.features import FAMILIES, features_of, pair_of
from classifier.systems.svm.words import trigger_classes
from featstore.corpora.mark import CONTEXTS, Marking, Mention, mark
from featstore.corpora.text import Sentence
from featstore.errors import DataError
from featstore.records import Instance

WORDS = st.lists(
    st.sampled_from(["the", "Aspirin", "inhibits", "COX-2", "not", "12", ",", "é", "mutation"]), min_size=2
)


def instance_of(tokens: list[str], head: tuple[int, int], tail: tuple[int, int], context: str = "sentence") -> Instance:
    """Mark a pair, given by the tokens of its mentions."""
    sentence = Sentence(tuple(tokens), tuple((2 * i, 2 * i + 1) for i in range(len(tokens))))
    first, second = (
        Mention((2 * start, 2 * end - 1), kind, f"@{kind}$") for (start, end), kind in ((head, "gene"), (tail, "chem"))
    )
    marked = mark(sentence, first, second, Marking("tags", context))
    return Instance(
        id="toy:1",
        tokens=marked.tokens,
        layout=marked.layout,
        tags=marked.tags,
        head=marked.head,
        tail=marked.tail,
        head_type="gene",
        tail_type="chem",
        label="pos",
    )


@st.composite
def instances(draw: st.DrawFn) -> tuple[list[str], tuple[int, int], tuple[int, int]]:
    """Return a sentence and two spans in it, which may touch or overlap."""
    tokens = draw(WORDS)
    spans = []
    for _ in range(2):
        start = draw(st.integers(0, len(tokens) - 1))
        spans.append((start, draw(st.integers(start + 1, len(tokens)))))
    return tokens, spans[0], spans[1]


@given(instances())
def test_the_pair_is_found_again_without_its_tags(drawn: tuple[list[str], tuple[int, int], tuple[int, int]]) -> None:
    tokens, head, tail = drawn
    for context in CONTEXTS:
        instance = instance_of(tokens, head, tail, context)
        pair = pair_of(instance)
        assert list(pair.tokens) == tokens
        assert (pair.head, pair.tail) == (head, tail)
        assert [instance.tokens[row] for row in pair.rows] == tokens
        before, between, after = pair.sides
        assert before[0] == 0 <= before[1] <= between[0] <= between[1]
        assert after[1] == len(tokens)
        inside = {*range(*head), *range(*tail)}
        assert not inside & {*range(*before), *range(*between), *range(*after)}
        assert inside | {*range(*before), *range(*between), *range(*after)} == set(range(len(tokens)))


@given(instances())
def test_nothing_but_the_sentence_and_the_pair_is_read(
    drawn: tuple[list[str], tuple[int, int], tuple[int, int]],
) -> None:
    tokens, head, tail = drawn
    instance = instance_of(tokens, head, tail)
    features = features_of(pair_of(instance))
    assert tuple(features) == FAMILIES
    assert all(names == sorted(set(names)) for names in features.values())
    other = replace(
        instance, id="x", label=None, fold=7, split="test", group="g", offsets=(), source={"label": "neg", "index": "1"}
    )
    assert features_of(pair_of(other)) == features
    assert features_of(pair_of(instance_of(tokens, head, tail, "tagged"))) == features
    if head != tail:
        turned = features_of(pair_of(instance_of(tokens, tail, head)))
        assert turned["distance"] != features["distance"] or turned["surface"] != features["surface"]


def test_what_the_families_hold() -> None:
    tokens = ["Aspirin", "does", "not", "inhibit", "COX-2", ",", "it", "activates", "it"]
    found = features_of(pair_of(instance_of(tokens, (4, 5), (0, 1))))
    assert {"head=cox-2", "tail=aspirin", "pair=cox-2|aspirin", "head shape=A-0"} <= set(found["surface"])
    assert {"between does not inhibit", "after activat", "sentence TAIL does"} <= set(found["lexical"])
    assert {"tail..head path=does not *inhibit", "head left=not inhibit"} <= set(found["pattern"])
    assert {"order=tail first", "between=3"} <= set(found["distance"])
    assert {"between denied inhibit", "after activate", "tail right=inhibit"} <= set(found["trigger"])
    assert "after denied" not in found["trigger"]


def test_pairs_without_words_between_or_within_each_other() -> None:
    touching = features_of(pair_of(instance_of(["a", "b"], (0, 1), (1, 2))))
    assert "between nothing" in touching["lexical"]
    assert "between=0" in touching["distance"]
    inside = pair_of(instance_of(["a", "b", "c"], (0, 3), (1, 2)))
    assert inside.sides == ((0, 0), (1, 1), (3, 3))
    assert inside.head_first
    assert not pair_of(instance_of(["a", "b", "c"], (1, 2), (0, 3))).head_first


def test_a_mention_without_a_word_is_refused() -> None:
    instance = instance_of(["a", "b"], (0, 1), (1, 2))
    for head in ((0, 0), (0, 1), (5, 9), (-1, 2)):  # step 0 is a tag
        with pytest.raises(DataError, match=r"instance 'toy:1' has a mention at steps"):
            pair_of(replace(instance, head=head))


def test_triggers() -> None:
    assert trigger_classes("associated") == ("associate",)
    assert trigger_classes("led") == ("cause",)
    assert trigger_classes("ledge") == ()
    assert trigger_classes("inhibitors") == ("inhibit",)
