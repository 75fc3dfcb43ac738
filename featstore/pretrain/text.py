"""Text for pre-training: files of any size in, tokenised lines out, starting at any position.

In: plain or gzip files of UTF-8 text, one sentence, paragraph or abstract a line. Out: an endless stream of lines with
its position, so that a killed training goes on with the next line. The files are read side by side, each at a pace in
proportion to its size. Any part of the stream is therefore a fair sample of all files, and no file is held in memory.
Held-out lines are chosen by their hash, so a line that occurs in two files is on the same side in both.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from featstore.errors import DataError, MissingFileError
from featstore.pretrain.schedule import PositionFacts

# One line in HELD_OUT is held out if no held-out files are named.
HELD_OUT = 100
# English text shrinks to about a third; the pace of a gzip file is set as if it were unpacked.
_GZIP_RATIO = 3

_FINE = re.compile(r"[^\W_]+(?:[.,]\d+)*|[^\w\s\u200b\u2060\ufeff\u00ad]|_")
_BOUNDARY = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\[\"'])")
_COARSE = re.compile(r"\w+(?:[-/.,'’]\w+)*|[^\w\s\u200b\u2060\ufeff\u00ad]")


def tokenise(line: str) -> list[str]:
    """Split a line into tokens; every second line (by its hash) finely, the others coarsely.

    Fine is how our corpora are split: every punctuation mark outside numbers is a token (``IL - 2``, ``0.05``). Coarse
    keeps hyphens, slashes, stops and commas within a word (``IL-2``). A model that has seen both works with either
    tokeniser.
    """
    return (_FINE if zlib.crc32(line.encode("utf-8")) & 1 else _COARSE).findall(line)


def sentences(line: str) -> list[list[str]]:
    """Split a line into sentences, each a list of tokens.

    A boundary is a stop, question or exclamation mark, a blank, and what can begin a sentence. It does no harm here if
    two sentences stay together or one is split. Encoders are later given single sentences.
    """
    return [tokens for sentence in _BOUNDARY.split(line) if (tokens := tokenise(sentence))]


def is_held_out(line: str) -> bool:
    """Whether a line belongs to the held-out part: one in ``HELD_OUT``, by hash."""
    return zlib.crc32(line.encode("utf-8"), 1) % HELD_OUT == 0


@dataclass(slots=True)
class Position:
    """The position of a stream of lines.

    Attributes:
        epoch: number of complete passes over the files.
        lines: number of lines read from each file in this pass.
        chars: number of characters read from each file in this pass.
    """

    epoch: int = 0
    lines: list[int] = field(default_factory=list)
    chars: list[int] = field(default_factory=list)

    def facts(self) -> PositionFacts:
        """Return the position as JSON data."""
        return {"epoch": self.epoch, "lines": list(self.lines), "chars": list(self.chars)}

    def copy(self) -> Position:
        """Return a position that no longer moves with this one."""
        return Position(self.epoch, list(self.lines), list(self.chars))


def _open(path: Path) -> io.BufferedIOBase:
    try:
        return gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist; name files of plain or gzip text.") from error


def read_lines(path: Path, skip: int = 0) -> Iterator[str]:
    """Yield the lines of a file from line ``skip`` on (counted from 0), stripped; blank ones as empty strings.

    Raises:
        MissingFileError: there is no such file.
        DataError: the bytes are not UTF-8 text, or the gzip file is damaged; the message names the line.
    """
    number = 0
    with _open(path) as file:
        try:
            for number, raw in enumerate(file, 1):
                if number <= skip:
                    continue
                if b"\0" in raw:
                    raise DataError(f"{path}, line {number}: a zero byte; this is a binary file, not UTF-8 text.")
                yield raw.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}, line {number}: not UTF-8 ({error.reason}); convert the file first.") from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"{path}, after line {number}: damaged gzip data ({error}).") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist; name files of plain or gzip text.") from error


def one_pass(paths: Sequence[Path], position: Position) -> Iterator[str]:
    """Yield the non-blank lines of all files once, side by side, advancing ``position`` in place.

    The next line comes from the file of which the smallest share has been read.
    """
    if not position.lines:
        position.lines, position.chars = [0] * len(paths), [0] * len(paths)
    weights = [max(1, _size(path) * (_GZIP_RATIO if path.suffix == ".gz" else 1)) for path in paths]
    readers = {i: read_lines(path, position.lines[i]) for i, path in enumerate(paths)}
    while readers:
        i = min(readers, key=lambda j: (position.chars[j] / weights[j], j))
        line = next(readers[i], None)
        if line is None:
            del readers[i]
            continue
        position.lines[i] += 1
        position.chars[i] += len(line) + 1
        if line:
            yield line


def training_lines(paths: Sequence[Path], position: Position, hold_out: bool) -> Iterator[str]:
    """Yield training lines without end, pass after pass, advancing ``position`` in place.

    Args:
        hold_out: leave out the lines that :func:`held_out_lines` takes from the same files.

    Raises:
        DataError: a whole pass yields no line.
    """
    while True:
        count, whole = 0, not position.lines  # a pass that was resumed may have no lines left
        for line in one_pass(paths, position):
            if not (hold_out and is_held_out(line)):
                count += 1
                yield line
        if whole and count == 0:
            raise _no_text(paths)
        position.epoch += 1
        position.lines, position.chars = [], []


def _no_text(paths: Sequence[Path]) -> DataError:
    return DataError(f"{', '.join(map(str, paths))}: no text in it; pre-training needs lines of text.")


@dataclass(frozen=True, slots=True)
class TextSource:
    """The text of a training.

    Attributes:
        text: files to learn from.
        valid: files of held-out text; where none are named, one line in ``HELD_OUT`` of ``text`` is held out.
        held_out_chars: approximate number of held-out characters on which the loss is measured.
    """

    text: tuple[Path, ...]
    valid: tuple[Path, ...] = ()
    held_out_chars: int = 150_000

    def lines(self, position: Position) -> Iterator[str]:
        """Yield training lines without end from ``position`` on; see :func:`training_lines`."""
        return training_lines(self.text, position, hold_out=not self.valid)

    def one_pass(self) -> Iterator[str]:
        """Yield the training lines of one pass.

        Raises:
            DataError: there are none.
        """
        empty = True
        for line in one_pass(self.text, Position()):
            if self.valid or not is_held_out(line):
                empty = False
                yield line
        if empty:
            raise _no_text(self.text)

    def held_out(self) -> list[str]:
        """Return the held-out lines; see :func:`held_out_lines`."""
        return held_out_lines(self.text, self.valid, self.held_out_chars)

    def facts(self) -> dict[str, list[list[str | int]]]:
        """Return names and sizes of the files, for checkpoints and model cards."""
        return {
            "text": [[path.name, _size(path)] for path in self.text],
            "valid": [[path.name, _size(path)] for path in self.valid],
        }


def held_out_lines(paths: Sequence[Path], valid: Sequence[Path], limit: int) -> list[str]:
    """Return held-out lines, about ``limit`` characters of them.

    They come from the files ``valid``, or, if none are named, from the lines of ``paths`` that training leaves out.

    Raises:
        DataError: there are none.
    """
    source: Iterable[str] = one_pass(valid or paths, Position())
    kept: list[str] = []
    total = 0
    for line in source:
        if valid or is_held_out(line):
            kept.append(line)
            total += len(line)
            if total >= limit:
                break
    if not kept:
        raise DataError(
            f"{', '.join(map(str, valid or paths))}: no held-out text in it; give more text (one line in {HELD_OUT} "
            "is held out) or name files of held-out text."
        )
    return kept
