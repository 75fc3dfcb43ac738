"""Reading of files that may be large and may be gzipped, a piece or a line at a time.

In: a path. Out: its bytes in pieces, or its lines with their numbers, in constant memory; every way in which a disk or
an archive fails becomes an error of :mod:`featstore.errors`.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from featstore.errors import DataError, MissingFileError
from featstore.formats.content import Flaw

PIECE = 1 << 16  # bytes
BOM = b"\xef\xbb\xbf"
Bytes = IO[bytes] | gzip.GzipFile
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file.

    Attributes:
        number: counted from 1.
        raw: its bytes, without its end.
    """

    number: int
    raw: bytes

    @property
    def text(self) -> str:
        """The line as text.

        Raises:
            Flaw: it is not UTF-8.
        """
        try:
            return self.raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Flaw(f"not UTF-8 ({error.reason}); save the file as UTF-8.", self.number) from error


@contextmanager
def opened(path: Path) -> Iterator[Bytes]:
    """Open a file to read its bytes, those inside of it if it is a gzip file.

    Raises:
        MissingFileError: there is no such file.
        DataError: it cannot be read, here or anywhere in the ``with`` block.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if packed:
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

    Raises:
        MissingFileError, DataError: see :func:`opened`.
    """
    with opened(path) as file:
        piece = file.read(PIECE).removeprefix(BOM)
        while piece:
            yield piece
            piece = file.read(PIECE)


def lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file; LF and CRLF end a line, and a byte order mark of UTF-8 is dropped.

    Raises:
        MissingFileError, DataError: see :func:`opened`; UTF-16.
    """
    with opened(path) as file:
        for number, raw in enumerate(file, start=1):
            if number == 1:
                if raw.startswith(_UTF16):
                    raise DataError(f"{path} is UTF-16; save it as UTF-8.")
                raw = raw.removeprefix(BOM)
            yield Line(number, raw.removesuffix(b"\n").removesuffix(b"\r"))
