"""The table for the eye."""

import re

from classifier.commands.relations import RelationTable
from featstore.documents import Document, Entity, Relation
from featstore.formats import ModelFacts, Nothing

TEXT = "Yes. Aspirin (ASA)\x1b[31m blocks COX-2 in rats."
OUTER, INNER = Entity("T1", "CHEMICAL", 5, 18, "Aspirin (ASA)"), Entity("T2", "CHEMICAL", 5, 12, "Aspirin")
GENE = Entity("T3", "GENE", 31, 36, "COX-2")
SENTENCE = (5, len(TEXT))
MODEL = ModelFacts("m", "ab", ("CPR:4",), "chemprot")


def shown(*relations: Relation, colour: bool = False, nothing: Nothing | None = None) -> str:
    document = Document("a[b]", TEXT, (OUTER, INNER, GENE))
    return RelationTable(200, colour=colour).document(document, relations, MODEL, nothing)


def test_mentions_are_marked_in_their_sentence_and_the_label_is_in_words() -> None:
    seen = ((5, 12, 0.125), (24, 30, 0.5), (31, 36, 0.25), (40, 44, 0.0625))
    table = shown(Relation(OUTER, GENE, "CPR:4", 0.912, {}, SENTENCE, seen))
    assert "a[b]" in table
    assert "[Aspirin (ASA)] [31m blocks [COX-2] in rats." in table
    assert "Aspirin (ASA) → COX-2" in table
    assert "CPR:4 down-regulation" in table
    assert "downregulator, inhibitor" in table
    assert "0.91" in table
    assert all(word in table for word in ("blocks 0.50", "COX-2 0.25", "Aspirin 0.12"))
    assert "rats 0.06" not in table
    assert "\x1b" not in table


def test_nested_mentions_have_brackets_of_their_own() -> None:
    assert "[[Aspirin] (ASA)]" in shown(Relation(OUTER, INNER, "x", 0.5, {}, SENTENCE))


def test_with_colours_there_are_no_brackets() -> None:
    table = shown(Relation(INNER, GENE, "x", 0.5, {}, SENTENCE), colour=True)
    assert "[Aspirin]" not in table
    styled = re.findall(r"\x1b\[1;3[56]m(.*?)\x1b\[0m", table)
    assert styled == ["Aspirin", "COX-2"]


def test_a_document_without_relations_is_one_line_that_says_why() -> None:
    assert shown(nothing=Nothing("no mentions", "it has none.")) == "a[b]: no relation, it has none.\n"
