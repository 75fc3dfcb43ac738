"""How many documents a file holds, for a progress bar: counted by a mark that each has once, without parsing any.

In: a path. Out: a number, or None where it cannot be determined. Of a large file the beginning is counted and scaled
up, so that this takes a fraction of a second whatever the size; the number is then an estimate.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO, cast

from featstore.errors import FeatstoreError
from featstore.formats.contract import AS_USUAL
from featstore.formats.folders import visible
from featstore.formats.guess import guess_format
from featstore.formats.source import PIECE, opened
from featstore.formats.table import FORMATS

_MOST = 64 << 20  # bytes counted of a file


def count_documents(path: str | Path, format: str | None = None) -> int | None:  # noqa: A002
    """Return how many documents a file or folder holds, about.

    Args:
        path: as for :func:`featstore.formats.read_documents`.
        format: its name; by default it is guessed.

    Returns:
        None for a pipe, a format that has no mark, and what cannot be read; reading it will say why.
    """
    path = Path(path)
    try:
        if not (path.is_file() or path.is_dir()):
            return None
        entry = FORMATS[format or guess_format(path, FORMATS, AS_USUAL)]
        if not path.is_dir():
            return _count(path, entry.mark) if entry.mark else None
        files = visible(path, entry.folder)
        return sum(_count(file, entry.mark) for file in files) if entry.mark else len(files)
    except (FeatstoreError, KeyError):
        return None


def _count(path: Path, mark: bytes) -> int:
    """Count a mark in a file, unpacked if it is gzipped; one that two pieces share is missed."""
    count = looked = 0
    last = b"\n"
    with opened(path) as file:
        while piece := file.read(PIECE):
            count += piece.count(mark)
            last = piece[-1:]
            looked += len(piece)
            if looked >= _MOST:
                packed = cast(IO[bytes], file.fileobj if isinstance(file, gzip.GzipFile) else file)
                return round(count * path.stat().st_size / packed.tell())
    return count + (mark == b"\n" and last != b"\n")  # the last line may lack its end
