"""Plain text: files, lines, wrapped lines, and what is no text."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featstore.documents import Document
from featstore.errors import DataError, UsageError
from featstore.formats import BadDocument, Reading, read_documents, source
from featstore.formats.plain import clean

Write = Callable[[str, str | bytes], Path]
LINES = Reading(lines=True)


def test_a_file_is_a_document_whose_offsets_are_the_file_s(write: Write) -> None:
    text = "Aspirin and COX-2.\r\n\r\nIt\tblocks\x0cCOX-2 (β, 𝛼).\r\n"
    for name, content in (("a.b.txt", text.encode()), ("a.b.txt.gz", gzip.compress(text.encode()))):
        (found,) = read_documents(write(name, content))
        assert found == Document("a.b", "Aspirin and COX-2. \n \nIt blocks COX-2 (β, 𝛼). \n", ())
    (marked,) = read_documents(write("a.txt", b"\xef\xbb\xbfAspirin."))
    assert marked == Document("a", "Aspirin.", ())


def test_each_line_is_a_document_if_that_is_said(write: Write) -> None:
    path = write("a.txt", "Aspirin.\n\n \nCOX-2.\r\n")
    assert list(read_documents(path, reading=LINES)) == [
        Document("a:1", "Aspirin.", ()),
        Document("a:4", "COX-2.", ()),
    ]


def test_wrapped_lines_are_one_sentence_and_others_are_not() -> None:
    wrapped = "Aspirin is said to inhibit, in many rats,\nthe enzyme COX-2 of those platelets that\nwe saw."
    assert clean(wrapped) == wrapped.replace("\n", " ")
    title = "Aspirin and COX-2\nWe studied aspirin in many rats, and found that it did inhibit\nCOX-2."
    assert clean(title) == title.replace("inhibit\n", "inhibit ")
    long = "Aspirin and COX-2\n" + "We studied aspirin in rats. " * 9
    assert clean(long) == long
    assert clean("One.\nTwo.") == "One.\nTwo."


def test_a_line_of_a_million_characters_is_cleaned_at_once() -> None:
    """Work that grows with the square of a line's length would take hours here."""
    line = "We studied aspirin in rats. " * 40_000
    assert clean(f"{line}\n\n{line}") == f"{line}\n\n{line}"


@given(st.text())
def test_cleaning_keeps_every_offset(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) == len(text)
    kept = [(a, b) for a, b in zip(text, cleaned, strict=True) if a != b]
    assert all(b == " " for _, b in kept)
    assert all(not a.isprintable() for a, _ in kept)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF file; save its text"),
        (b"PK\x03\x04\x14\x00", r"\.docx.*plain text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", r"Office file \(\.doc"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "binary data"),
        ("Aspirin".encode("utf-16"), "UTF-16; save it as UTF-8"),
        ("Aspirin".encode("utf-16-le"), "binary data"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"12345678\n23456789\r\n1", r"list of PubMed ids; text is needed: .*Format: PubMed"),
        (b"PMID\n123\n", "list of PubMed ids"),
        (b"1. Toy J. 2020;1:2.\n\nA title.\n\nSomeone A.\n\nPMID: 123\n", "display format"),
    ],
)
def test_what_is_no_text_is_refused_by_name(write: Write, content: bytes, why: str) -> None:
    with pytest.raises(DataError, match=why):
        list(read_documents(write("a.txt", content)))


def test_no_text_and_bad_text_are_bad_documents(write: Write) -> None:
    for content, why in ((b"", "no text in it"), (b" \n\t\n", "no text in it"), (b"na\xefve", "not UTF-8")):
        (bad,) = read_documents(write("a.txt", content))
        assert isinstance(bad, BadDocument)
        assert bad.id == "a"
        assert why in bad.why
    first, bad, last = read_documents(write("a.txt", b"One.\nna\xefve\nTwo."), reading=LINES)
    assert isinstance(bad, BadDocument)
    assert [found.id for found in (first, bad, last)] == ["a:1", "a:2", "a:3"]


def test_more_than_fits_is_refused_and_the_rest_is_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LONGEST_LINE", 100)
    monkeypatch.setattr(source, "PIECE", 7)
    path = write("a.txt", "One.\n" + "x" * 500 + "\n" + "y" * 101 + "\n" + "z" * 100 + "\nTwo.")
    found = list(read_documents(path, reading=LINES))
    assert [isinstance(each, BadDocument) for each in found] == [False, True, True, False, False]
    assert [each.id for each in found] == [f"a:{n}" for n in range(1, 6)]
    assert isinstance(found[1], BadDocument)
    assert "more than 100 bytes" in found[1].why
    monkeypatch.setattr("featstore.formats.text.LONGEST_TEXT", 100)
    (bad,) = read_documents(path)
    assert isinstance(bad, BadDocument)
    assert "at most 100 characters" in bad.why
    monkeypatch.setattr("featstore.formats.content.LONGEST_TEXT", 99)
    assert sum(isinstance(each, BadDocument) for each in read_documents(path, reading=LINES)) == 3


def test_an_option_that_a_format_has_not_is_refused(write: Write) -> None:
    with pytest.raises(UsageError, match=r"read as jsonl, which has no --lines; that is for text"):
        read_documents(write("a.jsonl", "{}"), "jsonl", LINES)
    # It says of which format a file is, where the name leaves a choice.
    (found,) = read_documents(write("a.txt", "7|t|Aspirin."), reading=LINES)
    assert found == Document("a:1", "7|t|Aspirin.", ())


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.xml", "a.pubtator"])
def test_no_format_reads_a_text_that_is_too_long(write: Write, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featstore.formats.content.LONGEST_TEXT", 100)
    contents = {
        "a.jsonl": '{{"id": "1", "text": "{0}", "entities": []}}\n',
        "a.json": '{{"documents": [{{"id": "1", "passages": [{{"offset": 0, "text": "{0}"}}]}}]}}',
        "a.xml": "<collection><document><id>1</id><passage><offset>0</offset><text>{0}</text></passage></document>"
        "</collection>",
        "a.pubtator": "1|t|{0}\n",
    }
    for length in (100, 101):
        (found,) = read_documents(write(name, contents[name].format("x" * length)))
        assert isinstance(found, Document) == (length == 100)
    assert "at most 100 are read as one document" in found.why  # type: ignore[union-attr]


def test_a_document_knows_where_it_was_read(write: Write) -> None:
    from formats_of_text import PLAIN

    for format_, (before, each, after) in PLAIN.items():
        path = write("a", before + each.format(1, "Title.", "Text.") + after)
        (found,) = read_documents(path, format_)
        assert isinstance(found, Document)
        assert found.place.removesuffix(", line 1").removesuffix(", line 2") == str(path)
