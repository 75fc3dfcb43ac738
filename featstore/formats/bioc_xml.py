"""BioC XML.

In: a collection, as the BioC DTD has it. Out: documents; and a collection with relations added. What a document is, is
in :mod:`featstore.formats.bioc`; how it is parsed, in :mod:`featstore.formats.bioc_elements`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from featstore.documents import Document, Relation
from featstore.errors import DataError
from featstore.formats.bioc import Annotation, Json, about_collection, document_of, infons_of, members, with_relations
from featstore.formats.bioc_elements import LINE, elements_of, infons_in
from featstore.formats.content import Flaw, number
from featstore.formats.contract import BadDocument, ModelFacts, Nothing
from featstore.formats.draft import place_of

separator = ""

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
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
    for line, element, flaw, about in elements_of(path):
        id_ = element.findtext("id") or ""
        try:
            if flaw:
                raise Flaw(flaw)
            yield replace(document_of(_document(element), path, line), collection=about)
        except Flaw as found:
            yield BadDocument(id_, place_of(path, line), found.why)


def header(model: ModelFacts, collection: Mapping[str, Any] | None = None) -> str:
    """Return the beginning of a collection, with what the input's says of itself.

    Raises:
        DataError: that holds a character that XML cannot.
    """
    about = about_collection(model, collection)
    leaves = "".join(_leaf(name, str(about[name])) for name in ("source", "date", "key"))
    text = _checked("the collection", leaves + _infons(about["infons"]))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<collection>{text}\n'


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
    return _checked(f"document {document.id}", text) + "\n"


def footer() -> str:
    """Return the end of the collection."""
    return "</collection>\n"


def _checked(what: str, text: str) -> str:
    if outlaw := _NO_XML.search(text):
        raise DataError(
            f"{what} holds the character U+{ord(outlaw[0]):04X}, which XML cannot hold; write jsonl or bioc-json."
        )
    return text


def _document(element: Element) -> dict[str, Any]:
    """Return a ``document`` element as BioC JSON has it."""
    for part in element.iter():
        allowed = _CHILDREN.get(part.tag, set())
        beside = [part.text if part.tag in _CHILDREN else None, *(child.tail for child in part)]
        if stray := next((text.strip() for text in beside if text and text.strip()), None):
            raise Flaw(f"there is '{stray[:60]}' in <{part.tag}> beside its elements; BioC has text in <text> only.")
        tags = Counter(child.tag for child in part)
        for tag, times in tags.items():
            if tag not in allowed:
                raise Flaw(f"there is an element <{tag}> in <{part.tag}>, which BioC does not have.")
            if times > 1 and tag in _ONCE:
                raise Flaw(f"there are {times} elements <{tag}> in a <{part.tag}>; one is wanted.")
    return {
        "id": element.findtext("id"),
        "infons": infons_in(element),
        "passages": [_passage(passage) for passage in element.findall("passage")],
        **_annotated(element),
    }


def _passage(element: Element) -> dict[str, Any]:
    """Return a ``passage`` or ``sentence``."""
    found = {"offset": number((element.findtext("offset") or "").strip(), f"offset of a {element.tag}")}
    text = element.findtext("text")
    return {
        **found,
        "infons": infons_in(element),
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
        infons=infons_in(element),
        text=element.findtext("text"),
        locations=[
            {name: _number(location.get(name, "")) for name in ("offset", "length")}
            for location in element.findall("location")
        ],
    )
    found.line = int(element.get(LINE, "0"))
    return found


def _number(given: str) -> int | str:
    """Return a number; anything else stays as it is, and is reported with its annotation."""
    try:
        return number(given.strip(), "offset")
    except Flaw:
        return given


def _relation(element: Element) -> dict[str, Any]:
    nodes = [{"refid": node.get("refid"), "role": node.get("role", "")} for node in element.findall("node")]
    return {"id": element.get("id"), "infons": infons_in(element), "nodes": nodes}


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
