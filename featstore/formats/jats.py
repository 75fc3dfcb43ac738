"""JATS XML, the full text of journal articles as PubMed Central and publishers give it. Read only.

In: an article, or many in one file (``pmc-articleset``, or an answer of OAI-PMH). Out: a document each, with the PMC id
for an id, or else the PMID, the DOI or the publisher's own. Its passages are the title, the abstracts, the headings and
paragraphs of the body and the captions of figures and tables, a line break between each two. The section of a passage
is the heading of the outermost section that it stands in.

Not read are the cells of tables, formulas, references, footnotes, acknowledgements, appendices, supplements, graphical
abstracts, and reviews and answers that are printed with an article. A citation in superscript is left out, for it would
be glued to a word; any other stays in the sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from featstore.documents import Document
from featstore.formats.content import Flaw
from featstore.formats.contract import BadDocument
from featstore.formats.plain import make_plain
from featstore.formats.xml_records import text_of, xml_records

ROOTS = ("article", "pmc-articleset", "OAI-PMH")
Passages = Iterator[tuple[str, str, str]]

_IDS = ("pmcid", "pmc", "pmid", "doi", "publisher-id")
_FORMULAS = ("disp-formula", "disp-formula-group", "inline-formula", "tex-math", "math", "mml:math")
_LEFT_OUT = (
    *("table", "table-wrap-foot", "fn", "fn-group", "ref-list", "ack", "app-group", "glossary"),
    *("supplementary-material", "media", "graphic", "label", "object-id", "attrib", "permissions", "sec-meta"),
)
# What stands in a paragraph, in its own lines; it is read after it.
_BLOCKS = ("list", "def-list", "fig", "fig-group", "table-wrap", "table-wrap-group", "boxed-text", "disp-quote")
_TEXTS = ("p", "term", "verse-line")
_NO_ABSTRACT = ("graphical", "teaser", "toc", "web-summary", "video", "translated")


def read(path: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of a file."""
    for record in xml_records(path, "JATS", ROOTS, ("article",)):
        id_ = _id(record.element)
        try:
            record.check()
            yield make_plain(id_, _passages(record.element), path, record.line)
        except Flaw as flaw:
            yield BadDocument(id_, f"{path}, line {record.line}", flaw.why)


def _id(article: Element) -> str:
    found = {each.get("pub-id-type", ""): text_of(each) for each in article.findall("front/article-meta/article-id")}
    name = next((name for name in _IDS if found.get(name)), "")
    return f"PMC{found[name]}" if name in ("pmcid", "pmc") and found[name].isdecimal() else found.get(name, "")


def _passages(article: Element) -> Passages:
    """Yield kind, section and text of each passage of an article."""
    meta, body = article.find("front/article-meta"), article.find("body")
    if meta is not None:
        yield "title", "", _text(meta.find("title-group/article-title"))
        for abstract in meta.findall("abstract"):
            if abstract.get("abstract-type") not in _NO_ABSTRACT:
                yield from _parts(abstract, "abstract", "")
    if body is not None:
        yield from _parts(body, "paragraph", "")


def _parts(parent: Iterable[Element], kind: str, section: str) -> Passages:
    """Yield the passages in an abstract, a body, a section or a block."""
    for child in parent:
        if child.tag == "sec":
            yield from _parts(child, kind, section or text_of(child.find("title")))
        elif child.tag == "title":
            if kind != "abstract":  # there it is BACKGROUND or METHODS, and the section says so
                yield "heading" if kind == "paragraph" else kind, section, _text(child)
        elif child.tag in _TEXTS:
            yield kind, section, _text(child)
            yield from _parts([block for block in child if block.tag in _BLOCKS], kind, section)
        elif child.tag == "caption":
            yield from _parts(child, "caption", section)
        elif child.tag not in (*_LEFT_OUT, *_FORMULAS):
            yield from _parts(child, kind, section)


def _text(element: Element | None) -> str:
    """Return the text of a title or paragraph without the blocks in it."""
    return text_of(element, _instead)


def _instead(element: Element) -> str | None:
    """Return what stands in place of an element in a sentence; None: its own text."""
    if element.tag in (*_FORMULAS, *_BLOCKS, *_LEFT_OUT):
        return " "
    if element.tag == "sup":
        between = [element.text, *(child.tail for child in element)]
        if len(element) and all(map(_cites, element)) and not any(map(str.isalnum, "".join(filter(None, between)))):
            return ""
    if _cites(element) and len(element) == 1 and element[0].tag == "sup" and not (element.text or element[0].tail):
        return ""
    return None


def _cites(element: Element) -> bool:
    return element.tag == "xref" and element.get("ref-type") == "bibr"
