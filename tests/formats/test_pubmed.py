"""What PubMed exports: XML and MEDLINE text."""

from collections.abc import Callable
from pathlib import Path

import pytest

from featstore.documents import Document, Passage
from featstore.errors import DataError
from featstore.formats import BadDocument, read_documents, xml_records

Write = Callable[[str, str | bytes], Path]

XML = """<?xml version="1.0" ?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle//EN" "https://dtd.example/pubmed.dtd">
<PubmedArticleSet>
<PubmedArticle><MedlineCitation Status="MEDLINE">
  <PMID Version="1">11</PMID>
  <Article>
    <ArticleTitle>Aspirin and <i>COX</i>-2 in CO<sub>2</sub>: a &lt;toy&gt;.</ArticleTitle>
    <Abstract>
      <AbstractText Label="BACKGROUND" NlmCategory="BACKGROUND">Aspirin blocks
        COX-2 &alpha;.</AbstractText>
      <AbstractText Label="METHODS"/>
      <AbstractText Label="RESULTS">It\u2009did<sup>+</sup>.</AbstractText>
      <CopyrightInformation>Copyright.</CopyrightInformation>
    </Abstract>
  </Article>
  <CommentsCorrectionsList><CommentsCorrections><PMID>99</PMID></CommentsCorrections></CommentsCorrectionsList>
  <OtherAbstract Language="fre"><AbstractText>Aspirine.</AbstractText></OtherAbstract>
</MedlineCitation><PubmedData><ReferenceList><Reference><Citation>Cited.</Citation></Reference></ReferenceList>
</PubmedData></PubmedArticle>
<PubmedArticle><MedlineCitation><PMID>12</PMID><Article><ArticleTitle></ArticleTitle>
<VernacularTitle>Aspirina.</VernacularTitle></Article></MedlineCitation></PubmedArticle>
<PubmedArticle><MedlineCitation><PMID>13</PMID><Article/></MedlineCitation></PubmedArticle>
<PubmedBookArticle><BookDocument><PMID>14</PMID><Book><BookTitle>A book.</BookTitle></Book>
<ArticleTitle>A chapter.</ArticleTitle><Abstract><AbstractText>It says.</AbstractText></Abstract></BookDocument>
</PubmedBookArticle>
<DeleteCitation><PMID>15</PMID></DeleteCitation>
</PubmedArticleSet>
"""

MEDLINE = """
PMID- 11
OWN - NLM
TI  - Aspirin and COX-2 in CO2: a
      toy.
LID - 10.1/x [doi]
AB  - BACKGROUND: Aspirin blocks COX-2.
      METHODS: None.
CI  - Copyright.
      Of nobody.
AD  - Somewhere.

PMID- 12
TI  - [Aspirin].

PMID- 13
OWN - NLM

PMID- 14
BTI - A book.
AB  - It says.
"""


def test_articles_of_xml_become_documents_with_passages(write: Write) -> None:
    first, second, none, book = read_documents(write("a.xml", XML))
    title = "Aspirin and COX-2 in CO2: a <toy>."
    assert first == Document("11", f"{title}\nAspirin blocks COX-2 α.\nIt\u2009did+.", ())
    assert isinstance(first, Document)
    assert first.passages == (
        Passage(0, 34, "title"),
        Passage(35, 58, "abstract", "BACKGROUND"),
        Passage(59, 67, "abstract", "RESULTS"),
    )
    assert second == Document("12", "Aspirina.", ())
    assert isinstance(none, BadDocument)
    assert (none.id, none.why) == ("13", "there is no text in it.")
    assert none.where.endswith(f"a.xml, line {1 + XML[: XML.index('<PMID>13')].count(chr(10))}")
    assert book == Document("14", "A chapter.\nIt says.", ())


@pytest.mark.parametrize("name", ["pubmed-toy-set.txt", "a.nbib", "a.dat"])
def test_records_of_medline_become_documents_with_passages(write: Write, name: str) -> None:
    first, second, none, book = read_documents(write(name, MEDLINE.replace("\n", "\r\n")))
    title = "Aspirin and COX-2 in CO2: a toy."
    assert first == Document("11", f"{title}\nBACKGROUND: Aspirin blocks COX-2. METHODS: None.", ())
    assert isinstance(first, Document)
    assert first.passages == (Passage(0, 32, "title"), Passage(33, 81, "abstract"))
    assert second == Document("12", "[Aspirin].", ())
    assert isinstance(none, BadDocument)
    assert (none.id, none.where[-7:]) == ("13", "line 16")
    assert book == Document("14", "A book.\nIt says.", ())


def test_a_bad_record_of_medline_is_told_and_the_rest_is_read(write: Write) -> None:
    records = MEDLINE.encode().replace(b"[Aspirin].", b"na\xefve").replace(b"OWN - NLM\n\n", b"what is this\n\n")
    found = list(read_documents(write("a.nbib", records)))
    assert [type(one) for one in found] == [Document, BadDocument, BadDocument, Document]
    whys = [one.why for one in found if isinstance(one, BadDocument)]
    assert "not UTF-8" in whys[0]
    assert whys[1] == "'what is this' is not a field; NAME- TEXT is wanted."
    with pytest.raises(DataError, match=r"line 1: not MEDLINE"):
        list(read_documents(write("b.nbib", "TI  - Aspirin."), "medline"))


@pytest.mark.parametrize("lost", ["", "PLID- 2\n", "OWN - NLM\n"])
@pytest.mark.parametrize("fields", ["TI  - Two.\nAB  - Second.\n", "AB  - Second.\n"])
def test_a_record_of_medline_without_an_id_does_not_end_up_in_the_one_before(
    write: Write, lost: str, fields: str
) -> None:
    records = f"PMID- 1\nTI  - One.\nAB  - First.\n\n{lost}{fields}\nPMID- 3\nTI  - Three.\n"
    one, two, three = read_documents(write("a.nbib", records))
    assert isinstance(one, Document)
    assert isinstance(three, Document)
    assert (one.text, three.text) == ("One.\nFirst.", "Three.")
    assert isinstance(two, BadDocument)
    assert "has no PMID" in two.why
    assert f"line {5 + bool(lost)}" in two.where


def test_xml_cannot_reach_out_or_grow(write: Write) -> None:
    laughs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><PubmedArticleSet>&b;</PubmedArticleSet>'
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><PubmedArticleSet>&a;</PubmedArticleSet>'
    for content in (laughs, outside):
        with pytest.raises(DataError, match=r"declares an entity"):
            list(read_documents(write("a.xml", content)))
    unknown = XML.replace("&alpha;", "&aspirin;")
    found = list(read_documents(write("a.xml", unknown)))
    assert found[0].why.startswith("the entity &aspirin; is not known")  # type: ignore[union-attr]
    assert len(found) == 4


def test_a_record_that_is_too_long_or_too_deep_is_passed_over(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_records, "LONGEST_RECORD", 2000)
    deep = XML.replace("<i>COX</i>", "<i>" * 300 + "</i>" * 300)
    for content, why in (
        (XML.replace("blocks", "blocks " * 300), "more than 2,000 characters"),
        (deep, "more than 200 elements"),
    ):
        found = list(read_documents(write("a.xml", content)))
        assert [type(one) for one in found] == [BadDocument, Document, BadDocument, Document]
        assert isinstance(found[0], BadDocument)
        assert why in found[0].why


def test_other_xml_is_refused_by_its_outermost_element(write: Write) -> None:
    with pytest.raises(DataError, match=r"XML with <html> outermost; known are <collection> \(bioc-xml\)"):
        read_documents(write("a.xml", "<?xml version='1.0'?><!-- <article> --><html/>"))
    with pytest.raises(DataError, match=r"outermost element is <html>, <PubmedArticleSet> or"):
        list(read_documents(write("a.xml", "<html/>"), "pubmed-xml"))
