"""How many documents there are to come: exact for files of a usual size, an estimate for large ones."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from featstore.documents import Document
from featstore.formats import ModelFacts, count, count_documents, readable, writable, writer_of

MODEL = ModelFacts("toy", "ab", ("CPR:4",))


def write(path: Path, name: str, number: int) -> None:
    writer = writer_of(name)
    pieces = [writer.document(Document(str(n), "Title.\nText.", ()), [], MODEL) for n in range(number)]
    path.write_text(writer.header(MODEL) + writer.separator.join(pieces) + writer.footer())


@pytest.mark.parametrize("name", sorted({*readable()} & {*writable()} - {"chemprot", "tsv"}))
@pytest.mark.parametrize("packed", [False, True])
def test_what_was_written_is_counted(tmp_path: Path, name: str, packed: bool) -> None:
    path = tmp_path / "documents"
    write(path, name, 7)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert count_documents(path, name) == 7


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_file_is_estimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    monkeypatch.setattr(count, "_MOST", 1 << 16)
    content = b"".join(b'{"id": "%d", "text": "%s"}\n' % (n, os.urandom(50).hex().encode()) for n in range(20_000))
    path = tmp_path / "documents.jsonl"
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    assert count_documents(path) == pytest.approx(20_000, rel=0.2)


def test_folders(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.ann").touch()
        (tmp_path / f"{number}.txt").touch()
    assert count_documents(tmp_path) == 3


def test_what_cannot_be_counted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "what.ever").touch()
    for path in (tmp_path / "pipe.jsonl", tmp_path / "what.ever", tmp_path / "nowhere", tmp_path):
        assert count_documents(path) is None


def test_a_last_line_without_an_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text('{"id": "1", "text": "Water.", "entities": []}')
    assert count_documents(path) == 1
    path.write_text("")
    assert not count_documents(path)
