"""The table of formats and the guess of one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from featstore.errors import MissingFileError, UsageError
from featstore.formats import FORMATS, ModelFacts, read_documents, readable, writable, writer_of

Write = Callable[[str, str | bytes], Path]


@pytest.mark.parametrize("name", writable())
def test_every_writer_keeps_the_contract(name: str, model: ModelFacts) -> None:
    writer = writer_of(name)
    assert isinstance(writer.separator, str)
    assert isinstance(writer.header(model), str)
    assert isinstance(writer.footer(), str)


def test_every_format_does_something() -> None:
    assert set(readable()) | set(writable()) == set(FORMATS)


def test_unknown_names_are_refused(write: Write) -> None:
    path = write("a.jsonl", "")
    with pytest.raises(UsageError, match="jsonl"):
        read_documents(path, "jsnl")
    with pytest.raises(UsageError, match="unknown"):
        read_documents(path, "table")
    with pytest.raises(UsageError, match="tsv"):
        writer_of("csv")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.jsonl", "<collection>", "not by how it begins"),
        ("notes.doc", "Dear", "cannot be determined"),
        ("a.gz", "Dear", "cannot be determined"),
    ],
)
def test_what_cannot_be_guessed_is_refused(write: Write, name: str, content: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_documents(write(name, content))


def test_nothing_at_the_path(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_documents(tmp_path / "none.jsonl")
