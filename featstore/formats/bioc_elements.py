"""The documents of a BioC XML file as elements, one after the other.

In: the bytes of a file. Out: ``document`` elements, each with its line, and what the collection says of itself.

Read with expat, a document at a time: the reader of the ``bioc`` package keeps every element that it has seen, and one
bad document ends it. A file cannot reach outside of itself: no DTD is loaded, and one that declares entities (which
can name other files, or grow without bound) is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError, ParserCreate

from featstore.errors import DataError
from featstore.formats.source import pieces

_ABOUT = ("source", "date", "key", "version")  # elements of a collection that say something of it
LINE = "\0line"  # the attribute that an annotation's line is kept in; no XML has one of this name

# First line, element, what is wrong with it, what its collection says of itself.
FoundElement = tuple[int, Element, str, dict[str, Any]]


def infons_in(element: Element) -> dict[str, str | list[str]]:
    """Return infons as JSON can have them: one that is given several times is a list."""
    found: dict[str, str | list[str]] = {}
    for infon in element.findall("infon"):
        add_infon(found, infon)
    return found


def add_infon(found: dict[str, str | list[str]], infon: Element) -> None:
    """Add the infon of an element to those that were found."""
    key, text = infon.get("key", ""), infon.text or ""
    before = found.get(key)
    found[key] = text if before is None else [*([before] if isinstance(before, str) else before), text]


class _Collection:
    """The state of a parser: the documents that are complete, and what is being read of the collection."""

    def __init__(self, path: Path) -> None:
        self.done: list[tuple[int, Element, str]] = []  # first line, element, what is wrong with it
        self.about: dict[str, Any] = {}  # what the collection says of itself
        self._path = path
        self._depth = 0
        self._tree: TreeBuilder | None = None
        self._line = 0
        self._flaw = ""
        self.parser = ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data
        self.parser.EntityDeclHandler = self._declaration
        self.parser.SkippedEntityHandler = self._skipped

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._depth == 0 and tag != "collection":
            raise DataError(f"{self._path}: not BioC XML; the outermost element is <{tag}>, <collection> is wanted.")
        if self._depth == 1:
            self._tree, self._line, self._flaw = TreeBuilder(), self.parser.CurrentLineNumber, ""
        if self._tree is not None:
            lined = {LINE: str(self.parser.CurrentLineNumber)} if tag == "annotation" else {}
            self._tree.start(tag, attributes | lined)
        self._depth += 1

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if self._tree is not None:
            self._tree.end(tag)
            if self._depth == 1:
                self._add(self._tree.close())
                self._tree = None

    def _add(self, child: Element) -> None:
        """Take a child of the collection that is complete."""
        if child.tag == "document":
            self.done.append((self._line, child, self._flaw))
        elif child.tag == "infon":
            add_infon(self.about.setdefault("infons", {}), child)
        elif child.tag in _ABOUT:
            self.about[child.tag] = child.text or ""
        else:
            allowed = ", ".join(f"<{name}>" for name in ("document", "infon", *_ABOUT))
            raise DataError(
                f"{self._path}, line {self._line}: there is an element <{child.tag}> in <collection>, which BioC has "
                f"not; {allowed} are allowed."
            )

    def _data(self, text: str) -> None:
        if self._tree is not None:
            self._tree.data(text)

    def _declaration(self, name: str, *_: object) -> None:
        raise DataError(
            f"{self._path} declares an entity ('{name}'), which is not allowed here; write its characters instead."
        )

    def _skipped(self, name: str, parameter: bool) -> None:
        if not parameter:
            self._flaw = f"the entity &{name}; is not known; write its characters instead."


def elements_of(path: Path) -> Iterator[FoundElement]:
    """Yield the ``document`` elements of a file.

    With each come the line that it begins in, what is wrong with it (or nothing), and what the collection says of
    itself. An annotation has its line as the attribute ``LINE``.

    Raises:
        MissingFileError, DataError: the file cannot be read, is not well-formed, declares entities, or is not BioC.
    """
    collection = _Collection(path)
    for piece in _and_the_end(pieces(path)):
        broken: Exception | None = None
        try:
            collection.parser.Parse(piece, not piece)
        except (ExpatError, LookupError, ValueError) as error:
            broken = error
        yield from ((line, element, flaw, collection.about) for line, element, flaw in collection.done)
        collection.done.clear()
        if isinstance(broken, DataError):
            raise broken
        if broken is not None:
            raise DataError(f"{path} is not well-formed XML: {broken}.") from broken


def _and_the_end(parts: Iterator[bytes]) -> Iterator[bytes]:
    yield from parts
    yield b""
