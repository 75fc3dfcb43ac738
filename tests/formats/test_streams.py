"""Memory is constant in the number of documents; JSON is the same however it is cut into pieces."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from formats_of_text import PLAIN
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.documents import Document, Entity
from featstore.formats import ModelFacts, read_documents, writer_of
from featstore.formats.json_pieces import JsonPieces

MODEL = ModelFacts("m", "ab", ("CPR:4",))
TEXT = "Aspirin.\nIt blocks COX-2. " + "Nothing more is to be said of it."
ENTITIES = (Entity("T1", "CHEMICAL", 0, 7, "Aspirin"), Entity("T2", "GENE-Y", 19, 24, "COX-2"))


def write_file(format_: str) -> Callable[[Path, int], Path]:
    def written(folder: Path, count: int) -> Path:
        writer, path = writer_of(format_), folder / str(count)
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(writer.header(MODEL))
            for number in range(count):
                text = writer.document(Document(str(number), TEXT, ENTITIES), [], MODEL)
                file.write((writer.separator if number else "") + text)
            file.write(writer.footer())
        return path

    return written


def write_chemprot(folder: Path, count: int) -> Path:
    """All entities are in the reverse order of the abstracts."""
    title, abstract = TEXT.split("\n")
    with (folder / f"{count}_abstracts.tsv").open("w") as file:
        file.writelines(f"{number}\t{title}\t{abstract}\n" for number in range(count))
    with (folder / f"{count}_entities.tsv").open("w") as file:
        for number in reversed(range(count)):
            file.writelines(f"{number}\t{e.id}\t{e.type}\t{e.start}\t{e.end}\t{e.text}\n" for e in ENTITIES)
    return folder / f"{count}_abstracts.tsv"


def write_brat(folder: Path, count: int) -> Path:
    inner = folder / str(count)
    inner.mkdir()
    for number in range(count):
        (inner / f"{number}.txt").write_text(TEXT)
        (inner / f"{number}.ann").write_text("".join(f"{e.id}\tX {e.start} {e.end}\t{e.text}\n" for e in ENTITIES))
    return inner


def write_plain(format_: str) -> Callable[[Path, int], Path]:
    begin, each, end = PLAIN[format_]

    def written(folder: Path, count: int) -> Path:
        path = folder / str(count)
        with path.open("w", encoding="utf-8") as file:
            file.write(begin)
            file.writelines(each.format(number, *TEXT.split("\n")) for number in range(count))
            file.write(end)
        return path

    return written


DIGESTS = 16  # bytes of each document, by which one that is given twice is told
# format -> how to write it, bytes that a document may cost beside: brat's are file names, chemprot's the index
STREAMS: dict[str, tuple[Callable[[Path, int], Path], int]] = {
    **{name: (write_file(name), 0) for name in ("jsonl", "bioc-xml", "bioc-json", "pubtator")},
    **{name: (write_plain(name), 0) for name in PLAIN if name != "text"},
    "chemprot": (write_chemprot, 400),
    "brat": (write_brat, 300),
}


@pytest.mark.parametrize("format_", STREAMS)
def test_thousands_of_documents_need_no_more_memory_than_a_few(format_: str, tmp_path: Path) -> None:
    write, each = STREAMS[format_]

    def peak(path: Path, count: int) -> int:
        tracemalloc.start()
        try:
            assert sum(isinstance(found, Document) for found in read_documents(path, format_)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = peak(write(tmp_path, 400), 400)
    assert few < 2_000_000
    many, bound = write(tmp_path, 1_200), few + 100_000 + (DIGESTS + each) * 1_200
    # a second try, as Python's own table of interned strings may grow at any moment, and counts
    assert any(peak(many, 1_200) < bound for _ in range(2))


def test_reading_begins_before_the_end_is_there(tmp_path: Path) -> None:
    """The first document is given when no more than it and a little has been looked at."""
    for format_, (write, bytes_each) in STREAMS.items():
        if bytes_each:
            continue  # a folder, or an index of it
        path = write(tmp_path, 3000)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] + b"\xff\x00")
        found = read_documents(path, format_)
        assert isinstance(next(found), Document)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


def cut(raw: bytes, size: int) -> Iterator[bytes]:
    return (raw[at : at + size] for at in range(0, len(raw), size))


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=5), st.lists(VALUES, max_size=4), max_size=4), st.integers(1, 9), st.booleans())
def test_json_is_the_same_however_it_is_cut(given_: dict[str, list[Any]], size: int, plain: bool) -> None:
    raw = json.dumps(given_, ensure_ascii=plain, indent=None if plain else 1).encode("utf-8", errors="surrogatepass")
    walk = JsonPieces(Path("a.json"), cut(raw + b"\n", size))
    found = {name: [walk.value() for _ in walk.items()] for name in walk.names()}
    assert found == given_
    assert walk.peek() == ""
    assert walk.line == raw.count(b"\n") + 2


@settings(max_examples=50)
@given(VALUES, st.integers(1, 9))
def test_a_json_value_is_the_same_however_it_is_cut(value: Any, size: int) -> None:
    walk = JsonPieces(Path("a.json"), cut(json.dumps(value, ensure_ascii=False).encode(), size))
    assert walk.value() == value
