"""Documents that come twice, and ids that do."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featstore.documents import Document, Entity
from featstore.formats import BadDocument, read_documents
from featstore.formats.unique import SeenDocuments

Write = Callable[[str, str | bytes], Path]
ASPIRIN = {"id": "T1", "type": "CHEMICAL", "start": 0, "end": 7}
LINE = json.dumps({"id": "7", "text": "Aspirin.", "entities": [ASPIRIN]})
OTHER = json.dumps({"id": "7", "text": "Aspirin!", "entities": [ASPIRIN]})


def test_the_same_document_again_is_left_out_and_told(write: Write) -> None:
    path = write("a.jsonl", f"{LINE}\n{LINE}\n")
    first, again = read_documents(path)
    assert isinstance(first, Document)
    why = "the document is given twice; what was read already is left out here."
    assert again == BadDocument("7", f"{path}, line 2", why)


def test_another_document_of_the_same_id_is_kept_and_told(write: Write) -> None:
    path = write("a.jsonl", f"{LINE}\n{OTHER}\n")
    first, other = read_documents(path)
    assert isinstance(first, Document)
    assert isinstance(other, Document)
    assert [p.text for p in first.problems] == []
    assert [(p.text[: len(str(path)) + 8], p.lost) for p in other.problems] == [(f"{path}, line 2", False)]
    assert "the id 7 was given to another document already" in other.problems[0].why
    assert isinstance(list(read_documents(path, strict=True))[1], BadDocument)


def test_files_can_be_held_against_each_other(write: Write) -> None:
    seen = SeenDocuments()
    paths = [write(name, LINE) for name in ("a.jsonl", "b.jsonl")]
    found = [each for path in paths for each in read_documents(path, seen=seen)]
    assert [type(each) for each in found] == [Document, BadDocument]
    assert isinstance(next(read_documents(paths[1])), Document)


def test_the_order_of_the_mentions_and_their_ids_make_no_other_document() -> None:
    mentions = [Entity(f"T{n}", "X", n, n + 1, "a") for n in range(3)]
    renamed = [Entity(f"X{n}", "X", n, n + 1, "a") for n in (2, 1, 0)]
    seen = SeenDocuments()
    assert isinstance(seen.judge(Document("1", "aaa", tuple(mentions))), Document)
    assert isinstance(seen.judge(Document("1", "aaa", tuple(renamed))), BadDocument)
    assert isinstance(seen.judge(Document("1", "aaa", tuple(mentions[:2]))), Document)


@given(st.lists(st.integers(0, 3000), max_size=2000))
def test_thousands_are_told_apart(ids: list[int]) -> None:
    seen, known = SeenDocuments(), set[int]()
    for id_ in ids:
        assert isinstance(seen.judge(Document(str(id_), "", ())), BadDocument) == (id_ in known)
        known.add(id_)


@pytest.mark.parametrize("count", [1, 255, 256, 257, 5000])
def test_none_is_forgotten(count: int) -> None:
    seen = SeenDocuments()
    for wanted in (Document, BadDocument):
        assert all(isinstance(seen.judge(Document(str(n), "", ())), wanted) for n in range(count))
