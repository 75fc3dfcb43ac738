"""The relations that documents bring along are read, in every format that has them."""

import json
from pathlib import Path

import pytest

from featstore.documents import Document, StatedRelation
from featstore.formats import read_documents

TEXT = "Aspirin blocks COX-2."
SPANS = {"T1": ("CHEMICAL", 0, 7, "D1"), "T2": ("GENE", 15, 20, "G2")}


def bioc(infons: dict[str, str], nodes: list[str]) -> dict[str, object]:
    relation = {"id": "R1", "infons": infons, "nodes": [{"refid": id_, "role": ""} for id_ in nodes]}
    annotations = [
        {
            "id": id_,
            "infons": {"type": type_, "identifier": concept},
            "text": TEXT[start:end],
            "locations": [{"offset": start, "length": end - start}],
        }
        for id_, (type_, start, end, concept) in SPANS.items()
    ]
    return {
        "id": "7",
        "infons": {},
        "passages": [{"offset": 0, "infons": {}, "text": TEXT, "annotations": annotations, "relations": [relation]}],
    }


def read_one(path: Path, format_: str) -> tuple[StatedRelation, ...]:
    (document,) = read_documents(path, format_)
    assert isinstance(document, Document), document
    return document.relations


BIOC = {
    "nodes": (bioc({"type": "blocks"}, ["T1", "T2"]), ("T1", "T2")),
    "our own output": (bioc({"label": "blocks", "probability": "0.9", "model": "f0"}, ["T1", "T2"]), ("T1", "T2")),
    "BioRED": (bioc({"entity1": "D1", "entity2": "G2", "type": "blocks", "novel": "Novel"}, []), ("D1", "G2")),
    "BC5CDR": (bioc({"relation": "blocks", "Chemical": "D1", "Disease": "G2"}, []), ("D1", "G2")),
    "three nodes": (bioc({"type": "blocks"}, ["T1", "T2", "T1"]), ("T1", "T2", "T1")),
}


@pytest.mark.parametrize(("document", "arguments"), BIOC.values(), ids=BIOC)
def test_bioc(tmp_path: Path, document: dict[str, object], arguments: tuple[str, ...]) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"documents": [document]}))
    assert read_one(path, "bioc-json") == (StatedRelation("blocks", arguments),)


def test_bioc_xml(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(
        f"<collection><document><id>7</id><passage><offset>0</offset><text>{TEXT}</text></passage>"
        '<relation id="R1"><infon key="relation">CID</infon><infon key="Chemical">D1</infon>'
        '<infon key="Disease">D2</infon></relation></document></collection>'
    )
    assert read_one(path, "bioc-xml") == (StatedRelation("CID", ("D1", "D2")),)


def test_pubtator(tmp_path: Path) -> None:
    path = tmp_path / "a.pubtator"
    lines = [f"7|t|{TEXT}", "7\t0\t7\tAspirin\tCHEMICAL\tD1", "7\tblocks\tD1\tG2", "7\tbinds\tD1\tG2\tNovel"]
    path.write_text("\n".join(lines) + "\n")
    blocks, binds = StatedRelation("blocks", ("D1", "G2"), 3), StatedRelation("binds", ("D1", "G2"), 4)
    assert read_one(path, "pubtator") == (blocks, binds)


def test_brat(tmp_path: Path) -> None:
    (tmp_path / "7.txt").write_text(TEXT)
    (tmp_path / "7.ann").write_text("T1\tCHEMICAL 0 7\tAspirin\nR1\tblocks Arg1:T1 Arg2:T2\nT2\tGENE 15 20\tCOX-2\n")
    assert read_one(tmp_path, "brat") == (StatedRelation("blocks", ("T1", "T2"), 2),)


def test_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    entities = [{"id": id_, "type": type_, "start": start, "end": end} for id_, (type_, start, end, _) in SPANS.items()]
    relations = [{"head": "T1", "tail": "T2", "label": "blocks", "probability": 0.9}, {"head": "T1", "label": "binds"}]
    path.write_text(json.dumps({"id": "7", "text": TEXT, "entities": entities, "relations": relations}))
    whole, half = StatedRelation("blocks", ("T1", "T2"), 1), StatedRelation("binds", ("T1",), 1)
    assert read_one(path, "jsonl") == (whole, half)
