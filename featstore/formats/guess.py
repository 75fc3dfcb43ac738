"""Which format a file or folder is in, from its name and its first bytes.

In: a path. Out: the name of a format, or an error that says what was looked at. Nothing is guessed that the first
bytes contradict: a wrong guess would end in a complaint about the wrong thing. What is no text at all, and what is
text without a document in it, is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from featstore.errors import DataError, MissingFileError, UsageError
from featstore.formats.contract import Format, Reading
from featstore.formats.folders import left_behind
from featstore.formats.source import UTF16, Begun, head_of

EXPORT = "export the records with their abstracts: in PubMed, Save > Format: PubMed (or XML, with E-utilities)"
# How files begin that are no text -> what they are, and what to do.
_FOREIGN = {
    b"%PDF": "a PDF file; save its text first, for example with pdftotext",
    b"PK\x03\x04": "a ZIP archive or an Office file (.docx, .xlsx); unpack it, or save it as plain text or CSV",
    b"\xd0\xcf\x11\xe0": "an Office file (.doc, .xls); save it as plain text or CSV",
    rb"{\rtf": "an RTF file; save it as plain text",
    b"BZh": "a bzip2 archive; unpack it, or pack it with gzip",
    b"\xfd7zXZ": "an xz archive; unpack it, or pack it with gzip",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive; unpack it, or pack it with gzip",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it",
    b"\x89PNG": "a picture; text is wanted",
    b"\xff\xd8\xff": "a picture; text is wanted",
    b"GIF8": "a picture; text is wanted",
}
_WEB_PAGE = re.compile(rb"(<!doctype html|<html)\b", re.IGNORECASE)
_PMIDS = re.compile(rb"(?:pmids?\s*)?(?:\d{1,8}[\s,;]+)*\d{1,8}[\s,;]*", re.IGNORECASE)
_LISTING = re.compile(rb"1[.:] [^\n]+\n(?s:.*?)\bPMID: ?\d")  # PubMed's formats Abstract and Summary
_BEFORE_ROOT = re.compile(rb"\s+|<\?.*?\?>|<!--.*?-->|<![^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
_ROOT = re.compile(rb"<([\w:.-]+)")


def guess_format(path: Path, formats: Mapping[str, Format], reading: Reading) -> str:
    """Return the name of the format of a file or folder.

    Args:
        path: a file, folder, pipe or standard input, as :func:`~featstore.formats.source.source_of` gives it.
        formats: the table.
        reading: options that say something of the format, as they suit some only.

    Raises:
        MissingFileError: there is nothing at the path.
        UsageError: the format cannot be determined; the text says why.
        DataError: what is there is no text, holds no document, or is XML of another kind.
    """
    if isinstance(path, Begun):
        head = head_of(path)
        refuse_foreign(path, head)
        return _by_content(head, formats, reading) or ("csv" if reading.text_column else "text")
    if not path.exists():
        raise MissingFileError(f"{path} does not exist.")
    choose = f"name its format with --format, one of {', '.join(n for n, entry in formats.items() if entry.reads)}."
    if path.is_dir():
        for name, entry in formats.items():
            if any(not left_behind(found.name) for pattern in entry.folder for found in path.glob(pattern)):
                return name
        patterns = [f"{pattern} ({name})" for name, entry in formats.items() for pattern in entry.folder]
        raise UsageError(f"the folder {path} holds none of {', '.join(patterns)}; {choose}")
    head = head_of(path)
    refuse_foreign(path, head)
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    named = {n: f for n, f in formats.items() if suffix in f.suffixes and f.reads and re.search(f.named, path.name)}
    suited = [name for name, entry in named.items() if _suits(entry, reading)]
    if suited and not head.strip():
        return suited[-1]
    for name in suited:
        if _fits(formats[name], head):
            return name
    if named and (root := xml_root(head)) and not any(root in entry.roots for entry in formats.values()):
        known = [f"<{root}> ({name})" for name, entry in formats.items() for root in entry.roots]
        raise DataError(f"{path} is XML with <{root}> outermost; known are {', '.join(known)}.")
    if named:
        raise UsageError(f"{path} is {' or '.join(named)} by its name, but not by how it begins; {choose}")
    if found := _by_content(head, formats, reading):
        return found
    raise UsageError(f"the format of {path} cannot be determined from its name; {choose}")


def refuse_foreign(path: Path, head: bytes) -> None:
    """Refuse what is no text, and what is a list of papers without their text.

    Raises:
        DataError: it is; the text says what it is and what to do.
    """
    for begin, what in _FOREIGN.items():
        if head.startswith(begin):
            raise DataError(f"{path} is {what}.")
    if head.startswith(UTF16):
        raise DataError(f"{path} is UTF-16; save it as UTF-8.")
    if b"\0" in head:
        raise DataError(f"{path} holds binary data, not text.")
    stripped = head.strip()
    if _WEB_PAGE.match(stripped):
        raise DataError(f"{path} is a web page; save its text, or fetch the article as XML.")
    if _PMIDS.fullmatch(stripped):
        raise DataError(f"{path} is a list of PubMed ids; text is needed: {EXPORT}.")
    if _LISTING.match(stripped):
        raise DataError(f"{path} is PubMed's display format, in which titles cannot be recognised; {EXPORT}.")


def xml_root(head: bytes) -> str:
    """Return the name of the outermost element of an XML text, or an empty string if the text does not begin so."""
    at = 0
    while found := _BEFORE_ROOT.match(head, at):
        at = found.end()
    root = _ROOT.match(head, at)
    return root[1].decode("utf-8", "replace") if root else ""


def _by_content(head: bytes, formats: Mapping[str, Format], reading: Reading) -> str | None:
    """Return the format that alone begins like this, whatever the name."""
    begin = head.lstrip()
    for name, entry in formats.items():
        if _suits(entry, reading) and (
            xml_root(head) in entry.roots or (entry.telling and re.match(entry.telling, begin))
        ):
            return name
    return None


def _fits(entry: Format, head: bytes) -> bool:
    """Tell whether files of a format begin like this."""
    if entry.roots:
        return xml_root(head) in entry.roots
    return re.match(entry.begins, head.lstrip()) is not None


def _suits(entry: Format, reading: Reading) -> bool:
    """Tell whether a format takes all that was said of the reading."""
    return all(f.name in entry.takes for f in fields(reading) if getattr(reading, f.name) != f.default)
