"""Text in: files of any kind, read side by side, resumed at any line."""

import gzip
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featstore.corpora.text import tokenise as corpus_tokens
from featstore.errors import DataError, MissingFileError
from featstore.pretrain.text import (
    Position,
    TextSource,
    is_held_out,
    one_pass,
    read_lines,
    sentences,
    tokenise,
    training_lines,
)


def write(path: Path, lines: list[str]) -> Path:
    data = "".join(line + "\n" for line in lines).encode("utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_plain_and_gzip_files_give_the_same_lines(tmp_path: Path) -> None:
    lines = ["Aspirin inhibits COX-2.", "", "β-catenin\u2009binds"]
    plain, packed = write(tmp_path / "a.txt", lines), write(tmp_path / "a.txt.gz", lines)
    assert list(read_lines(plain)) == list(read_lines(packed)) == lines
    assert list(read_lines(packed, skip=2)) == lines[2:]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"fine\nbad \xff byte\n", "line 2: not UTF-8"),
        ("a.txt", b"fine\nELF\0\0\n", "line 2: a zero byte"),
        ("a.txt.gz", b"this is no gzip data", "damaged gzip"),
        ("b.txt.gz", gzip.compress(b"some text\n" * 9999)[:-20], "damaged gzip"),
    ],
)
def test_what_is_not_text_is_refused_with_file_and_line(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        list(read_lines(tmp_path / name))
    assert name in str(caught.value)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="nowhere"):
        next(TextSource((tmp_path / "nowhere.txt",)).one_pass())
    empty = write(tmp_path / "empty.txt", ["", ""])
    with pytest.raises(DataError, match="no text"):
        next(training_lines([empty], Position(), hold_out=False))
    with pytest.raises(DataError, match=r"empty\.txt: no text"):
        list(TextSource((empty,)).one_pass())
    with pytest.raises(DataError, match="no held-out text"):
        TextSource((empty,)).held_out()


def test_files_are_read_side_by_side_in_proportion_to_their_size(tmp_path: Path) -> None:
    large = write(tmp_path / "large.txt", [f"large {i:03d}" for i in range(300)])
    small = write(tmp_path / "small.txt", [f"small {i:03d}" for i in range(100)])
    order = list(one_pass([small, large], Position()))
    assert sorted(order) == sorted([*read_lines(small), *read_lines(large)])
    for start in range(0, 400, 40):
        assert sum(line.startswith("large") for line in order[start : start + 40]) in (29, 30, 31)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 70))
def test_a_stream_goes_on_with_the_very_next_line(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.getbasetemp() / "lines"
    folder.mkdir(exist_ok=True)
    files = [write(folder / f"{k}.txt", [f"{k} {i} {'x' * (i % 7)}" for i in range(9 + 5 * k)]) for k in range(3)]
    whole = list(islice(training_lines(files, Position(), hold_out=False), 80))
    position = Position()
    first = list(islice(training_lines(files, position, hold_out=False), cut))
    rest = list(islice(training_lines(files, position.copy(), hold_out=False), 80 - cut))
    assert first + rest == whole


def test_held_out_lines_are_never_trained_on(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", [f"sentence number {i}" for i in range(3000)])
    source = TextSource((file,))
    held_out, trained = source.held_out(), set(source.one_pass())
    assert 10 < len(held_out) < 60
    assert not trained.intersection(held_out)
    assert len(trained) + len(held_out) == 3000
    named = TextSource((file,), (write(tmp_path / "v.txt", ["only this"]),))
    assert named.held_out() == ["only this"]
    assert len(list(named.one_pass())) == 3000


def test_one_tokenisation_is_that_of_the_corpora() -> None:
    fine = [f"Line {i}: IL-2 (0.05 mg/ml) binds β-catenin's site_{i}, 1,2-diol." for i in range(20)]
    kinds = {tokenise(line) == list(corpus_tokens(line, (0, len(line)), ()).tokens) for line in fine}
    assert kinds == {True, False}  # every second line, by its hash, is cut coarsely instead
    assert all("IL-2" in tokenise(line) or "IL" in tokenise(line) for line in fine)


def test_lines_fall_into_sentences() -> None:
    found = sentences("Aspirin works. It inhibits COX (e.g. cox1). In vivo too? Yes")
    assert ["".join(tokens) for tokens in found] == ["Aspirinworks.", "ItinhibitsCOX(e.g.cox1).", "Invivotoo?", "Yes"]
    assert sentences("   ") == []


def test_the_held_out_share_is_about_one_in_a_hundred() -> None:
    assert 60 < sum(is_held_out(f"line {i}") for i in range(10_000)) < 140
