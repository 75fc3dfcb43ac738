"""Documents to each format and back: any text, nested and overlapping entities, none at all."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import bioc
import pytest
from bioc import biocjson, biocxml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from featstore.documents import Document, Entity, Relation
from featstore.formats import BadDocument, ModelFacts, read_documents, writer_of
from featstore.formats.content import concept_of, on_one_line

MODEL = ModelFacts("a model", "0f" * 16, ("CPR:3",))
# All widths of UTF-8, combining and right-to-left characters, all that some program takes for a line break or a blank.
PIECES = [
    "IL-6",
    "β",
    "…",
    "𝛼",
    "🧬",
    "e\u0301",
    "עב",
    "\u00a0",
    "\u2009",
    "\u200b",
    "\ufeff",
    " ",
    "|",
    "&",
    "<b>",
    "]]>",
    '"',
]
BREAKS = ["\n", "\r\n", "\r", "\t", "\x85", "\u2028"]
NAMES = st.from_regex(r"[A-Za-z0-9β𝛼][A-Za-z0-9β𝛼 ._:-]{0,8}[a-z]", fullmatch=True)
# A word for "no concept" (na, nil, unk) is read as none, so it is none of the concepts here.
CONCEPTS = NAMES.filter(lambda name: concept_of(name) == name)


def texts(pieces: Sequence[str], control: bool) -> st.SearchStrategy[str]:
    """Texts of the pieces and of any characters: with control characters, or with those alone that XML can hold."""
    excluded: tuple[Literal["Cs", "Cc"], ...] = ("Cs",) if control else ("Cs", "Cc")
    any_text = st.text(st.characters(exclude_categories=excluded, exclude_characters="\ufffe\uffff"), max_size=20)
    return st.lists(st.one_of(st.sampled_from(pieces), any_text), max_size=12).map("".join)


@st.composite
def documents(draw: st.DrawFn, pieces: Sequence[str] = (*PIECES, *BREAKS), control: bool = False) -> Document:
    """Documents whose entities lie anywhere: nested, crossing, equal, at either end."""
    text = draw(texts(pieces, control))
    edges = st.integers(0, len(text))
    spans = [sorted(pair) for pair in draw(st.lists(st.tuples(edges, edges), max_size=5))]
    spans = [[start, end] for start, end in spans if on_one_line(text[start:end]).strip()]
    concepts = st.one_of(st.none(), CONCEPTS)
    entities = [
        Entity(f"T{i}", draw(NAMES), start, end, text[start:end], draw(concepts))
        for i, (start, end) in enumerate(spans, start=1)
    ]
    return Document(draw(NAMES), text, tuple(entities))


def several(strategy: st.SearchStrategy[Document]) -> st.SearchStrategy[list[Document]]:
    """Up to three documents, each with an id of its own."""
    return st.lists(strategy, max_size=3, unique_by=lambda document: document.id)


def pairs(document: Document) -> list[Relation]:
    """A relation between each entity and the next."""
    return [
        Relation(head, tail, "CPR:3", 0.75, {"NONE": 0.25, "CPR:3": 0.75}, (0, len(document.text)))
        for head, tail in zip(document.entities, document.entities[1:], strict=False)
    ]


def written(format_: str, found: Sequence[Document]) -> str:
    writer = writer_of(format_)
    body = writer.separator.join(writer.document(document, pairs(document), MODEL) for document in found)
    return writer.header(MODEL) + body + writer.footer()


def back(format_: str, text: str) -> list[Document | BadDocument]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "documents"
        path.write_bytes(text.encode("utf-8"))
        return list(read_documents(path, format_))


@settings(max_examples=50)
@given(several(documents(control=True)))
@example([])
def test_jsonl_and_bioc_json_hold_every_document(found: list[Document]) -> None:
    for format_ in ("jsonl", "bioc-json"):
        assert back(format_, written(format_, found)) == found


@settings(max_examples=50)
@given(several(documents()))
@example([])
def test_bioc_xml_holds_every_document_of_characters_that_xml_has(found: list[Document]) -> None:
    assert back("bioc-xml", written("bioc-xml", found)) == found


@settings(max_examples=50)
@given(several(documents(control=True)))
def test_pubtator_keeps_offsets_and_all_but_line_breaks(found: list[Document]) -> None:
    read = back("pubtator", written("pubtator", found))
    assert len(read) == len(found)
    for before, after in zip(found, read, strict=True):
        assert isinstance(after, Document)
        assert after.id == before.id
        title, line_break, abstract = before.text.partition("\n")
        assert after.text == on_one_line(title) + line_break + on_one_line(abstract)
        assert [(e.type, e.start, e.end, e.concept) for e in after.entities] == [
            (e.type, e.start, e.end, e.concept or e.id) for e in before.entities
        ]


@settings(max_examples=50)
@given(documents(pieces=PIECES), documents(pieces=PIECES))
def test_chemprot_tables_give_their_documents(title: Document, body: Document) -> None:
    """The title and the abstract are each one line; the entities of both stand in reverse."""
    one, two = (on_one_line(d.text) for d in (title, body))
    moved = [
        Entity(f"B{e.id}", e.type, e.start + len(one) + 1, e.end + len(one) + 1, on_one_line(e.text))
        for e in body.entities
    ]
    own = [replace(e, text=on_one_line(e.text), concept=None) for e in title.entities]
    rows = [(title.id, e.id, e.type, str(e.start), str(e.end), e.text) for e in reversed(own + moved)]
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "x_abstracts_gs.tsv").write_bytes(f"{title.id}\t{one}\t{two}\n".encode())
        (folder / "x_entities_gs.tsv").write_bytes("".join("\t".join(row) + "\n" for row in rows).encode())
        found = list(read_documents(folder))
    assert found == [Document(title.id, f"{one}\n{two}", tuple(reversed(own + moved)))]


@settings(max_examples=50)
@given(documents(control=True))
def test_brat_pairs_give_their_documents(document: Document) -> None:
    """A text file is taken as it is, with CRLF and all; the mentions' line breaks are blanks, as brat writes them."""
    plain = [replace(e, concept=None, type=e.type.replace(" ", "_")) for e in document.entities]
    rows = [f"{e.id}\t{e.type} {e.start} {e.end}\t{on_one_line(e.text)}\n" for e in plain]
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a b.txt").write_bytes(document.text.encode())
        (folder / "a b.ann").write_bytes("".join(rows).encode())
        found = list(read_documents(folder))
    assert found == [Document("a b", document.text, tuple(plain))]


@settings(max_examples=50)
@given(several(documents()))
def test_the_bioc_package_reads_what_we_write(found: list[Document]) -> None:
    """It holds texts, mentions and relations to be the same, and nothing that its validation complains of."""
    loaded = (
        biocxml.load(io.BytesIO(written("bioc-xml", found).encode())),
        biocjson.loads(written("bioc-json", found)),
    )
    for collection in loaded:
        assert collection.infons == {"model": MODEL.name, "fingerprint": MODEL.fingerprint}
        bioc.validate(collection)
        for theirs, ours in zip(collection.documents, found, strict=True):
            (passage,) = theirs.passages
            assert (theirs.id, passage.text or "") == (ours.id, ours.text)
            assert [(a.id, a.infons["type"], a.text) for a in passage.annotations] == [
                (e.id, e.type, e.text) for e in ours.entities
            ]
            assert [[(n.refid, n.role) for n in r.nodes] for r in theirs.relations] == [
                [(r.head.id, "head"), (r.tail.id, "tail")] for r in pairs(ours)
            ]


@settings(max_examples=50)
@given(several(documents()))
def test_we_read_what_the_bioc_package_writes(found: list[Document]) -> None:
    collection = biocjson.loads(written("bioc-json", found))
    assert back("bioc-json", biocjson.dumps(collection)) == found
    assert back("bioc-json", biocjson.dumps(collection, indent=2)) == found
    lines = "".join(json.dumps(biocjson.toJSON(document)) + "\n" for document in collection.documents)
    assert back("bioc-json", lines) == found
    assert back("bioc-xml", biocxml.dumps(collection)) == found


@pytest.mark.parametrize("format_", ["jsonl", "bioc-json", "bioc-xml", "pubtator"])
def test_one_document_of_a_megabyte(format_: str) -> None:
    text = "Aspirin blocks COX-2 and 𝛼-tocopherol does not. " * 21_000
    starts = range(0, len(text), 480)
    entities = tuple(Entity(f"T{i}", "CHEMICAL", s, s + 7, "Aspirin") for i, s in enumerate(starts, start=1))
    assert len(text.encode()) > 1_000_000
    (found,) = back(format_, written(format_, [Document("1", text, entities)]))
    assert isinstance(found, Document)
    assert found.text == text
    assert [e.start for e in found.entities] == list(starts)
