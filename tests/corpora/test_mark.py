"""Marking: what the encoders and the head see, for every way in which two mentions can lie."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featstore.corpora.mark import Marked, Marking, Mention, mark
from featstore.corpora.text import Sentence, tokenise
from featstore.errors import DataError, UsageError
from featstore.records import Instance

TEXT = "a b c d e f"
WORDS = TEXT.split()
SENTENCE = tokenise(TEXT, (0, len(TEXT)), [])


def mention(first: int, last: int, kind: str, word: str) -> Mention:
    """The mention that covers the words ``first`` to ``last - 1`` (each is one character, blanks between)."""
    return Mention((2 * first, 2 * last - 1), kind, word)


def marked(head: tuple[int, int], tail: tuple[int, int], indicators: str, context: str = "tagged") -> Marked:
    return mark(SENTENCE, mention(*head, "gene", "G"), mention(*tail, "dise", "D"), Marking(indicators, context))


TAGS = {
    ((1, 2), (4, 6)): "a <gene> b </gene> c d <dise> e f </dise>",
    ((4, 6), (1, 2)): "a <dise> b </dise> c d <gene> e f </gene>",
    ((0, 2), (2, 3)): "<gene> a b </gene> <dise> c </dise> d e f",  # neighbours: one ends before the next begins
    ((0, 3), (1, 2)): "<gene> a <dise> b </dise> c </gene> d e f",  # the tail inside the head
    ((1, 2), (0, 3)): "<dise> a <gene> b </gene> c </dise> d e f",
    ((0, 3), (0, 1)): "<gene> <dise> a </dise> b c </gene> d e f",  # one start: the longer outside
    ((0, 1), (0, 3)): "<dise> <gene> a </gene> b c </dise> d e f",
    ((0, 3), (2, 3)): "<gene> a b <dise> c </dise> </gene> d e f",  # one end
    ((2, 4), (2, 4)): "a b <gene> <dise> c d </dise> </gene> e f",  # equal: the head outside
    ((0, 2), (1, 3)): "<gene> a <dise> b </gene> c </dise> d e f",  # crossing
}
REPLACED = {
    ((1, 2), (4, 6)): "a G c d D",
    ((4, 6), (1, 2)): "a D c d G",
    ((0, 2), (2, 3)): "G D d e f",
    ((0, 3), (1, 2)): "G D d e f",
    ((1, 2), (0, 3)): "D G d e f",
    ((0, 1), (0, 3)): "D G d e f",
    ((2, 4), (2, 4)): "a b G D e f",
    ((0, 2), (1, 3)): "G D d e f",
}


@pytest.mark.parametrize(("spans", "wanted"), TAGS.items())
def test_tags(spans: tuple[tuple[int, int], tuple[int, int]], wanted: str) -> None:
    found = marked(*spans, "tags")
    assert " ".join(found.tokens) == wanted
    # Inside its tags a mention is its words, and the other's tags where they lie inside.
    for span, place in zip(spans, (found.head, found.tail), strict=True):
        inside = [token for token in found.tokens[slice(*place)] if "<" not in token]
        assert inside == WORDS[slice(*span)]
    assert found.tokens[found.head[0] - 1] == "<gene>"
    assert found.tokens[found.tail[1]] == "</dise>"


@pytest.mark.parametrize(("spans", "wanted"), REPLACED.items())
def test_replace(spans: tuple[tuple[int, int], tuple[int, int]], wanted: str) -> None:
    found = marked(*spans, "replace")
    assert " ".join(found.tokens) == wanted
    assert (found.tokens[slice(*found.head)], found.tokens[slice(*found.tail)]) == (("G",), ("D",))
    assert found.offsets[found.head[0]] == (2 * spans[0][0], 2 * spans[0][1] - 1)


BLIND = {  # pair, others -> what stands there
    ((1, 2), (4, 5), ()): "a <gene> gene </gene> c d <dise> disease </dise> f",
    ((1, 2), (4, 5), ((2, 4, "dise"),)): "a <gene> gene </gene> disease <dise> disease </dise> f",
    ((1, 2), (4, 5), ((2, 4, "chem"),)): "a <gene> gene </gene> c d <dise> disease </dise> f",  # no type of the pair
    ((1, 2), (4, 5), ((5, 6, "gene"), (0, 1, "dise"))): "disease <gene> gene </gene> c d <dise> disease </dise> gene",
    ((1, 2), (4, 5), ((1, 2, "gene"), (4, 5, "dise"))): (  # the pair itself may be among them
        "a <gene> gene </gene> c d <dise> disease </dise> f"
    ),
    ((1, 2), (4, 5), ((2, 3, "gene"), (2, 4, "dise"), (3, 4, "gene"))): (  # the longer first; what is inside it is gone
        "a <gene> gene </gene> disease <dise> disease </dise> f"
    ),
    ((1, 2), (4, 5), ((1, 3, "dise"),)): "a <gene> disease </gene> d <dise> disease </dise> f",  # round the gene
    ((1, 3), (1, 2), ()): "a <gene> <dise> gene </dise> </gene> d e f",  # both in one noun
    ((1, 3), (2, 4), ()): "a <dise> <gene> gene </gene> d </dise> e f",  # crossing: the earlier is replaced
}


@pytest.mark.parametrize(("case", "wanted"), BLIND.items())
@pytest.mark.parametrize("context", ["tagged", "sentence"])
def test_blind(case: tuple[Any, ...], wanted: str, context: str) -> None:
    head, tail, others = case
    mentions = [mention(start, stop, kind, "X") for start, stop, kind in others]
    first, second = mention(head[0], head[1], "gene", "G"), mention(tail[0], tail[1], "dise", "D")
    found = mark(SENTENCE, first, second, Marking("blind", context), mentions)
    seen = [found.tokens[row] if row >= 0 else found.tags[-1 - row] for row in found.layout]
    assert " ".join(seen) == wanted
    characters = [TEXT[start:end] for start, end in found.offsets if start >= 0]
    assert " ".join(characters) == TEXT, "each noun knows its mention's characters"
    if context == "sentence":
        assert not any("<" in token for token in found.tokens)


def test_the_pairs_of_a_sentence_share_the_blinded_one() -> None:
    genes = [mention(0, 1, "gene", "G"), mention(2, 4, "gene", "G"), mention(5, 6, "gene", "G")]
    disease = mention(2, 4, "dise", "D")  # where a gene stands too
    found = [mark(SENTENCE, gene, disease, Marking("blind", "sentence"), [*genes, disease]) for gene in genes]
    assert {" ".join(each.tokens) for each in found} == {"gene b disease e gene"}


def test_a_mention_without_a_word_is_not_blinded() -> None:
    pair = mention(1, 2, "gene", "G"), mention(4, 5, "dise", "D")
    found = mark(SENTENCE, *pair, Marking("blind", "sentence"), [Mention((5, 6), "gene", "X")])
    assert " ".join(found.tokens) == "a gene c d disease f"


SPANS = st.tuples(st.integers(0, 5), st.integers(1, 6)).filter(lambda span: span[0] < span[1])


@given(SPANS, SPANS, st.sampled_from(["tags", "replace", "blind"]))
def test_both_contexts_say_the_same(head: tuple[int, int], tail: tuple[int, int], indicators: str) -> None:
    tagged, plain = (marked(head, tail, indicators, context) for context in ("tagged", "sentence"))
    if indicators != "blind":
        assert plain.tokens == SENTENCE.tokens
    seen = tuple(plain.tokens[row] if row >= 0 else plain.tags[-1 - row] for row in plain.layout)
    assert seen == tagged.tokens
    assert (plain.head, plain.tail) == (tagged.head, tagged.tail)
    assert tagged.layout == tuple(range(len(tagged.tokens)))
    assert tagged.tags == ()
    assert len(tagged.offsets) == len(tagged.tokens)
    assert sorted(-1 - row for row in plain.layout if row < 0) == list(range(len(plain.tags)))


def test_inserted_tags_stand_for_no_characters() -> None:
    found = marked((1, 2), (4, 6), "tags")
    for token, (start, end) in zip(found.tokens, found.offsets, strict=True):
        assert (start, end) == (-1, -1) if "<" in token else TEXT[start:end] == token


def test_a_mention_without_a_word() -> None:
    with pytest.raises(DataError, match="characters 1-2 holds no word"):
        mark(Sentence(("a",), ((0, 1),)), Mention((0, 1), "gene", "G"), Mention((1, 2), "dise", "D"), Marking())


@pytest.mark.parametrize("choice", [{"indicators": "tag"}, {"context": "sentences"}])
def test_unknown_choice(choice: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="Did you mean"):
        Marking(**choice)


@pytest.mark.parametrize("context", ["tagged", "sentence"])
def test_a_mention_begins_with_its_own_tag_or_with_its_first_token(context: str) -> None:
    words = ("<chem>", "<gene>", "x", "</gene>", "y", "</chem>", "z")
    tags = tuple(word for word in words if "<" in word) if context == "sentence" else ()
    tokens = tuple(word for word in words if word not in tags)
    layout = tuple(-1 - tags.index(word) if word in tags else tokens.index(word) for word in words)

    def begins(head: tuple[int, int], head_type: str, tail: tuple[int, int], tail_type: str) -> tuple[int, int]:
        return Instance("i", tokens, layout, tags, head, tail, head_type, tail_type, None).begins

    assert begins((2, 3), "gene", (2, 5), "chem") == (1, 0)
    assert begins((6, 7), "gene", (2, 3), "dise") == (6, 2)
