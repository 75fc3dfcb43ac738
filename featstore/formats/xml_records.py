"""XML that is longer than memory, one record at a time.

In: the bytes of an XML file, and which elements are records. Out: those elements, whole, one after the other; what
stands around them is passed over. Read with expat. A file cannot reach outside of itself: no DTD is loaded, and one
that declares entities (which can name other files, or grow without bound) is refused. Named characters that HTML knows
(``&alpha;``) are understood, as the DTDs of journals declare them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from html.entities import html5
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError, ParserCreate

from featstore.errors import DataError
from featstore.formats.content import Flaw
from featstore.formats.source import pieces

LONGEST_RECORD = 50_000_000  # characters, and one for each element
DEEPEST = 200  # elements in one another

_BLANKS = re.compile(r"[ \t\r\n]+")


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        line: the line that it begins in.
        element: the element with all that is in it; without it if there is a flaw.
        why: what is wrong with it; empty if nothing is.
    """

    line: int
    element: Element
    why: str

    def check(self) -> None:
        """Do nothing if nothing is wrong.

        Raises:
            Flaw: something is.
        """
        if self.why:
            raise Flaw(self.why)


def xml_records(path: Path, what: str, roots: Collection[str], tags: Collection[str]) -> Iterator[Record]:
    """Yield the records of a file.

    Args:
        path: the file.
        what: the name of the format, for errors.
        roots: the names that the outermost element may have.
        tags: the elements that are records, wherever they stand; in another record they are part of that one.

    Raises:
        MissingFileError, DataError: see :func:`~featstore.formats.source.opened`; no XML, or another outermost element.
    """
    walk = _Walk(path, what, roots, tags)
    for piece in _and_the_end(pieces(path)):
        broken: Exception | None = None
        try:
            walk.parser.Parse(piece, not piece)
        except (ExpatError, LookupError, ValueError) as error:
            broken = error
        yield from walk.done
        walk.done.clear()
        if isinstance(broken, DataError):
            raise broken
        if broken is not None:
            raise DataError(f"{path} is not well-formed XML: {broken}.") from broken


def text_of(element: Element | None, instead: Callable[[Element], str | None] = lambda _: None) -> str:
    """Return the text in an element on one line, with each run of blanks as one; of no element an empty text.

    Args:
        element: whose text.
        instead: what stands in place of an element inside of it; None: that element's own text.
    """
    return "" if element is None else _BLANKS.sub(" ", "".join(_texts(element, instead))).strip(" ")


class _Walk:
    """The state of a parser: the records that are complete, and the one that is being read."""

    def __init__(self, path: Path, what: str, roots: Collection[str], tags: Collection[str]) -> None:
        self.done: list[Record] = []
        self._path, self._what, self._roots, self._tags = path, what, roots, tags
        self._depth = 0  # in all
        self._inside = 0  # in the record
        self._tree: TreeBuilder | None = None
        self._line, self._why, self._size = 0, "", 0
        self.parser = ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data
        self.parser.EntityDeclHandler = self._declaration
        self.parser.SkippedEntityHandler = self._skipped

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._depth == 0 and tag not in self._roots:
            wanted = " or ".join(f"<{root}>" for root in self._roots)
            raise DataError(f"{self._path}: not {self._what}; the outermost element is <{tag}>, {wanted} is wanted.")
        self._depth += 1
        if self._inside or tag in self._tags:
            if not self._inside:
                self._line, self._why, self._size = self.parser.CurrentLineNumber, "", 0
                self._tree = TreeBuilder()
            self._inside += 1
            self._grow(len(tag))
            if self._tree is not None:
                self._tree.start(tag, attributes)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if not self._inside:
            return
        self._inside -= 1
        if self._tree is not None:
            self._tree.end(tag)
        if not self._inside:
            element = Element(tag) if self._tree is None else self._tree.close()
            self.done.append(Record(self._line, element, self._why))
            self._tree = None

    def _data(self, text: str) -> None:
        if self._inside:
            self._grow(len(text))
            if self._tree is not None:
                self._tree.data(text)

    def _grow(self, size: int) -> None:
        """Let go of a record that is too long or too deep; what is left of it is passed over."""
        self._size += 1 + size
        if self._size > LONGEST_RECORD:
            self._why = f"it has more than {LONGEST_RECORD:,} characters, the most that is read; split it."
        if self._inside > DEEPEST:
            self._why = f"it has more than {DEEPEST} elements in one another, which no article needs."
        if self._size > LONGEST_RECORD or self._inside > DEEPEST:
            self._tree = None

    def _declaration(self, name: str, *_: object) -> None:
        raise DataError(
            f"{self._path} declares an entity ('{name}'), which is not allowed here; write its characters instead."
        )

    def _skipped(self, name: str, parameter: bool) -> None:
        if parameter:
            return
        if known := html5.get(f"{name};"):
            self._data(known)
        else:
            self._why = self._why or f"the entity &{name}; is not known; write its characters instead."


def _texts(element: Element, instead: Callable[[Element], str | None]) -> Iterator[str]:
    """Yield the pieces of text in an element, in their order."""
    yield element.text or ""
    for child in element:
        replaced = instead(child)
        yield from _texts(child, instead) if replaced is None else (replaced,)
        yield child.tail or ""


def _and_the_end(parts: Iterator[bytes]) -> Iterator[bytes]:
    yield from parts
    yield b""
