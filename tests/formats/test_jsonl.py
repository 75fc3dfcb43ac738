"""JSONL of documents: strict, line by line."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from featstore.documents import Document, Entity, Relation
from featstore.errors import DataError, MissingFileError
from featstore.formats import BadDocument, ModelFacts, read_documents, writer_of

Write = Callable[[str, str | bytes], Path]
LINE: dict[str, Any] = {
    "id": "1",
    "text": "Aspirin blocks COX-2.",
    "entities": [
        {"id": "T1", "type": "CHEMICAL", "start": 0, "end": 7},
        {"id": "T2", "type": "GENE", "start": 15, "end": 20, "text": "COX-2", "concept": "5743"},
    ],
}
READ = Document(
    "1",
    LINE["text"],
    (Entity("T1", "CHEMICAL", 0, 7, "Aspirin"), Entity("T2", "GENE", 15, 20, "COX-2", "5743")),
)


def test_a_line_becomes_a_document(write: Write) -> None:
    line = json.dumps(LINE)
    for content in (line, line + "\n", f"\ufeff{line}\r\n\r\n", "\n" + line):
        assert list(read_documents(write("a.jsonl", content))) == [READ]
    assert list(read_documents(write("a.jsonl.gz", gzip.compress(line.encode())))) == [READ]


def test_what_is_written_says_all_and_can_be_read(
    write: Write, document: Document, relations: list[Relation], model: ModelFacts
) -> None:
    writer = writer_of("jsonl")
    text = writer.header(model) + writer.document(document, relations, model) + writer.footer()
    first, second = json.loads(text)["relations"]
    assert first == {
        "head": "T3",
        "tail": "T6",
        "label": "CPR:4",
        "probability": 0.9,
        "probabilities": {"NONE": 0.1, "CPR:4": 0.9},
        "sentence": [19, 72],
        "attention": [[19, 26, 0.75], [40, 45, 0.25]],
    }
    assert "attention" not in second
    assert json.loads(text)["model"] == {"name": model.name, "fingerprint": model.fingerprint}
    assert list(read_documents(write("a.jsonl", text))) == [document]


FLAWS = [
    ('{"id": "1"', "not JSON"),
    ("[" * 100_000, "not JSON"),
    ("[]", "a JSON object is wanted"),
    ({"id": 1}, "'id' of the document is 1; a string is wanted"),
    ({"id": " "}, "the id of the document is empty"),
    ({"id": "a\tb"}, "cannot be written on a line"),
    ({"txt": ""}, "the document has a member 'txt'; allowed are id, text, entities"),
    ({"text": "\ud835 and more than that"}, "half of a surrogate pair at 0"),
    ({"entities": None}, "a list is wanted"),
]
MENTION_FLAWS: list[tuple[dict[str, Any], str]] = [
    ({"entities": ["T1"]}, 'an entity is "T1"; a JSON object is wanted'),
    ({"entities": [{"id": "T1", "type": "x", "start": 0}]}, "an entity has no 'end'"),
    (
        {"entities": [{"id": "T1", "type": "x", "start": 0, "end": True}]},
        "'end' of an entity is true; a whole number is wanted",
    ),
    ({"entities": [{"id": "T1", "type": "x", "start": 0, "end": [7]}]}, "a whole number is wanted"),
    ({"entities": [{"id": "T1", "type": "", "start": 0, "end": 7}]}, "the type of the entity T1 is empty"),
    ({"entities": [{"id": "T1", "type": "x", "start": -7, "end": 3}]}, "T1 is at -7-3, outside the text of 21"),
    ({"entities": [{"id": "T1", "type": "x", "start": 7, "end": 7}]}, "or empty"),
    ({"entities": [{"id": "T1", "type": "x", "start": 7, "end": 22}]}, "at 7-22, outside the text of 21 characters"),
    ({"entities": [{"id": "T1", "type": "x", "start": 7, "end": 8}]}, "holds blanks only"),
    (
        {"entities": [{"id": "T1", "type": "x", "start": 0, "end": 7, "text": "aspirin"}]},
        "the entity T1 is 'aspirin', but the text has 'Aspirin' at 0-7",
    ),
    ({"entities": [LINE["entities"][0], LINE["entities"][0]]}, "the entity id T1 is given twice"),
]


@pytest.mark.parametrize(("change", "why"), FLAWS)
def test_a_bad_line_is_told_and_the_rest_goes_on(write: Write, change: str | dict[str, Any], why: str) -> None:
    bad = json.dumps(LINE | change) if isinstance(change, dict) else change
    path = write("a.jsonl", f"{json.dumps(LINE)}\n{bad}\n{json.dumps(LINE | {'id': '3'})}\n")
    before, found, after = read_documents(path)
    assert (before, after) == (READ, replace(READ, id="3"))
    assert isinstance(found, BadDocument)
    assert found.where == f"{path}, line 2"
    assert why in found.why
    if isinstance(change, dict) and "id" not in change:
        assert found.id == "1"


@pytest.mark.parametrize(("change", "why"), MENTION_FLAWS)
def test_a_bad_mention_is_left_out_and_told(
    write: Write, left_out: Callable[..., Document], change: dict[str, Any], why: str
) -> None:
    entities = [*change["entities"], LINE["entities"][1]]
    lines = [json.dumps(LINE | {"id": id_}) for id_ in ("0", "2")]
    path = write("a.jsonl", "\n".join([lines[0], json.dumps(LINE | {"entities": entities}), lines[1]]))
    kept = left_out(path, f"{path}, line 2", why)
    assert (kept.text, kept.entities[-1]) == (READ.text, READ.entities[1])
    assert len(kept.entities) == len(entities) - 1


def test_null_is_no_concept_and_no_text(write: Write) -> None:
    entity = {"id": "T1", "type": "CHEMICAL", "start": 0, "end": 7, "text": None, "concept": None}
    (found,) = read_documents(write("a.jsonl", json.dumps(LINE | {"entities": [entity]})))
    assert isinstance(found, Document)
    assert (found.entities, found.problems) == (READ.entities[:1], ())


def test_a_line_that_is_not_utf8_is_one_bad_document(write: Write) -> None:
    line = json.dumps(LINE).encode()
    other = line.replace(b'"1"', b'"3"')
    found = list(read_documents(write("a.jsonl", line + b"\n" + line.replace(b"blocks", b"bl\xf6cks") + b"\n" + other)))
    assert [type(one) for one in found] == [Document, BadDocument, Document]
    assert isinstance(found[1], BadDocument)
    assert "not UTF-8" in found[1].why


@pytest.mark.parametrize("content", [b"pmid\ttitle\n", "{}".encode("utf-16")])
def test_another_format_is_refused_as_a_whole(write: Write, content: bytes) -> None:
    with pytest.raises(DataError):
        list(read_documents(write("a.jsonl", content), "jsonl"))


def test_a_gzip_file_that_breaks_off_gives_what_it_holds(write: Write) -> None:
    packed = gzip.compress("".join(json.dumps(LINE | {"id": str(i)}) + "\n" for i in range(5000)).encode())
    found = list(read_documents(write("a.jsonl.gz", packed[: len(packed) // 2])))
    assert all(isinstance(one, Document) for one in found[:-1])
    assert len(found) > 100
    assert isinstance(found[-1], BadDocument)
    assert "damaged gzip" in found[-1].why
    with pytest.raises(DataError, match="damaged gzip"):
        list(read_documents(write("b.jsonl.gz", packed[:30])))


def test_no_document_and_no_file(write: Write, tmp_path: Path) -> None:
    assert list(read_documents(write("a.jsonl", ""))) == []
    with pytest.raises(MissingFileError):
        read_documents(tmp_path / "nowhere.jsonl")
