"""PubTator, as PubTator and the BioCreative corpora write it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from featstore.errors import DataError
from featstore.formats import BadDocument, ModelFacts, read_documents, writer_of
from featstore.records import Document, Entity, Relation

Write = Callable[[str, str | bytes], Path]

BLOCK = (
    "7|t|Aspirin|t|COX-2.\n"
    "7|a|Aspirin blocks COX-2.\n"
    "7\t0\t7\tAspirin\tChemical\tMESH:D001241\n"
    "7\t21\t28\tAspirin\tChemical\t-\n"
    "7\t36\t41\tCOX-2\tGene\n"
    "7\t36\t41\tCOX-2\tGene\t5743|5742\tCOX-2|COX-2\n"
    "7\tNegative_Correlation\tMESH:D001241\t5743\tNovel\n"
    "7\tCID\tMESH:D001241\t5743\n"
)
TEXT = "Aspirin|t|COX-2.\nAspirin blocks COX-2."


def shifted(block: str) -> str:
    return block.replace("\t21\t28", "\t17\t24").replace("\t36\t41", "\t32\t37")


BLOCK = shifted(BLOCK)
READ = Document(
    "7",
    TEXT,
    (
        Entity("T1", "Chemical", 0, 7, "Aspirin", "MESH:D001241"),
        Entity("T2", "Chemical", 17, 24, "Aspirin"),
        Entity("T3", "Gene", 32, 37, "COX-2"),
        Entity("T4", "Gene", 32, 37, "COX-2", "5743|5742"),
    ),
)


@pytest.mark.parametrize(
    "content",
    [BLOCK, f"\ufeff\n\n{BLOCK}\n\n\n", BLOCK.replace("\n", "\r\n"), BLOCK.rstrip("\n")],
)
def test_a_block_becomes_a_document(write: Write, content: str) -> None:
    assert list(read_documents(write("a.txt", content))) == [READ]
    twice = content + "\n\n" + content.removeprefix("\ufeff")
    assert list(read_documents(write("b.PubTator", twice))) == [READ, READ]


def test_titles_alone_empty_texts_and_no_blank_line_between(write: Write) -> None:
    found = read_documents(write("a.txt", "1|t|\n2|t|A title\n3|t|\n3|a|\n4|t|One \n4|a| two\n"))
    assert [(d.id, d.text) for d in found if isinstance(d, Document)] == [
        ("1", ""),
        ("2", "A title"),
        ("3", "\n"),
        ("4", "One \n two"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("7\t0\t7", "8\t0\t7", 3, "the line is of document '8', but stands in 7"),
        ("7\t0\t7\tAspirin", "7\t0\t7\tAspirine", 3, "is 'Aspirine', but the text has 'Aspirin' at 0-7"),
        ("7\t17\t24", "7\t17\t2400", 4, "outside the text of 38 characters"),
        ("7\t0\t7", "7\t0,9\t7,12", 3, "the start is '0,9'; a number"),
        ("\tMESH:D001241\n", "\ta\tb\tc\n", 3, "8 columns"),
        ("7\tCID\tMESH:D001241\t5743", "7\tCID", 8, "2 columns; 5 to 7 are wanted"),
        ("7\tCID", "7 CID", 8, "document '7 CID'"),
        ("7|a|", "7|b|", 2, "the line is of document '7|b|Aspirin blocks COX-2.'"),
    ],
)
def test_a_bad_line_is_told_and_the_rest_goes_on(write: Write, old: str, new: str, line: int, why: str) -> None:
    path = write("a.txt", f"{BLOCK}\n{BLOCK.replace(old, new, 1)}\n{BLOCK}")
    before, bad, after = read_documents(path)
    assert before == after == READ
    assert isinstance(bad, BadDocument)
    assert (bad.id, bad.where) == ("7", f"{path}, line {line + 9}")
    assert why in bad.why


def test_bad_utf8_and_a_block_without_a_title(write: Write) -> None:
    good = BLOCK.encode()
    raw = b"\n".join([good, good.replace(b"blocks", b"bl\xf6ck."), b"7\t0\t7\tAspirin\tChemical", b"", good])
    before, one, two, after = read_documents(write("a.txt", raw))
    assert before == after == READ
    assert isinstance(one, BadDocument)
    assert "not UTF-8" in one.why
    assert isinstance(two, BadDocument)
    assert (two.id, two.why) == ("7", "a document begins with ID|t|TITLE.")


def test_what_is_no_pubtator_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match=r"line 2: not PubTator"):
        list(read_documents(write("a", "\nDear reader,\n"), "pubtator"))


def test_relations_are_between_concepts(document: Document, relations: list[Relation], model: ModelFacts) -> None:
    head, tail = relations[0].head, relations[0].tail
    less = Relation(head, tail, "CPR:4", 0.5, {}, (0, 1))
    text = writer_of("pubtator").document(document, [less, *relations, less], model)
    title, abstract, *rows = text.removesuffix("\n\n").split("\n")
    assert f"{title[4:]}\n{abstract[4:]}" == document.text
    assert rows[2] == "7\t19\t26\tAspirin\tCHEMICAL\tMESH:D001241"
    assert rows[5] == "7\t40\t45\tCOX-2\tGENE-Y\tT6"
    assert rows[6:] == ["7\tCPR:4\tMESH:D001241\tT6\t0.900000", "7\tNONE\tT5\tT6\t0.800000"]


def test_an_id_that_the_format_cannot_hold_is_refused(model: ModelFacts) -> None:
    with pytest.raises(DataError, match=r"'a\|b' has a '\|'"):
        writer_of("pubtator").document(Document("a|b", "", ()), [], model)
