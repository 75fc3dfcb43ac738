"""The tokeniser and the splitter: offsets are exact, entities are never cut, their edges are token edges."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featstore.corpora.abbreviations import ABBREVIATIONS
from featstore.corpora.text import SPLITTER, Sentence, split_sentences, tokenise

# Text that is rich in what splitters and tokenisers act on.
WORDS = ["Aspirin", "IL-6", "3.5", "1,25", "E. coli", "e.g. ", "p<0.05", "μM", "α", "𝛼", "e\u0301", "'s", "_"]
SIGNS = ["(", ")", "/", " ", ". ", "? A", "...", "\u00a0", "\u2009", "\u200b", "\n", "\t"]
PIECES = st.sampled_from([*WORDS, *SIGNS])
TEXTS = st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=60))


@st.composite
def texts_with_spans(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    text = draw(TEXTS)
    if not text:
        return text, []
    pairs = draw(st.lists(st.tuples(*[st.integers(0, len(text))] * 2), max_size=5))
    return text, [(min(p), max(p)) for p in pairs if p[0] != p[1]]


@given(texts_with_spans())
def test_no_boundary_cuts_an_entity(case: tuple[str, list[tuple[int, int]]]) -> None:
    text, spans = case
    sentences = split_sentences(text, spans)
    for start, end in spans:
        for first, last in sentences.spans:
            for edge in (first, last):
                if start < edge < end:  # allowed in the blanks at an entity's ends alone
                    assert not (text[start:edge].strip() and text[edge:end].strip())


@given(texts_with_spans())
def test_sentences_hold_all_but_blanks(case: tuple[str, list[tuple[int, int]]]) -> None:
    text, spans = case
    sentences = split_sentences(text, spans).spans
    assert all(a < b for a, b in sentences)
    assert all(one[1] <= two[0] for one, two in pairwise(sentences))
    between = [0, *(edge for span in sentences for edge in span), len(text)]
    assert not "".join(text[a:b] for a, b in zip(between[::2], between[1::2], strict=True)).strip()


@given(texts_with_spans())
def test_tokens_are_their_characters_and_meet_entity_edges(case: tuple[str, list[tuple[int, int]]]) -> None:
    text, spans = case
    found = tokenise(text, (0, len(text)), spans)
    assert found.tokens == tuple(text[a:b] for a, b in found.offsets)
    assert all(token and not any(c.isspace() for c in token) for token in found.tokens)
    covered = {i for a, b in found.offsets for i in range(a, b)}
    assert sum(b - a for a, b in found.offsets) == len(covered)
    assert all(c.isspace() or c in "\u200b\u2060\ufeff\u00ad" for i, c in enumerate(text) if i not in covered)
    for edge in (edge for span in spans for edge in span):
        assert not any(a < edge < b for a, b in found.offsets)


@given(texts_with_spans())
def test_find_gives_the_tokens_of_an_entity(case: tuple[str, list[tuple[int, int]]]) -> None:
    text, spans = case
    found = tokenise(text, (0, len(text)), spans)
    for start, end in spans:
        first, last = found.find((start, end))
        assert list(range(first, last)) == [i for i, (a, b) in enumerate(found.offsets) if start <= a and b <= end]


def test_words_decimals_and_signs() -> None:
    text = "The IC50=3.5\u00a0μM of NF-κB/TNF-α,\u2009didn't (1,25-D3)"
    assert " ".join(tokenise(text, (0, len(text)), []).tokens) == (
        "The IC50 = 3.5 μM of NF - κB / TNF - α , didn ' t ( 1,25 - D3 )"
    )


def test_a_masking_word_is_one_token() -> None:
    text = "(@GENE$)-null"
    assert tokenise(text, (0, len(text)), [(1, 7)], whole=[(1, 7)]).tokens == ("(", "@GENE$", ")", "-", "null")


def test_a_boundary_in_an_entity_is_glued_and_counted() -> None:
    text = "It binds well. Factor Xa. Then it stops."
    plain = split_sentences(text, [])
    assert [text[a:b] for a, b in plain.spans] == ["It binds well.", "Factor Xa.", "Then it stops."]
    glued = split_sentences(text, [(9, 21)])
    assert [text[a:b] for a, b in glued.spans] == ["It binds well. Factor Xa.", "Then it stops."]
    assert (plain.glued, glued.glued) == (0, 1)


def test_around_joins_the_sentences_between() -> None:
    text = "One is here. Two is here. Three is here."
    sentences = split_sentences(text, [])
    assert sentences.around(0, 3) == ((0, 12), 1)
    assert sentences.around(4, 30) == ((0, 40), 3)
    assert sentences.around(14, 39) == ((13, 40), 2)


@pytest.mark.parametrize("line_break", ["\n", "\r", "\u2028", "\u2029"])
def test_a_line_break_ends_a_sentence(line_break: str) -> None:
    assert split_sentences(f"A title without stop{line_break}the abstract", []).spans == ((0, 20), (21, 33))
    assert split_sentences("A title without stop\r\nthe abstract", []).spans == ((0, 20), (22, 34))


LISTED = [
    line.split("\t")
    for line in Path(__file__).with_name("abbreviations.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(("kind", "marked"), LISTED, ids=[kind for kind, _ in LISTED])
def test_an_abbreviation_ends_no_sentence_and_a_sentence_ends_after_one(kind: str, marked: str) -> None:
    wanted = marked.split(" || ")
    text = " ".join(wanted)
    assert [text[a:b] for a, b in split_sentences(text, []).spans] == wanted, kind


def test_the_list_of_abbreviations_has_sixty_kinds_and_the_splitters_name_says_that_it_knows_them() -> None:
    assert len({kind for kind, _ in LISTED}) >= 60
    assert ABBREVIATIONS in SPLITTER


def test_an_empty_span_is_not_found() -> None:
    assert Sentence(("a",), ((3, 4),)).find((0, 2)) == (0, 0)
