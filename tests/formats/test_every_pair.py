"""Documents from each format to each format: what is kept is what the table in ``docs/formats.md`` says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fuzz_samples import MODEL, documents

from featstore.documents import Document
from featstore.formats import read_documents, writer_of
from featstore.formats.bioc import infons_of, members

DOCS = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
SAMPLES = {sample.name.partition(" ")[2]: sample.files for sample in documents()}
INFON = {"journal": "J.", "year": "2004"}


def room() -> dict[str, tuple[str, ...]]:
    """The cells of the documented table, by format."""
    section = DOCS.read_text(encoding="utf-8").split("## What a format has no room for")[1]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {name: tuple(cells) for first, *cells in rows for name in re.findall("`(.+?)`", first)}


ROOM = room()
WRITTEN = ("jsonl", "bioc-json", "bioc-xml", "pubtator")


def keeps(one: str, other: str, column: int) -> bool:
    return not any(ROOM[name][column].startswith("no") for name in (one, other))


def written(folder: Path, found: list[Document], format_: str) -> list[Document]:
    """The documents after they were written in a format and read again."""
    writer = writer_of(format_)
    body = writer.separator.join(writer.document(document, [], MODEL) for document in found)
    path = folder / format_
    path.write_text(writer.header(MODEL) + body + writer.footer(), encoding="utf-8")
    return read(path, format_)


def read(path: Path, format_: str) -> list[Document]:
    found = list(read_documents(path, format_))
    assert all(isinstance(document, Document) and not document.problems for document in found)
    return [document for document in found if isinstance(document, Document)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "given").mkdir()
    return tmp_path


def given(folder: Path, format_: str) -> list[Document]:
    """Three documents of a format; with infons, if it has room for them."""
    for name, content in SAMPLES[format_].items():
        if format_ == "bioc-json":
            content = content.replace(
                b'"infons": {}, "passages"', b'"infons": {"journal": "J.", "year": "2004"}, "passages"'
            )
        if format_ == "bioc-xml":
            infons = "".join(f'<infon key="{key}">{value}</infon>' for key, value in INFON.items())
            content = content.replace(b"</id><passage>", b"</id>" + infons.encode() + b"<passage>")
        (folder / "given" / name).write_bytes(content)
    files = SAMPLES[format_]
    return read(folder / "given" / next(iter(files)) if len(files) == 1 else folder / "given", format_)


def mentions(document: Document, *, ids: bool) -> list[tuple[object, ...]]:
    return [(e.type, e.start, e.end, e.text, *([e.id] if ids else [])) for e in document.entities]


def passages(document: Document) -> list[tuple[int, int, str]]:
    """Title and abstract: BioC says them in its passages."""
    if document.bioc is None:
        return [(part.start, part.end, part.kind) for part in document.passages]
    parts = members(document.bioc, "passages")
    return [(p["offset"], p["offset"] + len(p["text"]), str(infons_of(p).get("type", ""))) for p in parts]


def test_the_table_names_every_format_that_has_mentions() -> None:
    assert set(ROOM) == {*WRITTEN, "brat", "chemprot"}


@pytest.mark.parametrize("target", WRITTEN)
@pytest.mark.parametrize("source", sorted(ROOM))
def test_a_pair_of_formats_keeps_what_both_have_room_for(folder: Path, source: str, target: str) -> None:
    before = given(folder, source)
    assert len(before) == 3
    after = written(folder, before, target)
    for one, other in zip(before, after, strict=True):
        assert (other.id, other.text) == (one.id, one.text)
        assert mentions(other, ids=keeps(source, target, 1)) == mentions(one, ids=keeps(source, target, 1))
        if keeps(source, target, 2):
            told = {e.start: e.concept for e in other.entities}
            assert all(told[e.start] == e.concept for e in one.entities if e.concept)
            assert one.entities[0].concept or source == "brat"
        if keeps(source, target, 3) and source.startswith(("pubtator", "chemprot")):
            assert passages(other) == passages(one)
            assert [kind for *_, kind in passages(one)] == ["title", "abstract"]
        if keeps(source, target, 4):
            assert one.bioc is not None
            assert other.bioc is not None
            assert infons_of(other.bioc) == infons_of(one.bioc) == INFON
            assert passages(other) == passages(one)
            assert [r.label for r in other.relations] == [r.label for r in one.relations] == ["CPR:4"]
