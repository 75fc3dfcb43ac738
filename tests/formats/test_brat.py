"""brat: a folder of pairs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from featstore.errors import DataError, MissingFileError, UsageError
from featstore.formats import BadDocument, read_documents
from featstore.records import Document, Entity

Write = Callable[[str, str | bytes], Path]

TEXT = "Aspirin blocks\r\nCOX-2 (𝛼)."
ANN = (
    "T1\tChemical 0 7\tAspirin\n"
    "T2\tGene 16 21\tCOX-2\n"
    "T3\tSpan 8 21\tblocks  COX-2\n"
    "R1\tBlocks Arg1:T1 Arg2:T2\t\n"
    "E1\tBinding:T3 Theme:T1\n"
    "A1\tNegated E1\n"
    "N1\tReference T1 MESH:D001241\taspirin\n"
    "*\tEquiv T1 T2\n"
    "*\tEquiv T1 T3\n"
    "#1\tAnnotatorNotes T1\ta note\n"
)
READ = Document(
    "a",
    TEXT,
    (
        Entity("T1", "Chemical", 0, 7, "Aspirin"),
        Entity("T2", "Gene", 16, 21, "COX-2"),
        Entity("T3", "Span", 8, 21, "blocks\r\nCOX-2"),
    ),
)


@pytest.fixture
def folder(write: Write) -> Path:
    """A good pair before and after the one that a test makes."""
    for name in ("a", "c"):
        write(f"brat/{name}.txt", TEXT)
        write(f"brat/{name}.ann", ANN)
    return write("brat/annotation.conf", "[entities]").parent


def test_pairs_become_documents_in_the_order_of_their_names(folder: Path, write: Write) -> None:
    write("brat/b.txt", "")
    write("brat/b.ann", ANN[:0])
    first, empty, last = read_documents(folder)
    assert first == READ
    assert empty == Document("b", "", ())
    assert isinstance(last, Document)
    assert last.id == "c"


def test_crlf_in_annotations_and_a_mark_before_the_text(folder: Path, write: Write) -> None:
    """A byte order mark is a character of the text, as in brat; in the annotations it is none."""
    write("brat/b.txt", "\ufeffAspirin")
    write("brat/b.ann", "\ufeffT1\tChemical 1 8\tAspirin\r\n\r\n")
    assert list(read_documents(folder))[1] == Document(
        "b", "\ufeffAspirin", (Entity("T1", "Chemical", 1, 8, "Aspirin"),)
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("0 7\tAspirin", "0 3;4 7\tAsp rin", 1, "T1 is in several pieces (Chemical 0 3;4 7); discontinuous mentions"),
        ("0 7\tAspirin", "0 7", 1, "TYPE START END<TAB>MENTION is wanted"),
        ("0 7\tAspirin", "0 7\taspirin", 1, "T1 is 'aspirin', but the text has 'Aspirin' at 0-7"),
        ("16 21", "16 99", 2, "at 16-99, outside the text of 26 characters"),
        ("16 21", "-1 21", 2, "the start is '-1'"),
        ("T3\t", "T1\t", 3, "the id T1 is given twice"),
        ("Arg2:T2", "Arg2:T9", 4, "a relation has the argument T9, which is not there"),
        ("Arg2:T2", "T2", 4, "TYPE Arg1:ID Arg2:ID is wanted"),
        ("E1\t", "Q1\t", 5, "'Q1' is no annotation"),
        ("E1\t", "\t", 5, "'' is no annotation"),
    ],
)
def test_a_bad_line_is_told_and_the_rest_goes_on(
    folder: Path, write: Write, old: str, new: str, line: int, why: str
) -> None:
    write("brat/b.txt", TEXT)
    path = write("brat/b.ann", ANN.replace(old, new, 1))
    before, bad, after = read_documents(folder)
    assert before == READ
    assert isinstance(bad, BadDocument)
    assert (bad.id, bad.where) == ("b", f"{path}, line {line}")
    assert why in bad.why
    assert isinstance(after, Document)


def test_bad_utf8_and_files_alone(folder: Path, write: Write) -> None:
    write("brat/b1.txt", b"bl\xf6cks")
    write("brat/b1.ann", "")
    write("brat/b2.txt", TEXT)
    write("brat/b3.ann", ANN)
    write("brat/b4.txt", TEXT)
    write("brat/b4.ann", ANN.encode() + b"#2\t\xf6\n")
    bad = [one for one in read_documents(folder) if isinstance(one, BadDocument)]
    assert [one.id for one in bad] == ["b1", "b2", "b3", "b4"]
    for one, why in zip(bad, ["not UTF-8", "b2.ann does not exist", "b3.txt does not exist", "UTF-8"], strict=True):
        assert why in one.why
    assert bad[3].where.endswith("b4.ann, line 11")


def test_what_is_no_such_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"holds none of \*\.ann \(brat\)"):
        read_documents(tmp_path / "empty")
    with pytest.raises(DataError, match="holds no pair"):
        list(read_documents(tmp_path / "empty", "brat"))
    with pytest.raises(DataError, match="name the folder"):
        list(read_documents(folder / "a.ann", "brat"))
    with pytest.raises(MissingFileError):
        list(read_documents(tmp_path / "none", "brat"))
