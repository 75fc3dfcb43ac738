"""BioC XML.

In: a collection, as the BioC DTD has it. Out: documents; and a collection with relations added. What a document is, is
in :mod:`featstore.formats.bioc`.

Read with expat, a document at a time: the reader of the ``bioc`` package keeps every element that it has seen, and one
bad document ends it. A file cannot reach outside of itself: no DTD is loaded, and one that declares entities (which
can name other files, or grow without bound) is refused.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError, ParserCreate
from xml.sax.saxutils import escape, quoteattr

from featstore.errors import DataError
from featstore.formats.bioc import Annotation, Json, document_of, infons_of, members, model_infons, with_relations
from featstore.formats.content import Flaw, number
from featstore.formats.contract import BadDocument, ModelFacts, Nothing
from featstore.formats.draft import place_of
from featstore.formats.source import pieces
from featstore.records import Document, Relation

separator = ""

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE = "\0line"  # the attribute that an annotation's line is kept in; no XML has one of this name
_ONCE = ("id", "offset", "text")
# element -> what may stand in it
_CHILDREN = {
    "document": {"id", "infon", "passage", "annotation", "relation"},
    "passage": {"infon", "offset", "text", "sentence", "annotation", "relation"},
    "sentence": {"infon", "offset", "text", "annotation", "relation"},
    "annotation": {"infon", "location", "text"},
    "relation": {"infon", "node"},
}


def read(path: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of a file."""
    for line, element, flaw in _elements(path):
        id_ = element.findtext("id") or ""
        try:
            if flaw:
                raise Flaw(flaw)
            yield document_of(_document(element), path, line)
        except Flaw as found:
            yield BadDocument(id_, place_of(path, line), found.why)


def header(model: ModelFacts) -> str:
    """Return the beginning of a collection."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<collection><source>featstore</source><date></date><key></key>" + _infons(model_infons(model)) + "\n"
    )


def document(
    document: Document,
    relations: Sequence[Relation],
    model: ModelFacts,
    nothing: Nothing | None = None,  # noqa: ARG001
) -> str:
    """Return the document with the relations added to those that it has.

    Raises:
        DataError: it holds a character that XML cannot.
    """
    given = with_relations(document, relations, model)
    text = _element("document", {}, [_leaf("id", str(given["id"])), _infons(infons_of(given)), *_parts(given)])
    if outlaw := _NO_XML.search(text):
        raise DataError(
            f"document {document.id} holds the character U+{ord(outlaw[0]):04X}, which XML cannot; "
            "write jsonl or bioc-json."
        )
    return text + "\n"


def footer() -> str:
    """Return the end of the collection."""
    return "</collection>\n"


class _Collection:
    """The state of a parser: the documents that are complete, and the one that is being read."""

    def __init__(self, path: Path) -> None:
        self.done: list[tuple[int, Element, str]] = []  # first line, element, what is wrong with it
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
        if self._depth == 1 and tag == "document":
            self._tree, self._line, self._flaw = TreeBuilder(), self.parser.CurrentLineNumber, ""
        if self._tree is not None:
            lined = {_LINE: str(self.parser.CurrentLineNumber)} if tag == "annotation" else {}
            self._tree.start(tag, attributes | lined)
        self._depth += 1

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if self._tree is not None:
            self._tree.end(tag)
            if self._depth == 1:
                self.done.append((self._line, self._tree.close(), self._flaw))
                self._tree = None

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


def _elements(path: Path) -> Iterator[tuple[int, Element, str]]:
    """Yield the ``document`` elements of a file: first line, element, what is wrong with it or nothing."""
    collection = _Collection(path)
    for piece in _and_the_end(pieces(path)):
        broken: Exception | None = None
        try:
            collection.parser.Parse(piece, not piece)
        except (ExpatError, LookupError, ValueError) as error:
            broken = error
        yield from collection.done
        collection.done.clear()
        if isinstance(broken, DataError):
            raise broken
        if broken is not None:
            raise DataError(f"{path} is not well-formed XML: {broken}.") from broken


def _and_the_end(parts: Iterator[bytes]) -> Iterator[bytes]:
    yield from parts
    yield b""


def _document(element: Element) -> dict[str, Any]:
    """Return a ``document`` element as BioC JSON has it."""
    for part in element.iter():
        allowed = _CHILDREN.get(part.tag, set())
        tags = Counter(child.tag for child in part)
        for tag, times in tags.items():
            if tag not in allowed:
                raise Flaw(f"there is an element <{tag}> in <{part.tag}>, which BioC has not.")
            if times > 1 and tag in _ONCE:
                raise Flaw(f"there are {times} elements <{tag}> in a <{part.tag}>; one is wanted.")
    return {
        "id": element.findtext("id"),
        "infons": _infons_of(element),
        "passages": [_passage(passage) for passage in element.findall("passage")],
        **_annotated(element),
    }


def _passage(element: Element) -> dict[str, Any]:
    """Return a ``passage`` or ``sentence``."""
    found = {"offset": number((element.findtext("offset") or "").strip(), f"offset of a {element.tag}")}
    text = element.findtext("text")
    return {
        **found,
        "infons": _infons_of(element),
        **({} if text is None else {"text": text}),
        **({"sentences": [_passage(s) for s in element.findall("sentence")]} if element.tag == "passage" else {}),
        **_annotated(element),
    }


def _annotated(element: Element) -> dict[str, Any]:
    return {
        "annotations": [_annotation(annotation) for annotation in element.findall("annotation")],
        "relations": [_relation(relation) for relation in element.findall("relation")],
    }


def _annotation(element: Element) -> Annotation:
    found = Annotation(
        id=element.get("id"),
        infons=_infons_of(element),
        text=element.findtext("text"),
        locations=[
            {name: _number(location.get(name, "")) for name in ("offset", "length")}
            for location in element.findall("location")
        ],
    )
    found.line = int(element.get(_LINE, "0"))
    return found


def _number(given: str) -> int | str:
    """Return a number; what is none stays as it is, and is told with its annotation."""
    try:
        return number(given.strip(), "offset")
    except Flaw:
        return given


def _relation(element: Element) -> dict[str, Any]:
    nodes = [{"refid": node.get("refid"), "role": node.get("role", "")} for node in element.findall("node")]
    return {"id": element.get("id"), "infons": _infons_of(element), "nodes": nodes}


def _infons_of(element: Element) -> dict[str, str | list[str]]:
    """Return infons as JSON can have them: one that is given several times is a list."""
    found: dict[str, str | list[str]] = {}
    for infon in element.findall("infon"):
        key, text = infon.get("key", ""), infon.text or ""
        before = found.get(key)
        found[key] = text if before is None else [*([before] if isinstance(before, str) else before), text]
    return found


def _parts(part: Json) -> Iterator[str]:
    """Yield the XML of what a document, passage or sentence holds."""
    for name in ("passages", "sentences"):
        for inner in members(part, name):
            about = [_infons(infons_of(inner)), _leaf("offset", str(inner["offset"]))]
            text = [] if inner.get("text") is None else [_leaf("text", inner["text"])]
            yield _element(name.removesuffix("s"), {}, [*about, *text, *_parts(inner)])
    for annotation in members(part, "annotations"):
        text = [] if annotation.get("text") is None else [_leaf("text", str(annotation["text"]))]
        places = members(annotation, "locations")
        locations = [_element("location", _only(one, "offset", "length"), []) for one in places]
        yield _element("annotation", _only(annotation, "id"), [_infons(infons_of(annotation)), *locations, *text])
    for relation in members(part, "relations"):
        nodes = [_element("node", _only(node, "refid", "role"), []) for node in members(relation, "nodes")]
        yield _element("relation", _only(relation, "id"), [_infons(infons_of(relation)), *nodes])


def _infons(infons: Mapping[str, Any]) -> str:
    """Return infons; several texts are as many infons, and what is no text, as JSON can have it, is written as JSON."""
    return "".join(
        _element("infon", {"key": key}, [_escaped(each if isinstance(each, str) else json.dumps(each))])
        for key, value in infons.items()
        for each in (value if _are_texts(value) else [value])
    )


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(each, str) for each in value)


def _only(part: Json, *names: str) -> dict[str, Any]:
    """Return the members of a part that XML has as attributes."""
    return {name: "" if part.get(name) is None else part[name] for name in names}


def _leaf(tag: str, text: str) -> str:
    return _element(tag, {}, [_escaped(text)])


def _element(tag: str, attributes: Mapping[str, object], inner: Sequence[str]) -> str:
    return f"<{tag}{''.join(f' {k}={quoteattr(str(v))}' for k, v in attributes.items())}>{''.join(inner)}</{tag}>"


def _escaped(text: str) -> str:
    """Return the XML of a text; a carriage return is escaped, for XML would read it as a line feed."""
    return escape(text, {"\r": "&#13;"})
