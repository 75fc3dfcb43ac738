"""One kind of line end, whichever a file has: LF, CRLF, or the lone CR of old Macintosh and some spreadsheet programs.

In: an open file. Out: a file of the same bytes, in which each lone CR is an LF if the first line ends with one. The
length stays what it is, so offsets in bytes hold, and a CR inside a line of a file whose lines end with LF is text.
Bytes that are not UTF-8 text (UTF-16 holds zeros) are left as they are.
"""

from __future__ import annotations

import gzip
import io
import re
from typing import IO

_LONE = re.compile(rb"\r(?!\n)")
_FIRST = re.compile(rb"\r\n|\r|\n")


def with_line_feeds(file: IO[bytes] | gzip.GzipFile) -> io.BufferedReader:
    """Return a file whose lines end with LF or CRLF; seeking in it is seeking in ``file``, which it does not close."""
    return io.BufferedReader(_LineFeeds(file))


class _LineFeeds(io.RawIOBase):
    """The bytes of a file, read through; its first line end decides which line ends it has."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file
        self._lone: bool | None = None  # whether lines end with a lone CR; None: no line has ended yet

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        # The last byte has to be no CR, for what comes after a CR says what it is.
        raw = self._file.read(max(len(buffer) - 1, 1))
        while raw.endswith(b"\r") and len(raw) < len(buffer) and (more := self._file.read(1)):
            raw += more
        if self._lone is None and (first := _FIRST.search(raw)):
            self._lone = first[0] == b"\r" and b"\0" not in raw
        given = _LONE.sub(b"\n", raw) if self._lone else raw
        buffer[: len(given)] = given
        return len(given)
