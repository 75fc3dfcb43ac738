"""Full text of articles."""

from collections.abc import Callable
from pathlib import Path

import pytest

from featstore.documents import Document
from featstore.formats import BadDocument, read_documents

Write = Callable[[str, str | bytes], Path]

ARTICLE = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE article PUBLIC "-//NLM//DTD JATS//EN" "JATS-archivearticle1.dtd">
<article xmlns:xlink="x" xmlns:mml="m"><front>
<journal-meta><journal-id journal-id-type="pmc">toys</journal-id></journal-meta>
<article-meta><article-id pub-id-type="pmid">11</article-id><article-id pub-id-type="pmc">22</article-id>
<article-id pub-id-type="doi">10.1/toy</article-id>
<title-group><article-title>Aspirin and COX-2<xref ref-type="fn">*</xref></article-title></title-group>
<abstract><title>Abstract</title><sec><title>Background</title><p>We saw <italic>it</italic>.</p></sec></abstract>
<abstract abstract-type="graphical"><p>A picture.</p></abstract></article-meta></front>
<body>
<p>Before all.</p>
<sec><label>1</label><title>Aspirin in rats</title>
<p>It blocks COX-2<sup><xref ref-type="bibr">1</xref>,<xref ref-type="bibr">2</xref></sup> in Ca<sup>2+</sup>,
 as said<xref ref-type="bibr"><sup>3</sup></xref> [<xref ref-type="bibr">4</xref>].
<disp-formula><mml:math><mml:mi>x</mml:mi></mml:math></disp-formula>
<list><list-item><p>One.</p></list-item><list-item><p>Two.</p></list-item></list> And so on.</p>
<sec><title>Deeper</title><p>Inside.</p>
<fig><label>Fig 1</label><caption><title>A figure.</title><p>It shows.</p></caption><graphic/></fig>
<table-wrap><label>Table 1</label><caption><p>A table.</p></caption><table><tr><td>7</td></tr></table>
<table-wrap-foot><p>A note.</p></table-wrap-foot></table-wrap></sec></sec>
<sec sec-type="supplementary-material"><title>More</title><supplementary-material><p>S1.</p></supplementary-material>
</sec>
</body>
<back><ack><p>Thanks.</p></ack><ref-list><ref><mixed-citation>Cited.</mixed-citation></ref></ref-list></back>
<sub-article><body><p>A review.</p></body></sub-article>
</article>
"""

PASSAGES = [
    ("title", "", "Aspirin and COX-2*"),
    ("abstract", "Background", "We saw it."),
    ("paragraph", "", "Before all."),
    ("heading", "Aspirin in rats", "Aspirin in rats"),
    ("paragraph", "Aspirin in rats", "It blocks COX-2 in Ca2+, as said [4]. And so on."),
    ("paragraph", "Aspirin in rats", "One."),
    ("paragraph", "Aspirin in rats", "Two."),
    ("heading", "Aspirin in rats", "Deeper"),
    ("paragraph", "Aspirin in rats", "Inside."),
    ("caption", "Aspirin in rats", "A figure."),
    ("caption", "Aspirin in rats", "It shows."),
    ("caption", "Aspirin in rats", "A table."),
    ("heading", "More", "More"),
]


@pytest.mark.parametrize("name", ["a.xml", "a.nxml"])
def test_an_article_becomes_its_title_abstract_and_sections(write: Write, name: str) -> None:
    (found,) = read_documents(write(name, ARTICLE))
    assert isinstance(found, Document)
    assert found.id == "PMC22"
    assert [(p.kind, p.section, found.text[p.start : p.end]) for p in found.passages] == PASSAGES
    assert found.text == "\n".join(text for *_, text in PASSAGES)


def test_many_articles_in_one_file(write: Write) -> None:
    article = ARTICLE[ARTICLE.index("<article ") :]
    bare = "<article><front><article-meta><title-group><article-title>T</article-title></title-group></article-meta>"
    others = article.replace('"pmc">22', '"doi-2">22'), bare + "</front></article>"
    for begin, end in (
        ("<pmc-articleset>", "</pmc-articleset>"),
        ('<OAI-PMH xmlns="o"><ListRecords><record><metadata>', "</metadata></record></ListRecords></OAI-PMH>"),
    ):
        first, second, third = read_documents(write("a.xml", begin + article + "".join(others) + end))
        assert (first.id, second.id) == ("PMC22", "11")
        assert isinstance(third, BadDocument)
        assert third.why == "the id of the document is empty."
