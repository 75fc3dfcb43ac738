"""What a format has no room for is reported, where a reader could have passed over it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from featstore.errors import DataError, UsageError
from featstore.formats import BadDocument, ModelFacts, count_documents, read_documents, writer_of

Write = Callable[[str, str | bytes], Path]
PASSAGE = '{"offset": 0, "text": "A drug"}'
BAD = {
    "a text twice in JSONL": (
        "a.jsonl",
        '{"id": "1", "text": "A", "text": "B", "entities": []}',
        "'text' is given twice",
    ),
    "a list twice in JSONL": (
        "a.jsonl",
        '{"id": "1", "text": "A", "entities": [{"id": "T1", "type": "C", "start": 0, "end": 1}], "entities": []}',
        "'entities' is given twice",
    ),
    "a text twice in BioC JSON": (
        "a.json",
        '{"documents": [{"id": "1", "passages": [{"offset": 0, "text": "A", "text": "B"}]}]}',
        "'text' is given twice",
    ),
    "passages twice in a document alone": (
        "a.json",
        f'{{"id": "1", "passages": [{PASSAGE}], "passages": []}}',
        "'passages' is given twice",
    ),
    "text between the elements of BioC XML": (
        "a.xml",
        "<collection><document><id>1</id>lost<passage><offset>0</offset></passage></document></collection>",
        "there is 'lost' in <document>",
    ),
    "text after an element of BioC XML": (
        "a.xml",
        "<collection><document><id>1</id><passage><offset>0</offset><text>A</text>lost</passage></document></collection>",
        "there is 'lost' in <passage>",
    ),
}


@pytest.mark.parametrize(("name", "content", "why"), BAD.values(), ids=BAD)
def test_a_document_of_which_a_part_would_be_lost_is_bad(write: Write, name: str, content: str, why: str) -> None:
    (found,) = read_documents(write(name, content))
    assert isinstance(found, BadDocument)
    assert why in found.why


def test_the_document_after_one_with_a_member_twice_is_read(write: Write) -> None:
    path = write(
        "a.json", f'{{"documents": [{{"id": "1", "id": "2", "passages": []}}, {{"id": "3", "passages": [{PASSAGE}]}}]}}'
    )
    bad, good = read_documents(path)
    assert isinstance(bad, BadDocument)
    assert good.id == "3"


REFUSED = {
    "a passage outside of documents": ("<collection><passage><offset>0</offset></passage></collection>", "<passage>"),
    "documents in an element of their own": (
        "<collection><documents><document><id>1</id></document></documents></collection>",
        "line 1: there is an element <documents> in <collection>",
    ),
}


@pytest.mark.parametrize(("content", "why"), REFUSED.values(), ids=REFUSED)
def test_a_collection_with_an_unknown_element_is_refused(write: Write, content: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        list(read_documents(write("a.xml", content)))


def test_a_table_with_two_columns_of_text_of_one_name_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match="2 columns 'text'"):
        list(read_documents(write("a.csv", "id,text,Text\n1,A,B\n")))


def test_a_mention_whose_start_is_no_number_is_no_relation(write: Write) -> None:
    (found,) = read_documents(write("a.pubtator", "7|t|Aspirin x\n7|a|y\n7\tx0\t7\tAspirin\tChemical\n7\tCID\t7\tD1\n"))
    assert not isinstance(found, BadDocument)
    assert [problem.why for problem in found.problems] == ["the start is 'x0'; a number of 0 or more is wanted."]
    assert [relation.label for relation in found.relations] == ["CID"]


def test_a_relation_whose_id_is_no_text_takes_no_id_from_those_that_are_added(write: Write) -> None:
    relation = '{"id": {"a": 1}, "infons": {}, "nodes": []}'
    path = write("a.json", f'{{"documents": [{{"id": "1", "passages": [{PASSAGE}], "relations": [{relation}]}}]}}')
    (found,) = read_documents(path)
    assert not isinstance(found, BadDocument)
    model = ModelFacts("m", "ab", ("X",))
    assert '"a": 1' in writer_of("bioc-json").document(found, [], model)


def test_what_macos_leaves_in_a_folder_is_no_pair_and_is_not_counted(write: Write) -> None:
    write("left/._a.ann", b"\0")
    with pytest.raises(UsageError, match="holds none of"):
        read_documents(write("left/._a.txt", b"\0").parent)
    folder = write("pairs/a.txt", "Aspirin.").parent
    for name in ("a.ann", "._a.ann", "below/._b.ann"):
        write(f"pairs/{name}", "T1\tDrug 0 7\tAspirin\n")
    assert [found.id for found in read_documents(folder)] == ["a"]
    assert count_documents(folder) == 1
