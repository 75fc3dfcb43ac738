"""Reading of files that may be large and may be gzipped, a piece or a line at a time.

In: a path. Out: its bytes in pieces, or its lines with their numbers, in constant memory; every way in which a disk or
an archive fails becomes an error of :mod:`featstore.errors`. A pipe or standard input can be looked at before it is
read (:class:`Begun`).
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PosixPath
from typing import IO, BinaryIO, cast

from featstore.addresses import address_of, open_to_read
from featstore.errors import DataError, MissingFileError
from featstore.formats.content import Flaw
from featstore.formats.line_ends import with_line_feeds
from featstore.streams import is_stream

PIECE = 1 << 16  # bytes
HEAD = 4096  # bytes that are read to determine a format
LONGEST_LINE = 1 << 25  # bytes; a longer line is a mistake, and would not fit in memory
BOM = b"\xef\xbb\xbf"
STDIN = Path("-")
Bytes = IO[bytes] | gzip.GzipFile
UTF16 = (b"\xff\xfe", b"\xfe\xff")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file.

    Attributes:
        number: counted from 1.
        raw: its bytes, without its end; of a line of more than :data:`LONGEST_LINE` the first of them.
        too_long: whether it is such a line.
    """

    number: int
    raw: bytes
    too_long: bool = False

    @property
    def text(self) -> str:
        """The line as text.

        Raises:
            Flaw: it is not UTF-8, or too long.
        """
        if self.too_long:
            raise Flaw(f"the line has more than {LONGEST_LINE:,} bytes, the most that is read; split it.", self.number)
        try:
            return self.raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Flaw(f"not UTF-8 ({error.reason}); save the file as UTF-8.", self.number) from error


class Begun(PosixPath):
    """A pipe, a device or standard input that may have been looked at; it is opened once, from its beginning.

    It is a path, so that every reader takes it; what was looked at is given again to whoever opens it.
    """

    _head = b""
    _rest: BinaryIO | None = None

    @classmethod
    def stdin(cls) -> Begun:
        """Return standard input."""
        path = cls("standard input")
        path._rest = sys.stdin.buffer
        return path

    @classmethod
    def at(cls, address: str) -> Begun:
        """Return the file at an address."""
        path = _AtAddress(address)
        path._address = address
        path._rest = open_to_read(address)
        return path

    def look(self, size: int) -> bytes:
        """Return the first bytes, fewer only if there are no more; they stay to be read."""
        if self._rest is None:
            self._rest = open(self, "rb")  # noqa: SIM115
        while len(self._head) < size and (more := self._rest.read(size - len(self._head))):
            self._head += more
        return self._head[:size]

    def begin(self) -> io.BufferedReader:
        """Return the file, from its first byte."""
        self.look(0)
        assert self._rest is not None
        return io.BufferedReader(_Again(self._head, self._rest))


class _AtAddress(Begun):
    """A file at an address, which messages name as the user did."""

    _address = ""

    def __str__(self) -> str:
        return self._address


class _Again(io.RawIOBase):
    """Bytes that were read before, and then those of the file that they were read from."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        size = len(buffer)
        given, self._head = self._head[:size], self._head[size:]
        given = given or cast(io.BufferedReader, self._rest).read1(size)
        buffer[: len(given)] = given
        return len(given)

    def close(self) -> None:
        if not self.closed and self._rest is not sys.stdin.buffer:
            self._rest.close()
        super().close()


def source_of(path: Path) -> Path:
    """Return a path that can be looked at and then read, whatever it is."""
    if not isinstance(path, Begun) and (address := address_of(path)):
        return Begun.at(address)
    if isinstance(path, Begun) or not is_stream(path):
        return path
    return Begun.stdin() if path == STDIN else Begun(path)


def head_of(path: Path) -> bytes:
    """Return the first bytes of a file, of those inside if it is a gzip file, without a byte order mark.

    Raises:
        MissingFileError, DataError: see :func:`opened`.
    """
    if isinstance(path, Begun):
        try:
            head = path.look(HEAD)
            if head.startswith(_GZIP):
                head = zlib.decompressobj(wbits=31).decompress(head, HEAD)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from error
        except zlib.error as error:
            raise DataError(f"{path} is damaged gzip ({error}); fetch it again.") from error
    else:
        with opened(path) as file:
            head = file.read(HEAD)
    return head.removeprefix(BOM)


@contextmanager
def opened(path: Path) -> Iterator[Bytes]:
    """Open a file to read its bytes, those inside of it if it is a gzip file.

    Raises:
        MissingFileError: there is no such file.
        DataError: it cannot be read, here or anywhere in the ``with`` block.
    """
    try:
        with path.begin() if isinstance(path, Begun) else path.open("rb") as file:
            if file.peek(2).startswith(_GZIP):
                with gzip.open(file) as unpacked:
                    yield unpacked
            else:
                yield file
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}); fetch it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def pieces(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, :data:`PIECE` at a time, without a byte order mark of UTF-8.

    A lone CR that ends lines is an LF (:mod:`featstore.formats.line_ends`).

    Raises:
        MissingFileError, DataError: see :func:`opened`.
    """
    with opened(path) as packed:
        file = with_line_feeds(packed)
        piece = file.read(PIECE).removeprefix(BOM)
        while piece:
            yield piece
            piece = file.read(PIECE)


def lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file, whatever ends them; byte order marks of UTF-8 are dropped.

    Such a mark begins the file and, where files were joined, the line at which another began.

    Raises:
        MissingFileError, DataError: see :func:`opened`; UTF-16.
    """
    with opened(path) as packed:
        number, file = 0, with_line_feeds(packed)
        while raw := file.readline(LONGEST_LINE + 1):
            number += 1
            if number == 1 and raw.startswith(UTF16):
                raise DataError(f"{path} is UTF-16; save it as UTF-8.")
            ended = raw.endswith(b"\n")
            too_long = len(raw) > LONGEST_LINE and not ended
            while too_long and not ended:
                ended = (rest := file.readline(PIECE)).endswith(b"\n") or not rest
            yield Line(number, raw.removeprefix(BOM).removesuffix(b"\n").removesuffix(b"\r"), too_long)
