"""GloVe: the packaged table, every shape of text file, the rule for unknown words, and what is refused."""

import gzip
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featstore.encoders import load_encoder, word_index, word_table
from featstore.encoders.word_index import WordIndex, write_index
from featstore.encoders.word_table import WordTable, load_table, read_table
from featstore.errors import DataError, MissingFileError, UsageError

TEXT = "the 0.5 -1 2\n. . . 1 2 3\nnaïve 1e-3 0 -0\nat name@domain.com 7 8 9\nthe 9 9 9\np53 1 1 1\n"


def write(folder: Path, text: str = TEXT) -> Path:
    (folder / "glove.txt").write_text(text, encoding="utf-8")
    return folder / "glove.txt"


def test_words_with_blanks_and_repeats(tmp_path: Path) -> None:
    rows, vectors = read_table(write(tmp_path))
    assert list(rows) == ["the", ". . .", "naïve", "at name@domain.com", "p53"]
    np.testing.assert_array_equal(
        vectors, np.array([[0.5, -1, 2], [1, 2, 3], [1e-3, 0, 0], [7, 8, 9], [1, 1, 1]], np.float32)
    )


def test_numbers_are_what_python_reads_whatever_stands_beside_them(tmp_path: Path) -> None:
    numbers = ["0.1", "-1.05", "1e-3", "16777217", "3.4028235e38", "+2", ".5", "7.", "1E5", "0.30000000000000004"] * 2
    lines = [f"w{i} {number} -{number.lstrip('+-')}" for i, number in enumerate(numbers)] + ["w19 1 1", "W19 2 2"]
    for more, words in (([], 21), (["of the 1 2"], 22)):  # the second cannot be read many lines at once
        rows, vectors = read_table(write(tmp_path, "\n".join(lines + more)))
        assert list(rows)[:21] == [*(f"w{i}" for i in range(20)), "W19"]
        assert len(rows) == words
        expected = [[float(field) for field in line.split()[-2:]] for line in [*lines[:20], "W19 2 2"]]
        np.testing.assert_array_equal(vectors[:21], np.array(expected, np.float32))


def test_gzip_zip_and_header_hold_the_same(tmp_path: Path) -> None:
    plain = read_table(write(tmp_path))
    with gzip.open(tmp_path / "glove.txt.gz", "wb") as file:
        file.write(TEXT.encode())
    with zipfile.ZipFile(tmp_path / "glove.zip", "w") as archive:
        archive.writestr("readme", "x")
        archive.writestr("glove.txt", TEXT)
    (tmp_path / "header.txt").write_text("6 3\r\n" + TEXT.replace("\n", " \r\n"), encoding="utf-8", newline="")
    for name in ("glove.txt.gz", "glove.zip", "header.txt"):
        rows, vectors = read_table(tmp_path / name)
        assert rows == plain[0]
        np.testing.assert_array_equal(vectors, plain[1])


def test_a_mark_or_a_carriage_return_is_part_of_a_word(tmp_path: Path) -> None:
    for text, words in (("\ufeffthe 1 2\nof 3 4\n", ["\ufeffthe", "of"]), ("the 1 2\nof\rin 3 4\n", ["the", "of\rin"])):
        path = tmp_path / "glove.txt"
        path.write_bytes(text.encode())
        rows, vectors = read_table(path)
        assert list(rows) == words
        np.testing.assert_array_equal(vectors, np.array([[1, 2], [3, 4]], np.float32))


def test_a_table_of_several_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"w{i} {i} {i / 7!r} {'.' if i == 700 else i}" for i in range(1000)]
    lines[500] = lines[3]
    path = write(tmp_path, "\n".join(lines).replace(" .\n", " 1\n"))
    whole = read_table(path)
    monkeypatch.setattr("featstore.encoders.word_table.BLOCK", 512)
    rows, vectors = read_table(path)
    assert rows == whole[0]
    assert len(rows) == len(vectors) == 999
    np.testing.assert_array_equal(vectors, whole[1])
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"glove.txt:701: a word in UTF-8 and 3 numbers"):
        read_table(path)


def test_lookup_is_exact_then_lower_cased(tmp_path: Path) -> None:
    encoder = load_encoder(f"glove:{write(tmp_path, 'The 1 1' + chr(10) + 'the 2 2' + chr(10) + 'p53 3 3')}")
    vectors = encoder.encode([["The", "the", "THE"], [], ["P53"]])
    assert vectors.lengths.tolist() == [3, 0, 1]
    np.testing.assert_array_equal(vectors.values, np.array([[1, 1], [2, 2], [2, 2], [3, 3]], np.float32))


def test_unknown_words(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(4000, 4)) * [0.1, 1, 2, 5]
    path = write(tmp_path, "".join(f"w{i} {' '.join(map(str, row))}\n" for i, row in enumerate(numbers)))
    hashed, zero = load_encoder(f"glove:{path}"), load_encoder(f"glove:{path}", oov="zero")
    tags = [["<gene>", "</gene>", "<chem>", "@GENE$", "<GENE>", "", "\ud800"]]
    first, again = hashed.encode(tags).values, hashed.encode([tags[0][::-1]]).values[::-1]
    np.testing.assert_array_equal(first, again)
    assert len({row.tobytes() for row in first[:4]}) == 4
    np.testing.assert_array_equal(first[0], first[4])  # the case of an unknown word does not count
    assert not first[5].any()
    assert not zero.encode(tags).values.any()
    many = hashed.encode([[f"unknown{i}" for i in range(4000)]]).values
    np.testing.assert_allclose(many.std(axis=0), numbers.std(axis=0), rtol=0.05)
    np.testing.assert_allclose(many.mean(axis=0) / numbers.std(axis=0), 0, atol=0.06)
    assert hashed.identity != zero.identity


def test_the_packaged_table() -> None:
    encoder = load_encoder("glove")
    vectors = encoder.encode([["the", "Kinase"]]).values
    assert (encoder.dim, vectors.dtype) == (50, np.dtype(np.float32))
    # The first numbers of "the" in glove.6B.50d.txt.
    np.testing.assert_allclose(vectors[0][:4], [0.418, 0.24968, -0.41242, 0.1217])
    np.testing.assert_array_equal(vectors[1], encoder.encode([["kinase"]]).values[0])
    assert encoder.identity == load_encoder("glove").identity


def test_the_bundled_table(tmp_path: Path) -> None:
    encoder = load_encoder("bioglove")
    assert (encoder.name, encoder.dim) == ("bioglove", 100)
    words = ["phosphorylation", "Inhibitors", "tamoxifen"]
    assert all(encoder.knows(word) for word in words)  # type: ignore[attr-defined]
    kinase, enzyme, hospital = encoder.encode([["kinase", "phosphorylation", "hospital"]]).values
    assert kinase @ enzyme > 2 * abs(kinase @ hospital)
    file = tmp_path / "glove.txt"
    file.write_text("the 1 2\n")
    given = load_encoder(f"bioglove:{file}")
    assert (given.name, given.dim) == ("bioglove", 2)
    assert given.identity != load_encoder(f"glove:{file}").identity


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the 1 2\nof 1\n", r"glove.txt:2: 1 number, but the first line has 2"),
        ("the 1 2\nof 1 x\n", r"glove.txt:2: a word in UTF-8 and 2 numbers"),
        ("the 1 2\n\nof 1 2\n", r"glove.txt:2: 0 numbers"),
        ("the 1 2\nof 1.2.3\n", r"glove.txt:2: 1 number"),
        ("the 1 2\nof 1 2.3.4\n", r"glove.txt:2: a word in UTF-8"),
        ("the 1 2\nof 1 2-\n", r"glove.txt:2: a word in UTF-8"),
        ("the 1 2\nof 1 1e39\n", r"glove.txt:2: the vector of 'of' holds NaN or infinity"),
        ("the 1 nan\n", r"glove.txt:1: the vector of 'the' holds NaN"),
        ("the\n", r"glove.txt:1: a word and its numbers"),
        ("", "is empty"),
        ("5 3\n", "is empty"),
    ],
)
def test_malformed_text_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path, text))


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "bytes.txt").write_bytes(b"the 1 2\n\xff 1 2\n")
    with pytest.raises(DataError, match=r"bytes.txt:2: .*utf-8"):
        read_table(tmp_path / "bytes.txt")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(TEXT.encode())[:-12])
    with pytest.raises(DataError, match="cannot be read to its end"):
        read_table(tmp_path / "cut.txt.gz")
    (tmp_path / "broken.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="cannot be read to its end"):
        read_table(tmp_path / "broken.zip")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.txt", TEXT)
        archive.writestr("b.txt", TEXT)
    with pytest.raises(DataError, match=r"holds \['a.txt', 'b.txt'\]"):
        read_table(tmp_path / "two.zip")
    with pytest.raises(MissingFileError, match="does not exist"):
        load_encoder(f"glove:{tmp_path / 'none.txt'}")
    with pytest.raises(UsageError, match=r"oov rule 'zeros' is unknown.*Did you mean 'zero'"):
        load_encoder(f"glove:{write(tmp_path)}", oov="zeros")


def test_a_large_table_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = write(tmp_path)
    path.write_text("of\rin 1 2 3\n" + TEXT, encoding="utf-8", newline="")
    rows, vectors = read_table(path)
    small, _ = load_table(path)
    assert not (tmp_path / "cache").exists(), "a small table is not worth it"
    monkeypatch.setattr(word_table, "_WORTH_KEEPING", 1)
    first, digest = load_table(path)
    (kept,) = (tmp_path / "cache" / "featstore").iterdir()

    def check(table: WordTable) -> None:
        assert {word: table.words.get(word) for word in [*rows, "p5", ""]} == {**rows, "p5": None, "": None}
        assert len(table.words) == len(rows)
        np.testing.assert_array_equal(table.vectors, vectors)
        np.testing.assert_allclose(table.spread, vectors.astype(float).std(axis=0))

    with monkeypatch.context() as unread:
        unread.setattr(word_table, "read_table", pytest.fail)
        second, again = load_table(path)
    assert again == digest
    for table in (small, first, second):
        check(table)
    assert isinstance(small.words, dict)
    assert all(isinstance(table.words, WordIndex) and isinstance(table.vectors, np.memmap) for table in (first, second))
    for file in sorted(kept.iterdir()):
        whole = file.read_bytes()
        assert whole.startswith(b"\x93NUMPY")
        for damaged in (whole[:6], whole[:-1], whole[:-8], b""):
            file.write_bytes(damaged)
            check(load_table(path)[0])
            assert file.read_bytes() == whole, "it is made again"
    with monkeypatch.context() as stuck:
        stuck.setattr(word_table, "forget", str)  # as where the cache is read-only
        (kept / "vectors.npy").write_bytes(b"")
        check(load_table(path)[0])
    path.write_text("the 1 2 3\n", encoding="utf-8")
    other = load_table(path)[0]
    assert (len(other.words), other.words.get("the")) == (1, 0), "another file is another table"


def test_an_index_whose_arrays_do_not_fit_together_is_refused(tmp_path: Path) -> None:
    write_index(tmp_path, ["drug", "gene", "the"])
    index = WordIndex(tmp_path)
    assert [index.get(word) for word in ("drug", "gene", "the", "of", "\ud800")] == [0, 1, 2, None, None]
    for name, values in (
        ("hashes", np.zeros(2, np.uint64)),
        ("hashes", np.array([3, 2, 1], np.uint64)),
        ("rows", np.array([0, 1, 3], np.uint32)),
        ("rows", np.array([0, 1, 2], np.int64)),
        ("bounds", np.array([0, 9, 8, 11])),
        ("bounds", np.array([0, 4, 8, 12])),
        ("bounds", np.array([1, 4, 8, 11])),
        ("text", np.zeros((1, 11), np.uint8)),
    ):
        whole = (tmp_path / f"{name}.npy").read_bytes()
        np.save(tmp_path / f"{name}.npy", values)
        with pytest.raises(ValueError, match=r"hold"):
            WordIndex(tmp_path)
        (tmp_path / f"{name}.npy").write_bytes(whole)


def test_words_of_one_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_index, "_hash", lambda raw: np.uint64(len(raw)))
    words = ["drug", "gene", "of", "acid", "in"]
    write_index(tmp_path, words)
    index = WordIndex(tmp_path)
    assert [index.get(word) for word in [*words, "cell", "a"]] == [0, 1, 2, 3, 4, None, None]


@given(st.lists(st.text(max_size=4), unique=True, max_size=40), st.text(max_size=4))
def test_an_index_answers_as_a_dictionary_does(words: list[str], other: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_index(Path(folder), words)
        index, rows = WordIndex(Path(folder)), {word: row for row, word in enumerate(words)}
        assert [index.get(word) for word in [*words, other]] == [rows.get(word) for word in [*words, other]]


def test_a_cache_that_cannot_be_written_costs_time_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(word_table, "_WORTH_KEEPING", 1)
    assert len(load_table(write(tmp_path))[0].words) == 5


def test_a_table_is_read_without_pandas(tmp_path: Path) -> None:
    (path := tmp_path / "vectors.txt").write_text("gene 1 2\ndrug 3 4\n")
    code = (
        "import sys; from pathlib import Path; from featstore.encoders.word_table import _plain, read_table; "
        f"assert _plain(Path({str(path)!r}).read_bytes(), 2); read_table(Path({str(path)!r})); "
        "assert 'pyarrow' in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
