"""PubMed XML, as E-utilities and the yearly baseline give it (``PubmedArticleSet``). Read only.

In: such a file. Out: its articles and book chapters, with the PMID for an id, and the title and each part of the
abstract for passages, a line break between each two. The label of a part of a structured abstract (METHODS) is its
section; it is no part of the text. An article without an English title has the one of its own language, and one without
an abstract is its title. Abstracts in other languages are not read, and deleted citations are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from featstore.documents import Document
from featstore.formats.content import Flaw
from featstore.formats.contract import BadDocument
from featstore.formats.plain import make_plain
from featstore.formats.xml_records import text_of, xml_records

ROOTS = ("PubmedArticleSet", "PubmedBookArticleSet")


def read(path: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of a file."""
    for record in xml_records(path, "PubMed XML", ROOTS, ("PubmedArticle", "PubmedBookArticle")):
        # The id of the article itself comes before those that it refers to.
        id_ = text_of(record.element.find(".//PMID"))
        try:
            record.check()
            yield make_plain(id_, _passages(record.element), path, record.line)
        except Flaw as flaw:
            yield BadDocument(id_, f"{path}, line {record.line}", flaw.why)


def _passages(record: Element) -> Iterator[tuple[str, str, str]]:
    """Yield kind, section and text of each passage."""
    titles = (text_of(record.find(f".//{name}")) for name in ("ArticleTitle", "VernacularTitle", "BookTitle"))
    yield "title", "", next(filter(None, titles), "")
    for part in record.findall("*/Article/Abstract/AbstractText") or record.findall("*/Abstract/AbstractText"):
        yield "abstract", part.get("Label", ""), text_of(part)
