"""JSON that is longer than memory, walked from the outside in.

In: the bytes of a JSON text (or of several, one after the other) in pieces. Out: the members of an object and the
items of a list one after the other, each of them loaded whole when it is asked for, and no more of the text than that.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from featstore.errors import DataError
from featstore.formats.members import repeated

_BLANK = " \t\n\r"
_NEAR = 12  # characters; longer than any escape or literal that the end of what is loaded can cut


class JsonPieces:
    """A place in a JSON text, moved on by what is read.

    The walk is the caller's: inside of ``items()`` and ``names()`` it must take exactly one value a turn.

    Attributes:
        line: the line of the next value, counted from 1.
        why: what is wrong with the last value, although it is JSON: a member that is given twice; empty if nothing is.
    """

    def __init__(self, path: Path, pieces: Iterator[bytes]) -> None:
        self.line = 1
        self.why = ""
        self._decoder = json.JSONDecoder(object_pairs_hook=self._members)
        self._path = path
        self._pieces = pieces
        self._decode = codecs.getincrementaldecoder("utf-8")()
        self._loaded = ""
        self._at = 0

    def peek(self) -> str:
        """Return the next character that is no blank, without moving past it; empty at the end."""
        while True:
            while self._at < len(self._loaded):
                character = self._loaded[self._at]
                if character not in _BLANK:
                    return character
                self.line += character == "\n"
                self._at += 1
            if not self._load():
                return ""

    def items(self) -> Iterator[None]:
        """Yield before each item of the list that comes next."""
        self._take("[")
        if self.peek() != "]":
            yield
            while self.peek() == ",":
                self._take(",")
                yield
        self._take("]")

    def names(self) -> Iterator[str]:
        """Yield the name of each member of the object that comes next, before its value."""
        self._take("{")
        if self.peek() != "}":
            yield self._name()
            while self.peek() == ",":
                self._take(",")
                yield self._name()
        self._take("}")

    def value(self) -> Any:
        """Return the next value.

        Raises:
            DataError: it is no JSON, or the text ends in it.
        """
        self.peek()
        while True:
            self.why = ""
            try:
                value, end = self._decoder.raw_decode(self._loaded, self._at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos >= len(self._loaded) - _NEAR
                if cut and self._load():
                    continue
                line = self.line + self._loaded.count("\n", self._at, error.pos)
                raise DataError(f"{self._path}, line {line}: not JSON: {error.msg}.") from error
            except (ValueError, RecursionError) as error:
                raise DataError(f"{self._path}, line {self.line}: not JSON that can be read: {error}.") from error
            # A number that ends near the end of the loaded text may go on: 1, 1.5, 1.5e-3.
            if self._loaded[end - 1] in '"}]' or end < len(self._loaded) - _NEAR or not self._load():
                self.line += self._loaded.count("\n", self._at, end)
                self._at = end
                return value

    def _members(self, members: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(members)
        if len(found) < len(members):
            self.why = repeated(members)
        return found

    def _name(self) -> str:
        name = self.value() if self.peek() == '"' else None
        if not isinstance(name, str):
            raise self._unexpected('"')
        self._take(":")
        return name

    def _take(self, wanted: str) -> None:
        if self.peek() != wanted:
            raise self._unexpected(wanted)
        self._at += 1

    def _unexpected(self, wanted: str) -> DataError:
        found = f"'{self.peek()}'" if self.peek() else "the end of the file"
        return DataError(f"{self._path}, line {self.line}: not JSON: {found} where '{wanted}' is wanted.")

    def _load(self) -> bool:
        """Load as much again as is there, so that a long value is tried few times; return whether there was more."""
        rest = self._loaded[self._at :]
        more = [rest]
        wanted = max(len(rest), 1)
        try:
            while wanted > 0 and (piece := next(self._pieces, b"")):
                more.append(self._decode.decode(piece))
                wanted -= len(more[-1])
            if wanted > 0:
                self._decode.decode(b"", final=True)
        except UnicodeDecodeError as error:
            line = self.line + sum(text.count("\n") for text in more)
            raise DataError(f"{self._path}, near line {line}: not UTF-8 ({error.reason}).") from error
        loaded = "".join(more)
        if len(loaded) == len(rest):
            return False
        self._loaded, self._at = loaded, 0
        return True
