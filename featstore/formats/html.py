"""HTML: one page to read, with mentions and relations marked in the text. Written only.

In: documents with their relations. Out: a page that needs nothing else, in light or dark as the reader's system has it,
for a phone as for a wide screen. A mention has the colour of its type, and after it the numbers of its relations, which
stand below the text: both mentions in their sentence, the label in words and its probability. Where attention was
asked for, a word is as strongly shaded as the head looked at it.

Everything that comes from data is escaped, and a policy in the page forbids it to load or run anything.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from featstore.documents import Document, Entity, Passage, Relation
from featstore.formats.content import on_one_line
from featstore.formats.contract import ModelFacts, Nothing
from featstore.labels import meaning_of
from featstore.types import SYNONYMS, kind_of

separator = ""

_STYLE = """
:root{color-scheme:light dark;--bg:#fcfcfb;--card:#fff;--ink:#1b1f24;--soft:#5c6670;--line:#dfe3e6;--accent:#1f6f8b;
--CHEMICAL:#d9ecff;--GENE:#dff3d8;--DISEASE:#ffe1da;--VARIANT:#ece2fb;--SPECIES:#fff1c9;--CELL:#dcf3f1;--other:#e9ebed}
@media (prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1c2024;--ink:#e8eaec;--soft:#9aa4ad;--line:#333a40;
--accent:#5cb3d0;--CHEMICAL:#1d4263;--GENE:#254a22;--DISEASE:#5c2c22;--VARIANT:#42305f;--SPECIES:#574713;
--CELL:#174a47;--other:#3a4046}}
*{box-sizing:border-box}html{scroll-padding-top:12px}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.6 system-ui,sans-serif}
main{max-width:900px;margin:0 auto;padding:24px 16px 60px}
h1{font-size:24px;line-height:1.25;margin:0 0 4px}h2{font-size:13px;font-weight:600;color:var(--soft);margin:0 0 6px}
h3{font-size:18px;line-height:1.4;margin:0 0 8px}h4{font-size:15px;margin:12px 0 4px}
h1,h2,h3,h4,p,li{overflow-wrap:anywhere}p{margin:0 0 8px}
.soft,small{color:var(--soft)}small{font-size:13px}
article{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 16px;margin:16px 0}
.section{font-size:11px;font-weight:600;letter-spacing:.06em;color:var(--soft);margin-right:6px}
mark{background:var(--other);color:inherit;padding:1px 0}mark.first{border-radius:4px 0 0 4px;padding-left:3px}
mark.last{border-radius:0 4px 4px 0;padding-right:3px}mark.first.last{border-radius:4px}
mark.head,mark.tail{font-weight:650;border-bottom:2px solid var(--accent)}
mark.CHEMICAL{background:var(--CHEMICAL)}mark.GENE{background:var(--GENE)}mark.DISEASE{background:var(--DISEASE)}
mark.VARIANT{background:var(--VARIANT)}mark.SPECIES{background:var(--SPECIES)}mark.CELL{background:var(--CELL)}
.seen{box-shadow:inset 0 -4px 0 color-mix(in srgb,var(--accent) var(--a),transparent)}
sup a{color:var(--accent);text-decoration:none;padding:0 2px;font-size:11px}
ol{list-style:none;margin:14px 0 0;padding:0}li{border-top:1px solid var(--line);padding:10px 0 4px}
li:target{outline:2px solid var(--accent);outline-offset:4px;border-radius:4px}
.what{display:flex;flex-wrap:wrap;gap:2px 10px;align-items:baseline;margin-bottom:4px}
.number{color:var(--soft);min-width:1.4em}.label{border:1px solid var(--line);border-radius:99px;padding:0 9px;
font-size:13px;white-space:nowrap}.probability{font-variant-numeric:tabular-nums;white-space:nowrap}
meter{width:64px;height:10px;vertical-align:baseline}.sentence{color:var(--soft)}.sentence mark{color:var(--ink)}
.nothing{color:var(--soft);border-top:1px solid var(--line);padding-top:8px;margin-bottom:0}
details{margin:8px 0}summary{cursor:pointer;color:var(--accent)}dl{margin:8px 0;font-size:14px}dt{font-weight:600}
dd{margin:0 0 6px;color:var(--soft)}
@media print{article{break-inside:avoid;border-color:#ccc}body{background:#fff}mark,.seen{print-color-adjust:exact;
-webkit-print-color-adjust:exact}}
"""


@dataclass(frozen=True, slots=True)
class _Mark:
    """What marks a stretch of text.

    Attributes:
        start, end: its characters.
        classes: how it looks.
        title: what it says to whoever points at it.
        weight: attention on it, as a share of the largest; None: it is a mention.
        after: HTML that follows it.
    """

    start: int
    end: int
    classes: str = ""
    title: str = ""
    weight: float | None = None
    after: str = ""


def header(model: ModelFacts, collection: Mapping[str, object] | None = None) -> str:  # noqa: ARG001
    """Return the beginning of the page, with what the model's labels mean."""
    name = escape(on_one_line(model.name))
    words = [(label, meaning_of(label, model.corpus)) for label in model.positive]
    known = "".join(f"<dt>{_shown(label)} {escape(m.name)}</dt><dd>{escape(m.detail)}</dd>" for label, m in words if m)
    legend = f"<details><summary>What the labels mean</summary><dl>{known}</dl></details>" if known else ""
    colours = " ".join(f'<mark class="first last {_class(shown)}">{escape(shown)}</mark>' for shown in SYNONYMS)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Relations found by {name}</title><style>{_STYLE}</style></head><body><main>\n"
        f'<h1>Relations found by {name}</h1><p class="soft">model <code>{escape(model.fingerprint[:16])}</code>. A '
        f"model makes mistakes: read the sentence.</p><p>{colours}</p>{legend}\n"
    )


def document(
    document: Document,
    relations: Sequence[Relation],
    model: ModelFacts,
    nothing: Nothing | None = None,
) -> str:
    """Return the document as an article: its text with mentions, and below it the relations."""
    anchor = f"d{hashlib.blake2b(document.id.encode(), digest_size=6).hexdigest()}"
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for number, relation in enumerate(relations, start=1):
        for entity in (relation.head, relation.tail):
            numbers[entity.id].append(number)
    marks = [_mention(e, after=_references(anchor, numbers.get(e.id, ()))) for e in document.entities]
    listed = "".join(
        _relation(f"{anchor}-{number}", number, document, relation, model)
        for number, relation in enumerate(relations, start=1)
    )
    why = f'<p class="nothing">No relation: {_shown(nothing.why)}</p>' if nothing else ""
    return (
        f"<article><h2>{_shown(document.id)}</h2>{''.join(_paragraphs(document, marks))}"
        + (f"<ol>{listed}</ol>" if listed else "")
        + f"{why}</article>\n"
    )


def footer() -> str:
    """Return the end of the page."""
    return '<p class="soft">Made by featstore.</p></main></body></html>\n'


def _paragraphs(document: Document, marks: Sequence[_Mark]) -> Iterator[str]:
    """Yield the passages of a document, each line of one as a paragraph."""
    tags = {"title": "h3", "heading": "h4"}
    for passage in document.passages or (Passage(0, len(document.text)),):
        tag = tags.get(passage.kind, "p")
        section = f'<span class="section">{_shown(passage.section)}</span>' if passage.section and tag == "p" else ""
        start = passage.start
        for line in document.text[passage.start : passage.end].split("\n"):
            if line.strip():
                body = _marked(document.text, (start, start + len(line)), marks)
                yield f'<{tag} dir="auto">{section}{body}</{tag}>'
                section = ""
            start += len(line) + 1


def _relation(anchor: str, number: int, document: Document, relation: Relation, model: ModelFacts) -> str:
    """Return a relation: what it says, and its sentence."""
    meaning = meaning_of(relation.label, model.corpus)
    words = f"{escape(meaning.name)} <small>{escape(meaning.detail)}</small>" if meaning else ""
    largest = max((weight for *_, weight in relation.attention), default=0.0)
    marks = [
        _mention(relation.head, "head"),
        _mention(relation.tail, "tail"),
        *(_Mark(a, b, weight=weight / largest) for a, b, weight in relation.attention if weight > 0),
    ]
    return (
        f'<li id="{anchor}"><p class="what"><span class="number">{number}</span><span><bdi>'
        f"{_shown(relation.head.text)}</bdi> &rarr; <bdi>{_shown(relation.tail.text)}</bdi></span>"
        f'<span class="label">{_shown(relation.label)}</span><span class="probability"><meter '
        f'value="{relation.probability:.4f}"></meter> {relation.probability:.2f}</span><span>{words}</span></p>'
        f'<p class="sentence" dir="auto">{_marked(document.text, relation.sentence, marks)}</p></li>'
    )


def _mention(entity: Entity, more: str = "", after: str = "") -> _Mark:
    group = kind_of(entity.type, tuple(SYNONYMS))
    concept = f", {entity.concept}" if entity.concept else ""
    title = on_one_line(f"{entity.type}: {entity.text}{concept}")
    return _Mark(entity.start, entity.end, f"{_class(group)} {more}".strip(), title, after=after)


def _class(group: str | None) -> str:
    return group.split()[0] if group else "other"


def _references(anchor: str, numbers: Iterable[int]) -> str:
    found = "".join(f'<a href="#{anchor}-{number}">{number}</a>' for number in numbers)
    return f"<sup>{found}</sup>" if found else ""


def _marked(text: str, span: tuple[int, int], marks: Sequence[_Mark]) -> str:
    """Return a stretch of text as HTML; where marks overlap, the shortest one that is a mention gives the colour."""
    inside = sorted((m for m in marks if m.start < span[1] and m.end > span[0]), key=lambda m: (m.start, m.end))
    edges = sorted({*span, *(edge for m in inside for edge in (m.start, m.end) if span[0] < edge < span[1])})
    written: list[str] = []
    active: list[_Mark] = []
    waiting = 0
    for start, end in pairwise(edges):
        while waiting < len(inside) and inside[waiting].start <= start:
            active.append(inside[waiting])
            waiting += 1
        active = [m for m in active if m.end > start]
        written.append(_piece(_shown(text[start:end]), start, end, active))
        written += [m.after for m in active if m.end == end and m.after]
    return "".join(written)


def _piece(shown: str, start: int, end: int, active: Sequence[_Mark]) -> str:
    """Return a piece of text that the same marks cover from end to end."""
    for weight in (m.weight for m in active if m.weight is not None):
        shown = f'<span class="seen" style="--a:{70 * weight:.0f}%">{shown}</span>'
    mentions = sorted((m for m in active if m.weight is None), key=lambda m: m.end - m.start)
    if not mentions:
        return shown
    first = " first" if any(m.start == start for m in mentions) else ""
    last = " last" if any(m.end == end for m in mentions) else ""
    roles = {role for m in mentions for role in m.classes.split()[1:]}
    classes = " ".join([mentions[0].classes.split()[0], *sorted(roles)]) + first + last
    title = escape("; ".join(m.title for m in mentions))
    return f'<mark class="{classes}" title="{title}">{shown}</mark>'


def _shown(text: str) -> str:
    """Return text from data as HTML; control characters, which a page must not have, are blanks."""
    return escape(on_one_line(text))
