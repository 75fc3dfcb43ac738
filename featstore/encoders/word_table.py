"""Tables of word vectors in GloVe's text format: a word, a blank, D numbers on each line.

In: a text, ``.gz`` or ``.zip`` file. Out: the row of each word, and the rows. Thousands of lines are converted at once,
by Arrow; where they hold anything but a word without blanks and plain numbers, line by line, which also finds what is
wrong. What was converted from a large file is kept (:mod:`featstore.cache`) and only mapped into memory from then on.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from featstore.cache import find_kept, forget, keep
from featstore.encoders.word_index import WordIndex, Words, write_index
from featstore.errors import DataError, MissingFileError, count_of
from featstore.fingerprint import file_sha256

WordVectors = NDArray[np.float32]
ReadTable = tuple[dict[str, int], WordVectors]
BLOCK = 1 << 20  # bytes converted at once; their vectors fit the processor's cache
_LINE_END = b"\r\n "
_WORTH_KEEPING = 4 << 20  # bytes of a file; a smaller one is read in a moment
_VECTORS, _SPREAD = "vectors.npy", "spread.npy"


@dataclass(frozen=True, slots=True, eq=False)
class WordTable:
    """Words and their vectors.

    Attributes:
        words: the row of each word.
        vectors: Shape: (words, D) float32.
        spread: standard deviation of each column. Shape: (D,) float64.
    """

    words: Words
    vectors: WordVectors
    spread: NDArray[np.float64]


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


def load_table(path: Path) -> tuple[WordTable, str]:
    """Return the table of a file, a large one from the cache if it was read before, and its sha256.

    Raises:
        MissingFileError, DataError: see :func:`read_table`.
    """
    _check_is_file(path)
    digest, read = file_sha256(path), partial(read_table, path)
    return (kept_table(digest, read) if path.stat().st_size >= _WORTH_KEEPING else _in_memory(*read())), digest


def kept_table(digest: str, read: Callable[[], ReadTable]) -> WordTable:
    """Return a table from the cache; first it is read and put there, if it is not there or is damaged.

    Args:
        digest: of all that the table depends on.
        read: reads the table.
    """
    name = f"words-2-{digest}"  # another number when the same file is read as something else
    if (folder := find_kept(name)) is not None:
        with suppress(OSError, ValueError, EOFError):
            return _mapped_table(folder)
        forget(name)
    rows, numbers = read()
    table = _in_memory(rows, numbers)

    def write(folder: Path) -> None:
        write_index(folder, list(rows))
        np.save(folder / _SPREAD, table.spread)
        np.save(folder / _VECTORS, np.ascontiguousarray(numbers))  # a vector lies in one place

    with suppress(OSError, ValueError, EOFError):  # a full disk, a read-only home; it is read again next time
        return _mapped_table(keep(name, numbers.nbytes, write))
    return table


def _mapped_table(folder: Path) -> WordTable:
    """Map what :func:`kept_table` has kept; ValueError or EOFError if it is damaged."""
    words = WordIndex(folder)
    numbers = np.load(folder / _VECTORS, mmap_mode="r", allow_pickle=False)
    spread = np.load(folder / _SPREAD, allow_pickle=False)
    fits = numbers.ndim == 2 and len(numbers) == len(words) and spread.shape == numbers.shape[1:]
    if not fits or (numbers.dtype, spread.dtype) != (np.float32, np.float64):
        raise ValueError(f"{folder} holds arrays that do not fit together")
    return WordTable(words, numbers, spread)


def _in_memory(rows: dict[str, int], vectors: WordVectors) -> WordTable:
    return WordTable(rows, vectors, _spread(vectors))


def _spread(vectors: WordVectors) -> NDArray[np.float64]:
    """Return the standard deviation of each column, computed in parts since the table may exceed memory; Shape:
    (D,)."""
    total, squares = np.zeros(vectors.shape[1]), np.zeros(vectors.shape[1])
    for first in range(0, len(vectors), 65536):
        part = vectors[first : first + 65536].astype(np.float64)
        total += part.sum(axis=0)
        squares += (part * part).sum(axis=0)
    variance: NDArray[np.float64] = squares / len(vectors) - (total / len(vectors)) ** 2
    return np.sqrt(np.maximum(variance, 0.0))


def read_table(path: Path) -> ReadTable:
    """Read GloVe's text format: a word, a blank, D numbers; a word2vec header line is taken where there is one.

    A word may contain blanks (as in glove.840B): the last D fields are the numbers. If a word occurs twice, its first
    vector is used.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is not in that format, with the line.
    """
    _check_is_file(path)
    try:
        with _opened(path) as file:
            rows, parts = _parse(path, file)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read to its end ({error}).") from error
    if not rows:
        raise DataError(f"{path} is empty; it should hold a word and its numbers on each line.")
    return rows, np.concatenate(parts)


def _check_is_file(path: Path) -> None:
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; a table of GloVe vectors was expected there.")


def _parse(path: Path, file: IO[bytes]) -> tuple[dict[str, int], list[WordVectors]]:
    first = file.readline()
    if not first:
        return {}, []
    dim, is_header = _first_line(path, first.rstrip(_LINE_END))
    block, number = file.read(BLOCK) if is_header else first + file.read(BLOCK), 2 if is_header else 1
    rows: dict[str, int] = {}
    parts: list[WordVectors] = []
    while block:
        block += file.readline()
        words, vectors = _plain(block, dim) or _each(path, block, number, dim)
        fresh = []
        for i, word in enumerate(words):
            if word not in rows:
                rows[word] = len(rows)
                fresh.append(i)
        parts.append(vectors if len(fresh) == len(words) else vectors[fresh])
        number += len(words)
        block = file.read(BLOCK)
    return rows, parts


def _plain(block: bytes, dim: int) -> tuple[list[str], WordVectors] | None:
    """Convert lines of a word without blanks and ``dim`` plain numbers; return None if there are others among them."""
    # Only here: a table with other lines, and an encoder without words, need no Arrow.
    import pyarrow
    from pyarrow import csv

    # Arrow would take the mark off the first word, and end a line at a carriage return.
    if block.startswith(codecs.BOM_UTF8) or block.count(b"\r") > block.count(b"\r\n"):
        return None
    columns = {"word": pyarrow.string(), **{str(n): pyarrow.float64() for n in range(dim)}}
    try:
        table = csv.read_csv(
            pyarrow.BufferReader(block.replace(b" \r\n", b"\n").replace(b" \n", b"\n")),
            csv.ReadOptions(use_threads=False, column_names=list(columns), block_size=len(block) + 1),
            csv.ParseOptions(delimiter=" ", quote_char=False, double_quote=False, ignore_empty_lines=False),
            csv.ConvertOptions(column_types=columns, null_values=[]),
        )
    except pyarrow.ArrowInvalid:
        return None
    vectors = np.empty((len(table), dim), dtype=np.float32)
    with np.errstate(over="ignore"):
        for n, column in enumerate(table.columns[1:]):
            # Not to_numpy(), which imports pandas. A field without a number was refused above, so none is missing.
            numbers = column.combine_chunks()
            vectors[:, n] = np.frombuffer(numbers.buffers()[1], np.float64, len(numbers), 8 * numbers.offset)
    return (table.column(0).to_pylist(), vectors) if np.isfinite(vectors).all() else None


def _each(path: Path, block: bytes, first: int, dim: int) -> tuple[list[str], WordVectors]:
    """Convert lines one by one; ``first`` is the number of the first one."""
    lines = [raw.rstrip(_LINE_END) for raw in block.removesuffix(b"\n").split(b"\n")]
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
