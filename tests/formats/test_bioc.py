"""BioC, XML and JSON: what is kept, what is refused, and that a file cannot reach outside of itself."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from featstore.documents import Document, Entity, Passage, Relation
from featstore.errors import DataError
from featstore.formats import BadDocument, ModelFacts, read_documents, writer_of
from featstore.formats.bioc import with_mentions

Write = Callable[[str, str | bytes], Path]

# A title, a paragraph, and a passage by sentences after a gap, with what other tools leave in a file.
GIVEN: dict[str, Any] = {
    "id": "7",
    "infons": {"license": "none"},
    "passages": [
        {
            "offset": 0,
            "infons": {"type": "title"},
            "text": "Aspirin & COX-2.",
            "sentences": [],
            "annotations": [
                {
                    "id": "2",
                    "infons": {"type": "Chemical", "identifier": "MESH:D001241", "NCBI Homologene": "1"},
                    "text": "Aspirin",
                    "locations": [{"offset": 0, "length": 7}],
                }
            ],
            "relations": [],
        },
        {
            "offset": 20,
            "infons": {"type": "abstract"},
            "sentences": [
                {
                    "offset": 20,
                    "infons": {"n": "1"},
                    "text": "It blocks COX-2.",
                    "annotations": [
                        {
                            "id": "3",
                            "infons": {"type": "Gene", "identifier": "-"},
                            "text": "COX-2",
                            "locations": [{"offset": 30, "length": 5}],
                        }
                    ],
                    "relations": [],
                },
                {"offset": 37, "infons": {}, "text": "That is all.", "annotations": [], "relations": []},
            ],
            "annotations": [],
            "relations": [],
        },
    ],
    "annotations": [],
    "relations": [
        {"id": "R1", "infons": {"type": "Association"}, "nodes": [{"refid": "0", "role": "0,1"}]},
    ],
}
BEFORE, AFTER = GIVEN | {"id": "6"}, GIVEN | {"id": "8"}
TEXT = "Aspirin & COX-2.\n\n\n\nIt blocks COX-2.\nThat is all."
READ = Document(
    "7",
    TEXT,
    (Entity("2", "Chemical", 0, 7, "Aspirin", "MESH:D001241"), Entity("3", "Gene", 30, 35, "COX-2")),
)
MODEL = ModelFacts("m", "ab", ("CPR:4",))


def changed(*path: str | int, to: object) -> dict[str, Any]:
    """The document with one thing in it changed, or taken out if ``to`` is None."""
    copy: dict[str, Any] = json.loads(json.dumps(GIVEN))
    *outer, last = path
    inner: Any = copy
    for step in outer:
        inner = inner[step]
    inner[last] = to
    return copy


def xml_of(given: dict[str, Any]) -> str:
    return writer_of("bioc-xml").document(Document(given["id"], "", (), bioc=given), [], MODEL)


def collection(*documents: str, top: str = "") -> str:
    return f'<?xml version="1.0"?>\n{top}<collection><source/><date/><key/>\n{"".join(documents)}</collection>'


@pytest.mark.parametrize("format_", ["bioc-xml", "bioc-json"])
def test_what_was_read_is_written_with_relations_and_nothing_else_changed(write: Write, format_: str) -> None:
    content = json.dumps({"documents": [GIVEN]}) if format_ == "bioc-json" else collection(xml_of(GIVEN))
    (found,) = read_documents(write("a", content), format_)
    assert found == READ
    relation = Relation(READ.entities[0], READ.entities[1], "CPR:4", 0.912345678, {}, (20, 36))
    for other in ("bioc-xml", "bioc-json"):
        writer = writer_of(other)
        text = writer.header(MODEL) + writer.document(found, [relation], MODEL) + writer.footer()
        (again,) = read_documents(write("b", text), other)
        assert isinstance(again, Document)
        assert again == READ
        assert again.bioc is not None
        old, new = again.bioc["relations"]
        assert {**again.bioc, "relations": [old]} == GIVEN
        assert new == {
            "id": "R2",
            "infons": {"label": "CPR:4", "probability": "0.912346", "model": "ab"},
            "nodes": [{"refid": "2", "role": "head"}, {"refid": "3", "role": "tail"}],
        }


def test_what_json_alone_can_say_is_kept_in_json_and_told_in_xml(write: Write) -> None:
    more = changed("passages", 0, "annotations", 0, "infons", "normalized", to=["a", 1]) | {"_id": "7|None"}
    (found,) = read_documents(write("a.json", json.dumps([{"PubTator3": [more]}])))
    assert isinstance(found, Document)
    assert json.loads(writer_of("bioc-json").document(found, [], MODEL)) == more
    assert '<infon key="normalized">["a", 1]</infon>' in writer_of("bioc-xml").document(found, [], MODEL)


FLAWS: list[tuple[dict[str, Any], str]] = [
    (changed("id", to=""), "the id of the document is empty"),
]
JSON_FLAWS: list[tuple[object, str]] = [
    ("7", "a document is '7'; a JSON object is wanted"),
    (changed("id", to=7.5), "the id of a document is '7.5'; a string is wanted"),
    (changed("passages", to=None), "the passages of a document is 'None'; a list is wanted"),
    (changed("passages", 0, to=[]), "a passage is '[]'"),
    (changed("passages", 0, "offset", to=True), "the offset of a passage is 'True'; a whole number is wanted"),
    (changed("relations", to=["R1"]), "a relation is 'R1'; a JSON object is wanted"),
    (changed("infons", "x", to="\ud800"), "half of a surrogate pair"),
]
XML_FLAWS = [
    ("<id>7</id><passage><text>a</text></passage>", "the offset of a passage is ''; a number of 0 or more"),
    ("<id>7</id><passage><offset>-1</offset></passage>", "the offset of a passage is '-1'"),
    ("<passage><offset>0</offset></passage>", "the id of a document is 'None'"),
    ("<id>7</id><passage><offset>0</offset><title>a</title></passage>", "an element <title> in <passage>"),
    ("<id>7</id><passage><offset>0</offset><text>a</text><text>b</text></passage>", "2 elements <text> in a <passage>"),
]


@pytest.mark.parametrize(("given", "why"), [*FLAWS, *JSON_FLAWS])
def test_a_bad_document_in_json_is_told_and_the_rest_goes_on(write: Write, given: object, why: str) -> None:
    path = write("a.json", json.dumps({"documents": [BEFORE, given, AFTER]}))
    before, bad, after = read_documents(path)
    assert (before, after) == (replace(READ, id="6"), replace(READ, id="8"))
    assert isinstance(bad, BadDocument)
    assert bad.where == f"{path}, line 1, document 2"
    assert why in bad.why


@pytest.mark.parametrize(("inner", "why"), [*((xml_of(given), why) for given, why in FLAWS), *XML_FLAWS])
def test_a_bad_document_in_xml_is_told_and_the_rest_goes_on(write: Write, inner: str, why: str) -> None:
    bad = inner if inner.startswith("<document>") else f"<document>{inner}</document>\n"
    path = write("a.xml", collection(xml_of(BEFORE), bad, xml_of(AFTER)))
    before, found, after = read_documents(path)
    assert (before, after) == (replace(READ, id="6"), replace(READ, id="8"))
    assert isinstance(found, BadDocument)
    assert found.where == f"{path}, line 4"
    assert why in found.why


FIRST = ("passages", 0, "annotations", 0)
MENTION_FLAWS: list[tuple[dict[str, Any], str]] = [
    (changed(*FIRST, "locations", to=[]), "the entity 2 has no offsets"),
    (changed(*FIRST, "locations", 0, "length", to=70), "at 0-70, outside the text of 49"),
    (changed(*FIRST, "locations", 0, "length", to=0), "or empty"),
    (changed(*FIRST, "text", to="aspirin"), "is 'aspirin', but the text has 'Aspirin' at 0-7"),
    (changed(*FIRST, "infons", to={}), "the entity 2 has no infon 'type'"),
    (changed(*FIRST, "locations", 0, "offset", to="a"), "the offset of a location is 'a'; a whole number is wanted"),
]
JSON_MENTION_FLAWS: list[tuple[dict[str, Any], str]] = [
    (changed(*FIRST, to=7), "an annotation is '7'"),
    (changed(*FIRST, "id", to=None), "the id of an annotation is 'None'"),
    (changed(*FIRST, "locations", to=None), "the locations of an annotation is 'None'; a list is wanted"),
    (changed(*FIRST, "text", to=["Aspirin"]), "the text of an annotation is"),
]


@pytest.mark.parametrize(("given", "why"), [*MENTION_FLAWS, *JSON_MENTION_FLAWS])
def test_a_bad_mention_in_json_is_left_out_told_and_written_as_it_was(
    write: Write, left_out: Callable[..., Document], given: dict[str, Any], why: str
) -> None:
    path = write("a.json", json.dumps({"documents": [BEFORE, given, AFTER]}))
    kept = left_out(path, f"{path}, line 1", why)
    assert (kept.text, kept.entities) == (TEXT, READ.entities[1:])
    assert json.loads(writer_of("bioc-json").document(kept, [], MODEL)) == given
    assert "<document>" in writer_of("bioc-xml").document(kept, [], MODEL)


@pytest.mark.parametrize(("given", "why"), MENTION_FLAWS)
def test_a_bad_mention_in_xml_is_left_out_told_and_written_as_it_was(
    write: Write, left_out: Callable[..., Document], given: dict[str, Any], why: str
) -> None:
    inner = xml_of(given).replace("<annotation", "\n<annotation")
    path = write("a.xml", collection(xml_of(BEFORE), inner, xml_of(AFTER)))
    kept = left_out(path, f"{path}, line 5", why)
    assert (kept.text, kept.entities) == (TEXT, READ.entities[1:])
    assert writer_of("bioc-xml").document(kept, [], MODEL) == xml_of(given)


def test_an_id_given_twice_costs_the_second_mention(write: Write, left_out: Callable[..., Document]) -> None:
    path = write("a.json", json.dumps([BEFORE, changed(*FIRST, "id", to="3"), AFTER]))
    assert [e.start for e in left_out(path, None, "the entity id 3 is given twice").entities] == [0]


def test_ids_that_are_numbers_are_read(write: Write) -> None:
    given = changed("id", to=7)
    given["passages"][0]["annotations"][0]["id"] = 2
    (found,) = read_documents(write("a.json", json.dumps([given])))
    assert found == READ
    assert isinstance(found, Document)
    assert json.loads(writer_of("bioc-json").document(found, [], MODEL)) == given


def test_a_mention_in_pieces_is_one_stretch_and_written_in_pieces(
    write: Write, left_out: Callable[..., Document]
) -> None:
    given = changed(*FIRST, "locations", to=[{"offset": 10, "length": 3}, {"offset": 0, "length": 7}])
    given["passages"][0]["annotations"][0]["text"] = "Aspirin COX"
    path = write("a.json", json.dumps([BEFORE, given, AFTER]))
    kept = left_out(
        path, f"{path}, line 1", "the entity 2 is in 2 pieces (10-13, 0-7); it is taken as the stretch 0-13."
    )
    assert kept.entities[0] == Entity("2", "Chemical", 0, 13, "Aspirin & COX", "MESH:D001241")
    assert json.loads(writer_of("bioc-json").document(kept, [], MODEL)) == given


@pytest.mark.parametrize("offset", [-1, 15, 10**9])
def test_a_passage_at_an_impossible_offset_stands_behind_the_one_before_it(
    write: Write, left_out: Callable[..., Document], offset: int
) -> None:
    given = changed("passages", 1, "sentences", 0, "offset", to=offset)
    given["passages"][1]["sentences"][0]["annotations"][0]["locations"][0]["offset"] = offset + 10
    path = write("a.json", json.dumps([BEFORE, given, AFTER]))
    kept = left_out(path, None, f"begins at {offset}, but the one before it ends at 16; here it begins at 17.")
    assert kept.text.startswith("Aspirin & COX-2.\nIt blocks COX-2.")
    assert kept.entities[1] == Entity("3", "Gene", 27, 32, "COX-2")
    assert json.loads(writer_of("bioc-json").document(kept, [], MODEL)) == given


@pytest.mark.parametrize("infon", ["MESH", "NCBI Gene", "Identifier"])
def test_a_concept_may_be_named_by_its_vocabulary(write: Write, infon: str) -> None:
    given = changed(*FIRST, "infons", to={"type": "Chemical", infon: "MESH:D001241"})
    assert list(read_documents(write("a.json", json.dumps([given])))) == [READ]


def test_relations_that_are_only_passed_through_are_not_looked_at(write: Write) -> None:
    """BioRED's JSON has relations without nodes, and others have them without an id."""
    given = changed("relations", to=[{"id": "R0", "infons": {"novel": "Novel"}}, {"nodes": None}, {"nodes": "x"}])
    (found,) = read_documents(write("a.json", json.dumps([given])))
    assert isinstance(found, Document)
    assert found.problems == ()
    assert json.loads(writer_of("bioc-json").document(found, [], MODEL)) == given
    assert '<relation id="R0"><infon key="novel">Novel</infon></relation>' in writer_of("bioc-xml").document(
        found, [], MODEL
    )


def test_infons_given_several_times_are_kept(write: Write) -> None:
    several = '<infon key="license">none</infon><infon key="license">CC0</infon><infon key="license">CC BY</infon>'
    inner = xml_of(GIVEN).replace('<infon key="license">none</infon>', several)
    (found,) = read_documents(write("a.xml", collection(inner)))
    assert isinstance(found, Document)
    assert writer_of("bioc-xml").document(found, [], MODEL) == inner
    as_json = writer_of("bioc-json").document(found, [], MODEL)
    assert json.loads(as_json)["infons"] == {"license": ["none", "CC0", "CC BY"]}
    (again,) = read_documents(write("a.json", f"[{as_json}]"))
    assert isinstance(again, Document)
    assert writer_of("bioc-xml").document(again, [], MODEL) == inner


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1]",
        "7",
        "{}",
        '{"a": 1}',
        "[" * 100_000,
        '{"documents": [' + "[" * 100_000,
        '{"documents" 1}',
        "{documents: []}",
        '{"documents": [{"id": "1",}]}',
        '{"documents": [nope]}',
        '{"documents": [' + "9" * 5000 + "]}",
        b'{"documents": ["\xff"]}',
    ],
)
def test_json_that_is_none_or_not_bioc_is_refused(write: Write, content: str | bytes) -> None:
    path = write("a.json", content)
    if content:
        with pytest.raises(DataError, match=r"a\.json"):
            list(read_documents(path, "bioc-json"))
    else:
        assert list(read_documents(path)) == []


@pytest.mark.parametrize("content", ["", "<a/>", "<collection>", "<html><document/></html>", "<collection></x>"])
def test_xml_that_is_none_or_not_bioc_is_refused(write: Write, content: str) -> None:
    with pytest.raises(DataError, match=r"a\.xml"):
        list(read_documents(write("a.xml", content)))


@pytest.mark.parametrize("name", ["a.json", "a.xml"])
def test_a_file_that_breaks_off_gives_what_it_holds(write: Write, name: str) -> None:
    content = (
        json.dumps({"documents": [GIVEN, GIVEN]}) if name == "a.json" else collection(xml_of(GIVEN), xml_of(GIVEN))
    )
    first, last = read_documents(write(name, content[:-60]))
    assert first == READ
    assert isinstance(last, BadDocument)
    assert "What comes after this place could not be read." in last.why


def test_bytes_that_windows_leaves(write: Write) -> None:
    """Byte order marks and CRLF in JSON and XML; XML in the encodings that it declares."""
    (found,) = read_documents(
        write("a.json", "\ufeff" + json.dumps({"documents": [GIVEN]}, indent=1).replace("\n", "\r\n"))
    )
    assert found == READ
    text = collection(xml_of(GIVEN)).replace("\n", "\r\n")
    for path in (
        write("a.xml", "\ufeff" + text),
        write("b", text.encode("utf-16")),
        write("c.xml", text.replace('"1.0"', '"1.0" encoding="ISO-8859-1"').encode("latin-1")),
    ):
        assert list(read_documents(path, "bioc-xml")) == [READ]


def test_a_character_that_xml_cannot_hold_is_refused_in_writing() -> None:
    with pytest.raises(DataError, match=r"document 7 holds the character U\+0001.*jsonl"):
        writer_of("bioc-xml").document(Document("7", "a\x01b", ()), [], MODEL)


BOMB = "<!DOCTYPE collection [<!ENTITY a 'boom'>{}]>".format(
    "".join(f"<!ENTITY {chr(98 + i)} '{f'&{chr(97 + i)};' * 20}'>" for i in range(10))
)
OUTSIDE = "<!DOCTYPE collection [<!ENTITY a SYSTEM '{}'>]>"
PARAMETER = "<!DOCTYPE collection [<!ENTITY % a SYSTEM '{}'> %a;]>"


@pytest.mark.parametrize("top", [BOMB, OUTSIDE, PARAMETER])
def test_declared_entities_are_refused_before_they_do_anything(write: Write, top: str) -> None:
    secret = write("secret", "<!ENTITY k 'secret'>").as_uri()
    inner = "<document><id>1</id><passage><offset>0</offset><text>&a;&k;</text></passage></document>"
    path = write("a.xml", collection(inner, top=top.replace("{}", secret)))
    with pytest.raises(DataError, match="declares an entity"):
        list(read_documents(path))


def test_the_dtd_of_bioc_is_named_and_not_loaded(write: Write) -> None:
    """What it might declare is then not known: a document that needs it is a bad one, not one with a hole."""
    dtd = write("BioC.dtd", "<!ENTITY alpha 'secret'>")
    top = f"<!DOCTYPE collection SYSTEM '{dtd.as_uri()}'>"
    hole = "<document><id>1</id><passage><offset>0</offset><text>&alpha;-tocopherol</text></passage></document>"
    good, bad, last = read_documents(write("a.xml", collection(xml_of(BEFORE), hole, xml_of(AFTER), top=top)))
    assert (good, last) == (replace(READ, id="6"), replace(READ, id="8"))
    assert isinstance(bad, BadDocument)
    assert (bad.id, bad.why) == ("1", "the entity &alpha; is not known; write its characters instead.")


@pytest.mark.parametrize("format_", ["bioc-xml", "bioc-json"])
def test_attention_that_was_asked_for_is_an_infon_of_its_relation(write: Write, format_: str) -> None:
    writer = writer_of(format_)
    explained = Relation(
        READ.entities[0], READ.entities[1], "CPR:4", 0.9, {}, (20, 36), ((20, 27, 0.75), (30, 36, 0.25))
    )
    text = writer.header(MODEL) + writer.document(READ, [explained], MODEL) + writer.footer()
    (again,) = read_documents(write("b", text), format_)
    assert isinstance(again, Document)
    assert again.bioc is not None
    (relation,) = again.bioc["relations"]
    assert json.loads(relation["infons"]["attention"]) == [[20, 27, 0.75], [30, 36, 0.25]]


@pytest.mark.parametrize("format_", ["bioc-xml", "bioc-json"])
def test_title_and_abstract_stay_passages_and_found_mentions_are_added_to_theirs(write: Write, format_: str) -> None:
    passages = (Passage(0, 8, "title"), Passage(9, 25, "abstract", "RESULTS"))
    text = "Aspirin.\nIt blocks COX-2."
    entities = (Entity("T1", "CHEMICAL", 0, 7, "Aspirin"), Entity("T2", "GENE", 19, 24, "COX-2"))
    plain = Document("1", text, entities, passages=passages)
    bare = replace(READ, entities=READ.entities[:0], bioc=changed("passages", 0, "annotations", to=[]))
    found = Entity("F1", "GENE", READ.entities[1].start, READ.entities[1].end, READ.entities[1].text)
    writer = writer_of(format_)
    documents = [writer.document(d, [], MODEL) for d in (plain, with_mentions(bare, [found]))]
    written = writer.header(MODEL) + writer.separator.join(documents) + writer.footer()
    first, second = read_documents(write("b", written), format_)
    assert first == plain
    assert isinstance(first, Document)
    assert first.bioc is not None
    about = [(p["offset"], p["infons"], p["text"], len(p["annotations"])) for p in first.bioc["passages"]]
    assert about == [
        (0, {"type": "title"}, "Aspirin.", 1),
        (9, {"type": "abstract", "section": "RESULTS"}, "It blocks COX-2.", 1),
    ]
    assert isinstance(second, Document)
    assert found in second.entities
