"""The page: it shows the text as it is, marks what it should, and lets nothing in or out."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from featstore.documents import Document, Entity, Passage, Relation
from featstore.formats import ModelFacts, Nothing, writer_of
from featstore.formats.content import on_one_line

MODEL = ModelFacts("<m>", "ab" * 16, ("CPR:4", "mine"), "chemprot")
VOID = {"meta"}
ALLOWED = {"class", "title", "href", "id", "dir", "style", "value", "lang", "charset", "name", "content", "http-equiv"}


class Page(HTMLParser):
    """A page that is read as a browser would: elements in one another, attributes, text by element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((" ".join(self.open), data))


def page(document: Document, relations: list[Relation], nothing: Nothing | None = None) -> str:
    writer = writer_of("html")
    return writer.header(MODEL) + writer.document(document, relations, MODEL, nothing) + writer.footer()


def words(html: str) -> str:
    """The text that a reader sees, without the numbers of relations."""
    return unescape(re.sub(r"<[^>]*>", "", re.sub(r"<sup>.*?</sup>", "", html)))


def test_mentions_and_relations_are_marked(document: Document, relations: list[Relation]) -> None:
    passages = (Passage(0, 18, "title"), Passage(19, len(document.text), "abstract", "RESULTS"))
    html = page(replace(document, passages=passages), relations)
    text = document.text
    title, abstract = re.findall(r'<(?:h3|p) dir="auto">(.*?)</(?:h3|p)>', html)
    assert words(title) == text[:18]
    assert words(abstract) == "RESULTS" + text[19:]
    # Aspirin lies in Aspirin (ASA); both of its relations' numbers follow the mention that has them.
    outer = 'title="CHEMICAL: Aspirin, MESH:D001241; CHEMICAL: Aspirin (ASA)">Aspirin</mark><sup><a href="#'
    assert outer in abstract
    assert '<mark class="CHEMICAL last" title="CHEMICAL: Aspirin (ASA)"> (ASA)</mark>' in abstract
    first, second = re.findall(r'<li id="(.*?)">(.*?)</li>', html)
    assert f'href="#{first[0]}">1</a>' in abstract
    assert f'href="#{second[0]}">2</a>' in abstract
    assert words(first[1]).startswith("1Aspirin → COX-2CPR:4 0.90down-regulation downregulator, inhibitor")
    sentence = first[1][first[1].index('class="sentence"') :]
    assert words("<" + sentence) == text[19:72]
    assert '<mark class="CHEMICAL head first last" title' in sentence
    assert '<mark class="GENE tail first last" title' in sentence
    # Attention: the word that the head saw most is the strongest.
    assert [int(a) for a in re.findall(r"--a:(\d+)%", sentence)] == [70, 23]
    assert "--a:" not in second[1]


def test_a_document_without_relations_says_why_and_labels_are_explained(document: Document) -> None:
    html = page(document, [], Nothing("no mentions", "it has <none>."))
    assert '<p class="nothing">No relation: it has &lt;none&gt;.</p>' in html
    assert "<dt>CPR:4 down-regulation</dt><dd>downregulator, inhibitor" in html
    assert "<dt>mine" not in html


HOSTILE = ["<script>alert(1)</script>", '"', "'", "&amp;", "<", "]]>", "\x00", "\x1b[1m", "\u202e", "β", "\n", " x "]
TEXTS = st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8"), max_size=5))).map("".join)


@st.composite
def documents(draw: st.DrawFn) -> tuple[Document, list[Relation]]:
    text = draw(TEXTS)
    edges = st.integers(0, len(text))
    spans = [sorted(pair) for pair in draw(st.lists(st.tuples(edges, edges), max_size=6))]
    entities = [
        Entity(f"T{n}", draw(TEXTS), a, b, text[a:b], draw(st.none() | TEXTS))
        for n, (a, b) in enumerate(spans)
        if a < b
    ]
    pairs = [
        Relation(a, b, draw(TEXTS), 0.5, {}, (0, len(text)), ((a.start, a.end, 0.5), (b.start, b.end, 0.25)))
        for a, b in pairwise(entities)
    ]
    return Document(draw(TEXTS), text, tuple(entities)), pairs


@given(documents())
def test_whatever_the_text_it_is_shown_as_it_is_and_nothing_gets_out(found: tuple[Document, list[Relation]]) -> None:
    document, relations = found
    html = page(document, relations)
    read = Page(html)
    assert {tag for tag, _ in read.seen} <= {
        *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "h4", "p", "code", "details"),
        *("summary", "dl", "dt", "dd", "mark", "sup", "a", "article", "ol", "li", "span", "bdi", "meter", "small"),
    }
    for _, attributes in read.seen:
        assert attributes.keys() <= ALLOWED
        assert (attributes.get("href") or "#").startswith("#")
        assert re.fullmatch(r"(--a:\d+%)?", attributes.get("style") or "")
    assert "default-src 'none'" in html
    article = html[html.index("<article>") :]
    shown = "".join(words(p) for p in re.findall(r'<p dir="auto">(.*?)</p>', article))
    lines = [on_one_line(line) for line in document.text.split("\n") if line.strip()]
    assert shown == "".join(lines)
