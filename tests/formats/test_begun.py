"""Pipes and standard input: looked at, and then read from the first byte."""

import gzip
import io
import os
import sys
import threading
from pathlib import Path

import pytest
from formats_of_text import PLAIN

from featstore.documents import Document
from featstore.errors import DataError
from featstore.formats import Reading, read_documents, source

RECORDS = "".join(PLAIN["medline"][1].format(n, f"Title {n}.", "It blocks COX-2. " * 9) for n in range(100))


def through_a_pipe(path: Path, content: bytes) -> None:
    """Write a named pipe, in two pieces, while it is read."""
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb") as pipe:
            pipe.write(content[:3])
            pipe.flush()
            pipe.write(content[3:])

    threading.Thread(target=write).start()


@pytest.mark.parametrize("packed", [False, True])
def test_a_pipe_is_guessed_and_read_from_its_first_byte(tmp_path: Path, packed: bool) -> None:
    content = RECORDS.encode()
    assert len(content) > 2 * source.HEAD
    through_a_pipe(tmp_path / "pipe", gzip.compress(content, mtime=0) if packed else content)
    assert [found.id for found in read_documents(tmp_path / "pipe")] == [str(n) for n in range(100)]


@pytest.mark.parametrize(
    ("content", "reading", "ids"),
    [
        ("Aspirin blocks COX-2.", Reading(), ["stdin"]),
        ("", Reading(), []),
        (" \n", Reading(), []),
        ("Aspirin.\nCOX-2.\n", Reading(lines=True), ["stdin:1", "stdin:2"]),
        ("key,body\nk1,Aspirin.\n", Reading(text_column=("body",), id_column="key"), ["k1"]),
        ("7|t|Aspirin.\n\n", Reading(), ["7"]),
        ('\n{"id": "8", "text": "Aspirin.", "entities": []}\n', Reading(), ["8"]),
        ('[{"documents": [{"id": "9", "passages": []}]}]', Reading(), ["9"]),
        ("".join(PLAIN["pubmed-xml"]).format(10, "T", "A"), Reading(), ["10"]),
        (RECORDS, Reading(), [str(n) for n in range(100)]),
    ],
)
def test_standard_input_is_told_by_how_it_begins(
    content: str, reading: Reading, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    found = list(read_documents("-", reading=reading))
    assert all(isinstance(one, Document) for one in found)
    assert [one.id for one in found] == ids
    assert not sys.stdin.closed


def test_what_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for content, why in (
        (b"%PDF-1.4", "standard input is a PDF"),
        (b"\x1f\x8b\x08\x00" + b"\xff" * 99, "standard input is damaged gzip"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        with pytest.raises(DataError, match=why):
            list(read_documents("-"))
