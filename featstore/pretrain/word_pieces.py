"""Text to rows of word pieces, written once and read in any order.

In: lines and the tokenizer of a checkpoint. Out: a file with the pieces of all lines end to end, a separator after each
line, and for each piece whether a word begins with it. A training reads rows of equal length from it, in another order
in each pass. Nothing is padded and nothing is left out: a row begins where the one before ended, and the last one is
filled up from the beginning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DataError
from featstore.files import open_output, write_file

PieceNumbers = NDArray[np.int64]
_LINES = 1000  # lines that the tokenizer is given at a time
_TYPE = np.dtype("<u4")  # twice the number of a piece, and 1 more where a word begins


@dataclass(frozen=True, slots=True, eq=False)
class PieceRows:
    """Word pieces in rows of equal length.

    Attributes:
        stream: pieces of the text end to end, as the file holds them; Shape: (n,).
        before, after: the special pieces that begin and end a row.
        length: number of pieces of a row, with the special ones.
    """

    stream: NDArray[np.uint32]
    before: tuple[int, ...]
    after: tuple[int, ...]
    length: int

    @property
    def room(self) -> int:
        """Number of pieces of text in a row."""
        return self.length - len(self.before) - len(self.after)

    def __len__(self) -> int:
        return -(-len(self.stream) // self.room)

    def take(self, numbers: PieceNumbers) -> tuple[PieceNumbers, PieceNumbers]:
        """Return rows, and for each piece the number of the word it belongs to, from 0 within the row.

        Special pieces and separators belong to no word (-1). What a row's beginning leaves of a word counts as a word.

        Shape: both (len(numbers), length).
        """
        places = (numbers[:, None] * self.room + np.arange(self.room)) % len(self.stream)
        text = self.stream[places].astype(np.int64)
        begins = text & 1
        begins[:, 0] = 1
        rows = np.empty((len(numbers), self.length), np.int64)
        words = np.full_like(rows, -1)
        inside = slice(len(self.before), self.length - len(self.after))
        rows[:, : inside.start], rows[:, inside.stop :] = self.before, self.after
        rows[:, inside], words[:, inside] = text >> 1, begins.cumsum(1) - 1
        words[np.isin(rows, (*self.before, *self.after))] = -1
        return rows, words


def piece_stream(lines: Iterable[str], tokenizer: Any, separator: int) -> Iterator[NDArray[np.uint32]]:
    """Yield the pieces of lines, a block after the other, as :class:`PieceRows` reads them.

    Args:
        tokenizer: a tokenizer of the package ``tokenizers``, without padding and truncation.
        separator: the piece that stands after each line, as a word of its own.
    """
    rest = iter(lines)
    while block := list(islice(rest, _LINES)):
        pieces: list[int] = []
        for encoding in tokenizer.encode_batch(block, add_special_tokens=False):
            last = None
            for piece, word in zip(encoding.ids, encoding.word_ids, strict=True):
                pieces.append(2 * piece + (word != last))
                last = word
            pieces.append(2 * separator + 1)
        yield np.array(pieces, _TYPE)


def write_pieces(path: Path, facts: dict[str, object], lines: Iterable[str], tokenizer: Any, separator: int) -> None:
    """Write the pieces of all lines to ``path``, unless it holds them already, with ``facts`` beside them.

    Args:
        facts: JSON data that tell one text and tokenizer from another.

    Raises:
        DataError: the text is damaged.
        ResourceError: the disk is full.
    """
    beside = path.with_suffix(".json")
    if path.exists() and beside.exists() and json.loads(beside.read_text(encoding="utf-8")) == facts:
        return
    beside.unlink(missing_ok=True)
    with open_output(path) as file:
        for block in piece_stream(lines, tokenizer, separator):
            file.write(block.tobytes())
    write_file(beside, json.dumps(facts).encode("utf-8"))


def read_pieces(path: Path) -> NDArray[np.uint32]:
    """Return the stream that :func:`write_pieces` wrote, mapped into memory. Shape: (n,).

    Raises:
        DataError: it is empty.
    """
    if not path.stat().st_size:
        raise DataError(f"{path} holds no word pieces; give text that the checkpoint's tokenizer can read.")
    return np.memmap(path, _TYPE, mode="r")
