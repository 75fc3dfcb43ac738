"""The table of document formats, and reading and writing by a format's name.

Each format lives in a file of its own that is imported when it is asked for; adding one is that file and a line in
``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

from featstore.errors import DataError
from featstore.formats.contract import BadDocument, Format, Reader, Writer
from featstore.formats.guess import guess_format
from featstore.records import Document, check_choice

FORMATS: dict[str, Format] = {
    "jsonl": Format("featstore.formats.jsonl", suffixes=(".jsonl", ".ndjson"), begins=rb"\{"),
    "tsv": Format("featstore.formats.tsv", reads=False),
    "bioc-xml": Format("featstore.formats.bioc_xml", suffixes=(".xml",), begins=rb"<"),
    "bioc-json": Format("featstore.formats.bioc_json", suffixes=(".json",), begins=rb"[\[{]"),
    "pubtator": Format("featstore.formats.pubtator", suffixes=(".pubtator", ".txt"), begins=rb"[^|\s]+\|t\|"),
    "brat": Format("featstore.formats.brat", writes=False, folder=("*.ann",)),
    "chemprot": Format(
        "featstore.formats.chemprot",
        suffixes=(".tsv",),
        begins=rb"[^\t\n]+\t[^\t\n]*\t[^\t\n]*(\n|\Z)",
        folder=("*abstracts*.tsv", "*/*abstracts*.tsv"),
    ),
}


def readable() -> tuple[str, ...]:
    """Return the names of the formats that are read."""
    return tuple(name for name, entry in FORMATS.items() if entry.reads)


def writable() -> tuple[str, ...]:
    """Return the names of the formats that are written."""
    return tuple(name for name, entry in FORMATS.items() if entry.writes)


def read_documents(path: str | Path, format: str | None = None) -> Iterator[Document | BadDocument]:  # noqa: A002
    """Return the documents of a file or folder, one after the other, in constant memory.

    Args:
        path: a file (for all but brat and chemprot also gzipped), or the folder of a format that is one.
        format: its name; by default it is guessed from the suffix and the first bytes.

    Returns:
        An iterator; a bad document is a :class:`BadDocument` in its place. A file that breaks off is one more of them,
        without an id, after the documents that could be read.

    Raises:
        UsageError: no such format, or none can be guessed.
        MissingFileError: there is nothing at the path.
        DataError: while iterating: the file is not of the format.
    """
    path = Path(path)
    name = guess_format(path, FORMATS) if format is None else check_choice("the input format", format, readable())
    return _documents(path, cast(Reader, import_module(FORMATS[name].module).read))


def writer_of(name: str) -> Writer:
    """Return the writer of a format.

    Raises:
        UsageError: no such format, or it is read only.
    """
    return cast(Writer, import_module(FORMATS[check_choice("the output format", name, writable())].module))


def _documents(path: Path, read: Reader) -> Iterator[Document | BadDocument]:
    """Yield the documents; once some have been read, an error is one of them and the last."""
    some = False
    try:
        for found in read(path):
            yield found
            some = True
    except DataError as error:
        if not some:
            raise
        yield BadDocument("", str(path), f"{error} What comes after this place could not be read.")
