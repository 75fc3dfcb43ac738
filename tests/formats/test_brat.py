"""brat: a folder of pairs."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from featstore.documents import Document, Entity
from featstore.errors import DataError, MissingFileError, UsageError
from featstore.formats import BadDocument, read_documents

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
        Entity("T1", "Chemical", 0, 7, "Aspirin", "MESH:D001241"),
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
        ("0 7\tAspirin", "0 7", 1, "TYPE START END<TAB>MENTION is wanted"),
        ("0 7\tAspirin", "0 7\taspirin", 1, "T1 is 'aspirin', but the text has 'Aspirin' at 0-7"),
        ("0 7\tAspirin", "0 7;x 9\tAspirin", 1, "the start is 'x'"),
        ("16 21", "16 99", 2, "at 16-99, outside the text of 26 characters"),
        ("16 21", "-1 21", 2, "the start is '-1'"),
        ("T3\t", "T1\t", 3, "the id T1 is given twice"),
        ("Arg2:T2", "Arg2:T9", 4, "a relation has the argument T9, which is not there"),
        ("Arg2:T2", "T2", 4, "TYPE Arg1:ID Arg2:ID is wanted"),
        ("E1\t", "Q1\t", 5, "'Q1' is not an annotation"),
        ("E1\t", "\t", 5, "'' is not an annotation"),
    ],
)
def test_a_bad_line_is_left_out_and_told(
    folder: Path, write: Write, left_out: Callable[..., Document], old: str, new: str, line: int, why: str
) -> None:
    write("brat/b.txt", TEXT)
    path = write("brat/b.ann", ANN.replace(old, new, 1))
    kept = left_out(folder, f"{path}, line {line}", why)
    assert kept.text == TEXT
    assert len(kept.entities) == 3 - (line < 4)


def test_a_mention_in_pieces_is_one_stretch_and_told(
    folder: Path, write: Write, left_out: Callable[..., Document]
) -> None:
    write("brat/b.txt", TEXT)
    path = write("brat/b.ann", ANN.replace("16 21\tCOX-2", "8 11;16 21\tblo COX-2"))
    kept = left_out(folder, f"{path}, line 2", "T2 is in 2 pieces (8-11, 16-21); it is taken as the stretch 8-21.")
    assert kept.entities[1] == Entity("T2", "Gene", 8, 21, "blocks\r\nCOX-2")
    assert [problem.lost for problem in kept.problems] == [False]


def test_files_that_programs_leave_are_no_documents(folder: Path, write: Write) -> None:
    for name in ("._a.txt", "._a.ann", ".DS_Store", "__MACOSX/._a.ann", "__MACOSX/a.ann"):
        write(f"brat/{name}", b"\0\5\x16\7\0\2\0\0Mac OS X        \xff\xfe")
    assert [found.id for found in read_documents(folder)] == ["a", "c"]


def test_packed_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "a.ann.gz").write_bytes(gzip.compress(ANN.replace("\n", "\r").encode()))
    assert list(read_documents(tmp_path)) == [READ]


def test_pairs_in_subfolders_are_told(folder: Path, write: Write) -> None:
    deep = write("brat/more/deep/d.ann", ANN).parent
    bad = [found for found in read_documents(folder) if isinstance(found, BadDocument)]
    assert bad == [BadDocument("", str(deep), "the pairs in a subfolder are not read; name it as an input of its own.")]
    with pytest.raises(DataError, match=r"holds no pair .* Subfolders do: .*deep\. Name one of them"):
        list(read_documents(deep.parent, "brat"))


def test_bad_utf8_and_files_alone(folder: Path, write: Write) -> None:
    write("brat/b1.txt", b"bl\xf6cks")
    write("brat/b1.ann", "")
    write("brat/b2.txt", TEXT)
    write("brat/b3.ann", ANN)
    write("brat/b4.txt", TEXT)
    write("brat/b4.ann", ANN.encode() + b"#2\t\xf6\n")
    bad = [one for one in read_documents(folder, strict=True) if isinstance(one, BadDocument)]
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
