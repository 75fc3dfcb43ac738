"""Tables of word vectors in GloVe's text format: a word, a blank, D numbers on each line.

In: a text, ``.gz`` or ``.zip`` file. Out: the row of each word, and the rows. Thousands of lines are converted at once;
where they hold anything but a word without blanks and plain numbers, line by line, which also finds what is wrong.
"""

from __future__ import annotations

import gzip
import io
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DataError, MissingFileError, count_of

WordVectors = NDArray[np.float32]
WordTable = tuple[dict[str, int], WordVectors]
LINES_AT_ONCE = 4096
_PLAIN = b"0123456789.+-eE "


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a text, gzip or zip file; a zip must hold one ``.txt``."""
    if path.suffix == ".gz":
        with gzip.open(path) as file:
            yield io.BufferedReader(file)  # which finds lines faster
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            texts = [name for name in archive.namelist() if name.endswith(".txt")]
            if len(texts) != 1:
                raise DataError(
                    f"{path} must hold one .txt, it holds {texts or 'none'}; unpack it and name the one you want."
                )
            with archive.open(texts[0]) as file:
                yield file
    else:
        with path.open("rb") as file:
            yield file


def read_table(path: Path) -> WordTable:
    """Read GloVe's text format: a word, a blank, D numbers; a word2vec header line is taken where there is one.

    A word may contain blanks (as in glove.840B): the last D fields are the numbers. If a word occurs twice, its first
    vector is used.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is not in that format, with the line.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; a table of GloVe vectors was expected there.")
    try:
        with _opened(path) as file:
            rows, parts = _parse(path, file)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read to its end ({error}).") from error
    if not rows:
        raise DataError(f"{path} is empty; it should hold a word and its numbers on each line.")
    return rows, np.concatenate(parts)


def _parse(path: Path, file: IO[bytes]) -> tuple[dict[str, int], list[WordVectors]]:
    lines = (raw.rstrip(b"\r\n ") for raw in file)
    first = next(lines, None)
    if first is None:
        return {}, []
    dim, is_header = _first_line(path, first)
    block, number = [] if is_header else [first], 2 if is_header else 1
    block += islice(lines, LINES_AT_ONCE - len(block))
    rows: dict[str, int] = {}
    parts: list[WordVectors] = []
    while block:
        words, vectors = _plain(block, dim) or _each(path, block, number, dim)
        fresh = []
        for i, word in enumerate(words):
            if word not in rows:
                rows[word] = len(rows)
                fresh.append(i)
        parts.append(vectors if len(fresh) == len(words) else vectors[fresh])
        number += len(block)
        block = list(islice(lines, LINES_AT_ONCE))
    return rows, parts


def _plain(lines: Sequence[bytes], dim: int) -> tuple[list[str], WordVectors] | None:
    """Convert lines of a word without blanks and ``dim`` plain numbers; return None if there are others among them."""
    split = [line.partition(b" ") for line in lines]
    numbers = b" ".join([rest for _, _, rest in split])
    if any(line.count(b" ") != dim for line in lines) or b"  " in numbers or numbers.translate(None, _PLAIN):
        return None
    try:
        words = [word.decode("utf-8") for word, _, _ in split]
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # of a number that has no end
            values = np.fromstring(numbers, dtype=np.float64, sep=" ")
    except (ValueError, DeprecationWarning):
        return None
    with np.errstate(over="ignore"):
        vectors = values.astype(np.float32)
    if len(values) != dim * len(lines) or not np.isfinite(vectors).all():
        return None
    return words, vectors.reshape(len(lines), dim)


def _each(path: Path, lines: Sequence[bytes], first: int, dim: int) -> tuple[list[str], WordVectors]:
    """Convert lines one by one; ``first`` is the number of the first one."""
    words, vectors = [], np.empty((len(lines), dim), dtype=np.float32)
    for row, line in enumerate(lines):
        number = first + row
        word, *fields = line.rsplit(b" ", dim)
        if len(fields) != dim:
            raise DataError(f"{path}:{number}: {count_of(len(fields), 'number')}, but the first line has {dim}.")
        try:
            name = word.decode("utf-8")
            with np.errstate(over="ignore"):
                vectors[row] = list(map(float, fields))
        except ValueError as error:  # a UnicodeDecodeError is one
            raise DataError(
                f"{path}:{number}: a word in UTF-8 and {count_of(dim, 'number')} were expected ({error})."
            ) from error
        if not np.isfinite(vectors[row]).all():
            raise DataError(f"{path}:{number}: the vector of {name!r} holds NaN or infinity.")
        words.append(name)
    return words, vectors


def _first_line(path: Path, line: bytes) -> tuple[int, bool]:
    """Return D, and whether the line is word2vec's header (how many words, D)."""
    fields = line.split(b" ")
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return int(fields[1]), True
    if len(fields) < 2:
        raise DataError(f"{path}:1: a word and its numbers, separated by blanks, were expected; got {line[:40]!r}.")
    return len(fields) - 1, False
