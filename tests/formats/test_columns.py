"""Tables with a column of text."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featstore.documents import Document, Passage
from featstore.errors import DataError
from featstore.formats import BadDocument, Reading, columns, read_documents

Write = Callable[[str, str | bytes], Path]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id,text\n1,"Aspirin, a drug."\n2,COX-2.\n'),
        ("a.csv", '\ufeffID;Text\r\n1;"Aspirin, a drug."\r\n\r\n2;COX-2.\r\n'),
        ("a.csv", "PMID\tSentence\n1\tAspirin, a drug.\n2\tCOX-2.\n"),
        ("a.tsv", "x\tpmid\tother\ttext\n\t1\t\tAspirin, a drug.\n\t2\t\tCOX-2."),
        ("a.tab", 'text\n"Aspirin, a drug."\nCOX-2.\n'),
        ("a.csv", 'text\n"Aspirin, a drug."\nCOX-2.\n'),
    ],
)
def test_rows_are_documents(write: Write, name: str, content: str) -> None:
    found = list(read_documents(write(name, content)))
    assert found == [Document("1", "Aspirin, a drug.", ()), Document("2", "COX-2.", ())]


def test_columns_are_named_and_several_are_passages(write: Write) -> None:
    path = write("a.csv", "key,Title,note,Abstract\nk1,Aspirin.,n,It blocks COX-2.\nk2,,n,Alone.\n")
    first, second = read_documents(path, reading=Reading(id_column="key"))
    assert first == Document("k1", "Aspirin.\nIt blocks COX-2.", ())
    assert isinstance(first, Document)
    assert first.passages == (Passage(0, 8, "title"), Passage(9, 25, "abstract"))
    assert second == Document("k2", "Alone.", ())
    (named, _) = read_documents(path, reading=Reading(text_column=("abstract", "NOTE")))
    assert named == Document("1", "It blocks COX-2.\nn", ())


def test_quotes_hold_line_breaks_and_quotes(write: Write) -> None:
    path = write("a.csv", 'id,text\n1,"Aspirin\nand ""it"", so\r\n\nthere."\n2,"x\ny"\n3,z\n')
    found = list(read_documents(path))
    assert [one.text for one in found if isinstance(one, Document)] == [
        'Aspirin\nand "it", so\n\nthere.',
        "x\ny",
        "z",
    ]
    assert [one.id for one in found] == ["1", "2", "3"]


def test_quotes_that_open_nothing_are_characters(write: Write) -> None:
    path = write("a.tsv", 'id\ttext\n1\t"Aspirin" blocks 5" of it\n2\t"COX-2 alone\n3\tx"y\n4\t"z"\n')
    texts = [found.text for found in read_documents(path) if isinstance(found, Document)]
    assert texts == ['"Aspirin" blocks 5" of it', '"COX-2 alone', 'x"y', "z"]


def test_a_bad_row_is_told_with_its_line_and_the_rest_is_read(write: Write) -> None:
    rows = [b"1,One.", b"2,a,b", b"3,", b"4,na\xefve", b',"x"', b'6,"open', b"7,Seven."]
    found = list(read_documents(write("a.csv", b"\n".join([b"id,text", *rows]))))
    assert [(found[n].id, type(found[n])) for n in (0, 6)] == [("1", Document), ("7", Document)]
    whys = {one.where.rpartition(" ")[2]: one.why for one in found if isinstance(one, BadDocument)}
    assert set(whys) == {"3", "4", "5", "6"}
    assert whys["3"] == "the row has 3 cells, the header 2."
    assert "no text" in whys["4"]
    assert "UTF-8" in whys["5"]
    assert "id of the document is empty" in whys["6"]
    assert found[5] == Document("6", '"open', ())


@pytest.mark.parametrize(
    ("content", "reading", "why"),
    [
        ("", Reading(), "is empty"),
        (
            "id,body\n1,x",
            Reading(),
            r"no column that is known to hold text; its columns are id, body\. .*--text-column",
        ),
        ("id,body\n1,x", Reading(text_column=("txt",)), "no column 'txt'; its columns are id, body"),
        ("id,text\n1,x", Reading(id_column="key"), "no column 'key'"),
        ("PMID,Title,Authors\n1,x,y", Reading(), r"PubMed ids without abstracts are no text; export"),
        ("text,b;text\nx", Reading(text_column=("text",)), r"is ambiguous"),
        (b"te\xefxt,id\n", Reading(), "line 1: not UTF-8"),
    ],
)
def test_a_table_without_its_columns_is_refused(write: Write, content: str, reading: Reading, why: str) -> None:
    with pytest.raises(DataError, match=why):
        list(read_documents(write("a.csv", content), reading=reading))


def test_a_quote_that_is_never_closed_takes_no_more_than_its_row(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "LONGEST_TEXT", 1000)
    rows = "".join(f'{n},"text {n}\n' if n == 3 else f"{n},text {n}\n" for n in range(200))
    found = list(read_documents(write("a.csv", f"id,text\n{rows}")))
    assert [one.id for one in found] == [str(n) for n in range(200)]
    assert [one.text for one in found if isinstance(one, Document)][3:5] == ['"text 3', "text 4"]


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\u2028\u2029"), min_size=1)
ROWS = st.lists(st.tuples(CELLS, CELLS).filter(lambda row: all(cell.strip() for cell in row)), min_size=1)


@given(ROWS, st.sampled_from(",;\t"), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_python_writes_is_read(rows: list[tuple[str, str]], delimiter: str, quoting: int) -> None:
    content = io.StringIO()
    writer = csv.writer(content, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([("one", "two"), *rows])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_bytes(content.getvalue().encode())
        found = list(read_documents(path, reading=Reading(text_column=("one", "two"))))
    assert [one.text for one in found if isinstance(one, Document)] == ["\n".join(row) for row in rows]
