"""The words of SPINN: fixed vectors from files, and a few words whose vectors are learned.

In: files in GloVe's text format and the trees of the training part. Out: a :class:`Vocabulary` that gives each word a
number. The vectors of several files stand side by side, each scaled to a standard deviation of 1, with zeros where a
file lacks the word. They are kept in half precision, so that a model that was saved reads the same numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.systems.spinn.sources import HEAD, OTHER, TAIL
from classifier.systems.spinn.trees import Tree
from featstore.bundled import bundled
from featstore.corpora.lines import line_error, read_lines
from featstore.errors import DataError, UsageError, count_of

UNKNOWN = "<unknown>"
BUNDLED = "bioglove"
_OFTEN = 4  # a word without a vector gets a learned one if the training part has it this often
_SPECIAL = (UNKNOWN, HEAD, TAIL, OTHER)

_Vectors = NDArray[np.float16]


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """Numbers for words: first those with a fixed vector, then those with a learned one.

    Attributes:
        fixed: words with a fixed vector, rising.
        vectors: their vectors. Shape: (fixed, width).
        learned: words with a learned vector; the first one stands for all unknown words.
        numbers: the number of each word.
    """

    fixed: tuple[str, ...]
    vectors: _Vectors
    learned: tuple[str, ...]
    numbers: Mapping[str, int]

    @classmethod
    def of(cls, fixed: Sequence[str], vectors: _Vectors, learned: Sequence[str]) -> Vocabulary:
        """Return the vocabulary of these words."""
        numbers = {word: number for number, word in enumerate([*fixed, *learned])}
        return cls(tuple(fixed), vectors, tuple(learned), numbers)

    def encode(self, words: Iterable[str]) -> NDArray[np.int64]:
        """Return the numbers of words."""
        unknown = self.numbers[UNKNOWN]
        return np.array([self.numbers.get(word, unknown) for word in words], np.int64)


def vector_files(text: str) -> tuple[Path, ...]:
    """Return the files that ``--word-vectors`` names.

    Raises:
        UsageError: a name is empty.
    """
    names = text.split("+")
    if not all(names):
        raise UsageError(f"--word-vectors is '{text}'; write the names of files joined by '+', or '{BUNDLED}'.")
    return tuple(bundled(BUNDLED) / "glove.txt.gz" if name == BUNDLED else Path(name) for name in names)


def build_vocabulary(paths: Sequence[Path], trees: Sequence[Tree]) -> Vocabulary:
    """Return the words of vector files, and those words of the training trees that need a learned vector.

    Raises:
        MissingFileError, DataError: a file is missing, or is not in GloVe's text format.
    """
    tables = [_read_vectors(path) for path in paths]
    fixed = sorted({word for words, _ in tables for word in words} - set(_SPECIAL))
    rows = {word: row for row, word in enumerate(fixed)}
    vectors = np.zeros((len(fixed), sum(values.shape[1] for _, values in tables)), np.float16)
    first = 0
    for words, values in tables:
        kept = [number for number, word in enumerate(words) if word in rows]
        columns = slice(first, first + values.shape[1])
        vectors[[rows[words[number]] for number in kept], columns] = values[kept] / (values.std() or 1.0)
        first = columns.stop
    counts = Counter(word for tree in trees for word in tree.words)
    often = sorted(word for word, n in counts.items() if n >= _OFTEN and word not in rows and word not in _SPECIAL)
    return Vocabulary.of(fixed, vectors, [*_SPECIAL, *often])


def _read_vectors(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Read a file in GloVe's text format: a word and its numbers in each line; the first line of a word counts."""
    found: dict[str, NDArray[np.float32]] = {}
    width = 0
    for number, line in enumerate(read_lines(path), start=1):
        word, *numbers = line.rstrip().split(" ")
        try:
            values = np.array(numbers, np.float32)
        except ValueError as error:
            raise line_error(path, number, f"{error}; a word and its numbers are wanted.") from error
        width = width or len(values)
        if not width or len(values) != width or not np.isfinite(values).all():
            raise line_error(
                path, number, f"{count_of(len(values), 'number')}; {width or 'one or more'} finite ones are wanted."
            )
        found.setdefault(word, values)
    if not found:
        raise DataError(f"{path} holds no word vectors.")
    return list(found), np.stack(list(found.values()))
