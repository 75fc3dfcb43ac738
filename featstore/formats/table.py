"""The table of document formats, and reading and writing by a format's name.

Each format lives in a file of its own that is imported when it is asked for; adding one is that file and a line in
``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import cast

from featstore.documents import Document
from featstore.errors import DataError, UsageError, check_choice
from featstore.formats.contract import AS_USUAL, BadDocument, Format, Reader, Reading, Writer
from featstore.formats.guess import guess_format
from featstore.formats.source import source_of
from featstore.formats.unique import SeenDocuments, each_once

_PUBTATOR = rb"[^|\s]+\|t\|"
_MEDLINE = rb"PMID ?- ?\d"

FORMATS: dict[str, Format] = {
    "jsonl": Format(
        "featstore.formats.jsonl",
        suffixes=(".jsonl", ".ndjson"),
        begins=rb"\{",
        telling=rb'\{\s*"(id|text|entities|head|tail|label)"\s*:',
        mark=b"\n",
        explains=True,
        mentions=True,
    ),
    "bioc-xml": Format(
        "featstore.formats.bioc_xml",
        suffixes=(".xml",),
        roots=("collection",),
        mark=b"</document>",
        collects=True,
        explains=True,
        mentions=True,
    ),
    "bioc-json": Format(
        "featstore.formats.bioc_json",
        suffixes=(".json",),
        begins=rb"[\[{]",
        telling=rb'\[?\s*\{(?s:.*?)"(passages|documents|PubTator3)"\s*:',
        mark=b'"passages"',
        collects=True,
        explains=True,
        mentions=True,
    ),
    "pubtator": Format(
        "featstore.formats.pubtator",
        suffixes=(".pubtator", ".txt"),
        begins=_PUBTATOR,
        telling=_PUBTATOR,
        mentions=True,
        mark=b"|t|",
    ),
    "brat": Format("featstore.formats.brat", writes=False, folder=("*.ann", "*.ann.gz")),
    "chemprot": Format(
        "featstore.formats.chemprot",
        suffixes=(".tsv",),
        named="[Aa]bstra",
        begins=rb"[^\t\r\n]+\t[^\t\r\n]*\t[^\t\r\n]*([\r\n]|\Z)",
        folder=tuple(f"{level}*[Aa]bstra*.tsv{packed}" for level in ("", "*/") for packed in ("", ".gz")),
        mark=b"\n",
    ),
    "pubmed-xml": Format(
        "featstore.formats.pubmed_xml",
        writes=False,
        suffixes=(".xml",),
        roots=("PubmedArticleSet", "PubmedBookArticleSet"),
        mark=b"</PubmedArticle>",
    ),
    "medline": Format(
        "featstore.formats.medline",
        writes=False,
        suffixes=(".nbib", ".medline", ".txt"),
        begins=_MEDLINE,
        telling=_MEDLINE,
        mark=b"PMID- ",
    ),
    "jats": Format(
        "featstore.formats.jats",
        writes=False,
        suffixes=(".xml", ".nxml"),
        roots=("article", "pmc-articleset", "OAI-PMH"),
        mark=b"</article>",
        skips="the cells of tables, formulas, references, footnotes, acknowledgements, appendices and supplements "
        "are not read.",
    ),
    "csv": Format(
        "featstore.formats.columns",
        writes=False,
        suffixes=(".csv",),
        mark=b"\n",
        takes=("text_column", "id_column"),
    ),
    "tsv": Format(
        "featstore.formats.tsv",
        suffixes=(".tsv", ".tab"),
        mark=b"\n",
        takes=("text_column", "id_column"),
        explains=True,
    ),
    "html": Format("featstore.formats.html", reads=False, suffixes=(".html", ".htm"), explains=True, mentions=True),
    "text": Format("featstore.formats.text", writes=False, suffixes=(".txt", ".text"), takes=("lines",)),
}


def readable() -> tuple[str, ...]:
    """Return the names of the formats that are read."""
    return tuple(name for name, entry in FORMATS.items() if entry.reads)


def writable() -> tuple[str, ...]:
    """Return the names of the formats that are written."""
    return tuple(name for name, entry in FORMATS.items() if entry.writes)


def read_documents(
    path: str | Path,
    format: str | None = None,  # noqa: A002
    reading: Reading = AS_USUAL,
    *,
    strict: bool = False,
    seen: SeenDocuments | None = None,
) -> Iterator[Document | BadDocument]:
    """Return the documents of a file or folder, one after the other, in constant memory.

    Args:
        path: a file (also gzipped), the folder of a format that is one, a pipe, or ``-`` for standard input.
        format: its name; by default it is guessed from the suffix and the first bytes.
        reading: how it shall be read, where its format leaves a choice.
        strict: a document in which anything had to be left out or changed is a bad one. Else it is kept, and its
            ``problems`` say what.
        seen: the documents of other files that were read before, to which those of this one are added. A document
            that is among them, or comes a second time in the file itself, is a bad one.

    Returns:
        An iterator; a bad document is a :class:`BadDocument` in its place. A file that breaks off is one more of them,
        without an id, after the documents that could be read.

    Raises:
        UsageError: no such format, none can be guessed, or one that ``reading`` does not suit.
        MissingFileError: there is nothing at the path.
        DataError: while iterating: the file is not of the format.
    """
    path = source_of(path if isinstance(path, Path) else Path(path))
    name = format_of(path, format, reading)
    taken = {name: getattr(reading, name) for name in FORMATS[name].takes}
    found = _documents(path, cast(Reader, import_module(FORMATS[name].module).read), taken)
    found = each_once(found, SeenDocuments() if seen is None else seen)
    return map(_refuse_problems, found) if strict else found


def format_of(path: Path, format: str | None, reading: Reading = AS_USUAL) -> str:  # noqa: A002
    """Return the name of the format that a file or folder is read in.

    Args:
        path: as :func:`~featstore.formats.source.source_of` gives it.
        format: its name; None: it is guessed.
        reading: how it shall be read.

    Raises:
        UsageError, MissingFileError, DataError: see :func:`read_documents`.
    """
    name = (
        guess_format(path, FORMATS, reading) if format is None else check_choice("the input format", format, readable())
    )
    for given in fields(reading):
        if getattr(reading, given.name) != given.default and given.name not in FORMATS[name].takes:
            option = f"--{given.name.replace('_', '-')}"
            takers = ", ".join(n for n, entry in FORMATS.items() if given.name in entry.takes)
            raise UsageError(f"{path} is read as {name}, which has no {option}; that is for {takers}.")
    return name


def writer_of(name: str) -> Writer:
    """Return the writer of a format.

    Raises:
        UsageError: no such format, or it is read only.
    """
    return cast(Writer, import_module(FORMATS[check_choice("the output format", name, writable())].module))


def _documents(path: Path, read: Reader, taken: Mapping[str, object]) -> Iterator[Document | BadDocument]:
    """Yield the documents; once some have been read, an error is one of them and the last."""
    some = False
    try:
        for found in read(path, **taken):
            yield found
            some = True
    except DataError as error:
        if not some:
            raise
        yield BadDocument("", str(path), f"{error} What comes after this place could not be read.")


def _refuse_problems(found: Document | BadDocument) -> Document | BadDocument:
    """Return a document that has no problems, or a bad one with the first of them."""
    if isinstance(found, BadDocument) or not found.problems:
        return found
    first = found.problems[0]
    return BadDocument(found.id, first.place, first.why)
