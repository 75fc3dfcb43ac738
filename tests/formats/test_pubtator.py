"""PubTator, as PubTator and the BioCreative corpora write it."""

import gzip
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from featstore.documents import Document, Entity, Relation
from featstore.errors import DataError
from featstore.formats import BadDocument, ModelFacts, read_documents, writer_of

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


def other(id_: str, block: str = BLOCK) -> str:
    """The same block as another document."""
    return re.sub(r"(?m)^(\ufeff?)7(?=[|\t])", rf"\g<1>{id_}", block.replace("\r", "\n"))


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
READ_8 = replace(READ, id="8")


@pytest.mark.parametrize(
    "content",
    [BLOCK, f"\ufeff\n\n{BLOCK}\n\n\n", BLOCK.replace("\n", "\r\n"), BLOCK.replace("\n", "\r"), BLOCK.rstrip("\n")],
)
def test_a_block_becomes_a_document(write: Write, content: str) -> None:
    assert list(read_documents(write("a.txt", content))) == [READ]
    both = f"{content}\n\n{other('8', content)}".encode()
    assert list(read_documents(write("b.PubTator.gz", gzip.compress(both)))) == [READ, READ_8]


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
        ("7\t0\t7", "8\t0\t7", 3, "the line is of document '8', but lies among those of 7"),
        ("7\t0\t7\tAspirin", "7\t0\t7\tAspirine", 3, "is 'Aspirine', but the text has 'Aspirin' at 0-7"),
        ("7\t17\t24", "7\t17\t2400", 4, "outside the text of 38 characters"),
        ("7\t0\t7", "7\t0,9\t7,12", 3, "the start is '0,9'; a number"),
        ("7\t0\t7", "7\t-1\t7", 3, "the start is '-1'; a number"),
        ("\tMESH:D001241\n", "\ta\tb\tc\n", 3, "8 columns"),
        ("\tAspirin\tChemical\tMESH:D001241\n", "\tAspirin\n", 3, "4 columns; 5 to 7 are wanted for an annotation"),
        ("7\tCID\tMESH:D001241\t5743", "7\tCID", 8, "2 columns; 5 to 7 are wanted"),
        ("7\tCID", "7 CID", 8, "document '7 CID'"),
    ],
)
def test_a_bad_line_is_left_out_and_told(
    write: Write, left_out: Callable[..., Document], old: str, new: str, line: int, why: str
) -> None:
    path = write("a.txt", f"{other('6')}\n{BLOCK.replace(old, new, 1)}\n{other('8')}")
    kept = left_out(path, f"{path}, line {line + 9}", why)
    assert (kept.id, kept.text) == ("7", TEXT)
    assert len(kept.entities) + len(kept.relations) == 5


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("7|a|", "7|b|", 2, "'7|b|Aspirin blocks COX-2.' is not a part of the text; one ID|a|ABSTRACT may follow"),
        ("7\t0\t7", "7|a|More.\n7\t0\t7", 3, "'7|a|More.' is not a part of the text"),
    ],
)
def test_a_document_without_its_text_is_refused(write: Write, old: str, new: str, line: int, why: str) -> None:
    path = write("a.txt", f"{other('6')}\n{BLOCK.replace(old, new, 1)}\n{other('8')}")
    before, bad, after = read_documents(path)
    assert (before, after) == (replace(READ, id="6"), READ_8)
    assert isinstance(bad, BadDocument)
    assert (bad.id, bad.where) == ("7", f"{path}, line {line + 9}")
    assert why in bad.why


def test_bad_utf8_and_lines_without_a_title(write: Write) -> None:
    good, bad = BLOCK.encode(), other("5").encode().replace(b"blocks", b"bl\xf6ck.")
    raw = b"\n".join([good, bad, b"9\t0\t7\tAspirin\tChemical", b"", other("8").encode()])
    before, one, two, after = read_documents(write("a.txt", raw))
    assert (before, after) == (READ, READ_8)
    assert isinstance(one, BadDocument)
    assert "not UTF-8" in one.why
    assert isinstance(two, BadDocument)
    assert (two.id, two.why) == ("9", "a document begins with ID|t|TITLE.")


def test_annotations_before_the_abstract_and_after_blank_lines(write: Write) -> None:
    """BioREx writes those of the title before the abstract; a blank line ends no document by itself."""
    title, abstract, *rows = BLOCK.splitlines(keepends=True)
    for lines in (
        [title, rows[0], abstract, *rows[1:]],
        [title, *rows, abstract],
        [title, "\n", abstract, " \n", *rows],
    ):
        assert list(read_documents(write("a.txt", "".join([*lines, "\n", other("8")])))) == [READ, READ_8]


@pytest.mark.parametrize("concept", ["-1", "-", "", "*", "None", "MESH:-", "-1|-1", "CUI-less", "NIL", "N/A"])
def test_what_stands_for_no_concept_is_none(write: Write, model: ModelFacts, concept: str) -> None:
    """Two mentions without a concept are two things: their relations must not become one."""
    (found,) = read_documents(write("a.txt", BLOCK.replace("\tMESH:D001241\n", f"\t{concept}\n", 1)))
    assert isinstance(found, Document)
    one, two, gene, _ = found.entities
    assert (one.concept, two.concept) == (None, None)
    relations = [Relation(head, gene, "CPR:4", 0.5, {}, (0, 38)) for head in (one, two)]
    *_, first, second = writer_of("pubtator").document(found, relations, model).rstrip().split("\n")
    assert (first, second) == ("7\tCPR:4\tT1\tT3\t0.500000", "7\tCPR:4\tT2\tT3\t0.500000")


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


@pytest.mark.parametrize(("text", "kinds"), [("7|t|A\n7|a|B c.\n", ["title", "abstract"]), ("7|t|A\n", ["title"])])
def test_title_and_abstract_are_passages(write: Write, text: str, kinds: list[str]) -> None:
    (found,) = read_documents(write("a.pubtator", text))
    assert isinstance(found, Document)
    assert [p.kind for p in found.passages] == kinds
    assert [found.text[p.start : p.end] for p in found.passages] == ["A", "B c."][: len(kinds)]
