"""Mentions to tags and back, overlaps, and what a corpus does not annotate."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from classifier.entities.batch import possible_bits
from classifier.entities.sentences import (
    TaggedSentence,
    TokenSpan,
    may_follow,
    sentences_of,
    spans_of,
    tag_names,
    tags_of,
    without_overlaps,
)
from classifier.entities.types import TYPES, tagged_type
from featstore.documents import Document, Entity


def entity(start: int, end: int, type_: str = "GENE", id_: str = "T1") -> Entity:
    return Entity(id_, type_, start, end, "x" * (end - start))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.sampled_from(TYPES)), max_size=8))
def test_tags_say_the_mentions(gaps: list[tuple[int, int, str]]) -> None:
    spans, place = [], 0
    for gap, length, type_ in gaps:
        spans.append(TokenSpan(place + gap, place + gap + length, type_))
        place += gap + length
    tags = tags_of(spans, place + 1, TYPES)
    assert spans_of(tags.tolist(), TYPES) == spans
    allowed, edge = may_follow(TYPES), len(tag_names(TYPES))
    path = [edge, *tags.tolist(), edge]
    assert all(allowed[i, j] for i, j in pairwise(path))


def test_of_overlapping_mentions_the_longest_stays_then_the_leftmost_then_the_first_type() -> None:
    long, inner, crossing = entity(0, 10), entity(2, 6, "CHEMICAL"), entity(8, 14)
    assert without_overlaps([inner, crossing, long]) == [long]
    left, right = entity(0, 4), entity(2, 6)
    assert without_overlaps([right, left]) == [left]
    assert without_overlaps([entity(0, 4, "DISEASE"), entity(0, 4, "CHEMICAL")]) == [entity(0, 4, "CHEMICAL")]
    assert without_overlaps([entity(4, 8), entity(0, 4)]) == [entity(0, 4), entity(4, 8)]


def test_the_tokens_do_not_depend_on_the_mentions() -> None:
    text = "Aspirin-like p38alpha inhibitors. Nothing here."
    plain = Document("1", text, ())
    marked = Document("1", text, (Entity("T1", "CHEMICAL", 0, 7, "Aspirin"), Entity("T2", "GENE", 13, 16, "p38")))
    first, second = list(sentences_of(plain)), list(sentences_of(marked))
    assert [s.tokens for s in first] == [s.tokens for s in second]
    assert second[0].mentions == (TokenSpan(0, 1, "CHEMICAL"), TokenSpan(3, 4, "GENE"))  # all of p38alpha is learnt
    assert second[1].mentions == ()


def test_a_mention_across_sentences_is_left_out() -> None:
    text = "We saw COX\n2 here."
    (first, second) = sentences_of(Document("1", text, (Entity("T1", "GENE", 7, 12, "COX\n2"),)))
    assert (first.mentions, second.mentions) == ((), ())


def test_what_a_corpus_does_not_annotate_is_not_a_negative() -> None:
    sentence = TaggedSentence(0, ("a", "b", "c"), ((0, 1), (2, 3), (4, 5)), (TokenSpan(1, 2, "GENE"),), b"k")
    names = tag_names(TYPES)

    def names_of(bits: int) -> set[str]:
        return {name for n, name in enumerate(names) if bits >> n & 1}

    everything = possible_bits(sentence, TYPES, TYPES).tolist()
    assert [names_of(b) for b in everything] == [{"O"}, {"S-GENE"}, {"O"}]
    partly = possible_bits(sentence, ("CHEMICAL", "GENE"), TYPES).tolist()
    free = {"O", *(f"{place}-DISEASE" for place in "BIES")}
    assert [names_of(b) for b in partly] == [free, {"S-GENE"}, free]


def test_types_of_corpora_are_named_alike() -> None:
    assert [tagged_type(t) for t in ("Chemical", "GENE-Y", "DiseaseOrPhenotypicFeature", "GeneOrGeneProduct")] == [
        "CHEMICAL",
        "GENE",
        "DISEASE",
        "GENE",
    ]
    assert tagged_type("OrganismTaxon") is None
