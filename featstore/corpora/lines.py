"""Reading of text files by line, so that every complaint can name the file and the line.

In: a path. Out: its lines, or its tab-separated rows, each with its number; a digest of the files read.
Lines end at LF or CRLF, or at CR in a file that has no LF: biomedical text holds other characters that
``str.splitlines`` would break at. A file may be gzipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from featstore.errors import DataError, count_of
from featstore.fingerprint import file_sha256
from featstore.formats.source import opened


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        path: the file.
        line: the line's number, counted from 1.
        fields: the columns.
    """

    path: Path
    line: int
    fields: tuple[str, ...]

    def error(self, problem: str) -> DataError:
        """Return an error that begins with the file and the line."""
        return line_error(self.path, self.line, problem)

    def integer(self, column: int, what: str) -> int:
        """Return a column as a number that is not negative.

        Raises:
            DataError: it is not made of decimal digits alone (or of more than anyone has characters).
        """
        given = self.fields[column]
        if not (given.isascii() and given.isdigit() and len(given) <= 12):
            raise self.error(f"the {what} is '{given}'; a number of 0 or more is wanted.")
        return int(given)


def line_error(path: Path, line: int, problem: str) -> DataError:
    """Return the :class:`DataError` that every reader raises for one line of a file."""
    return DataError(f"{path}, line {line}: {problem}")


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 file without their ends; a byte order mark is dropped.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is empty, is not UTF-8, or cannot be read.
    """
    with opened(path) as file:
        raw = file.read()
    try:
        text = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise line_error(path, line, f"not UTF-8 ({error.reason}); save the file as UTF-8.") from error
    if not text.strip():
        raise DataError(f"{path} is empty.")
    lines = text.split("\n" if "\n" in text else "\r")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def read_rows(path: Path, columns: Sequence[str], *, header: bool = False) -> Iterator[Row]:
    """Yield the rows of a tab-separated table without quoting.

    Args:
        columns: the names of the columns, as the first line must give them if ``header``.
        header: whether the first line names the columns.

    Raises:
        MissingFileError, DataError: as :func:`read_lines`; a row with another number of columns; another header.
    """
    lines = read_lines(path)
    if header and len(lines) == 1:
        raise line_error(path, 1, "a header and no rows.")
    for number, line in enumerate(lines, start=1):
        row = Row(path, number, tuple(line.split("\t")))
        if header and number == 1:
            if row.fields != tuple(columns):
                raise row.error(f"the header is {list(row.fields)}; {list(columns)} is wanted.")
        elif len(row.fields) != len(columns):
            raise row.error(f"{count_of(len(row.fields), 'column')}; {len(columns)} are wanted: {', '.join(columns)}.")
        else:
            yield row


def files_digest(paths: Iterable[Path]) -> str:
    """Return the sha256 (64 hex digits) of the contents of files, in the order given; names do not enter."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(bytes.fromhex(file_sha256(path)))
    return digest.hexdigest()
