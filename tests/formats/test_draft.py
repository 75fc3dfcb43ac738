"""Documents that are read mention by mention: what their offsets may count, and when nothing can be believed."""

from pathlib import Path

import pytest

from featstore.formats.content import Flaw, concept_of
from featstore.formats.draft import Draft

TEXT = "😀 Aspirin inhibits COX-2 (β)."


def draft(*mentions: tuple[str, int, int]) -> Draft:
    found = Draft("7", TEXT, Path("a.txt"), 3)
    for number, (mention, start, end) in enumerate(mentions):
        with found.part():
            found.mention(f"T{number}", "X", [(start, end)], mention=mention)
    return found


@pytest.mark.parametrize(
    ("mentions", "why"),
    [
        ([("Aspirin", 3, 10), ("COX-2", 20, 25)], "they count UTF-16 units; offsets in characters"),
        ([("Aspirin", 5, 12), ("COX-2", 22, 27), ("β", 29, 31)], "they count bytes of UTF-8; offsets in characters"),
        ([("Aspirin", 7, 14), ("COX-2", 7, 12)], "the entity T0 is 'Aspirin', and at 7-14 has 'in inhi' of 29"),
    ],
)
def test_a_document_most_of_whose_mentions_are_elsewhere_is_refused(
    mentions: list[tuple[str, int, int]], why: str
) -> None:
    with pytest.raises(
        Flaw, match=rf"{len(mentions)} of its {len(mentions)} mentions are not at their offsets"
    ) as told:
        draft(*mentions).document()
    assert why in told.value.why


@pytest.mark.parametrize("wrong", [1, 2])
def test_a_few_that_are_elsewhere_are_left_out(wrong: int) -> None:
    right = [("Aspirin", 2, 9), ("COX-2", 19, 24)]
    found = draft(*right[:wrong], *[("Aspirin", 7, 14)] * wrong).document()
    assert [entity.text for entity in found.entities] == ["Aspirin", "COX-2"][:wrong]
    assert [problem.text[:16] for problem in found.problems] == ["a.txt, line 3: t"] * wrong


def test_one_mention_alone_says_nothing_of_all_offsets() -> None:
    found = draft(("Aspirin", 3, 10)).document()
    assert (found.entities, len(found.problems), found.place) == ((), 1, "a.txt, line 3")


def test_blanks_of_all_kinds_are_one() -> None:
    found = Draft("7", "Vitamin\u00a0C\nlow", Path("a.txt"))
    found.mention("T1", "X", [(0, 13)], mention="Vitamin C low")
    assert found.document().entities[0].text == "Vitamin\u00a0C\nlow"


@pytest.mark.parametrize("none", [None, "", "-", "-1", "*", "None", "NULL", "nil", "CUI-less", "MESH:-1", "-;-", " - "])
def test_words_for_no_concept(none: str | None) -> None:
    assert concept_of(none) is None


@pytest.mark.parametrize("concept", ["MESH:D001241", "5743", "D001241|-1", "NA1", "0", "GENE:none1"])
def test_concepts_are_kept_as_they_are(concept: str) -> None:
    assert concept_of(concept) == concept
