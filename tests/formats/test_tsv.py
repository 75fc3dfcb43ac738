"""TSV: one relation a line."""

import csv
import io
from dataclasses import replace

from featstore.documents import Document, Entity, Relation
from featstore.formats import ModelFacts, writer_of


def test_a_line_for_each_relation(document: Document, relations: list[Relation], model: ModelFacts) -> None:
    writer = writer_of("tsv")
    header, *rows = (writer.header(model) + writer.document(document, relations, model)).splitlines()
    found = [dict(zip(header.split("\t"), row.split("\t"), strict=True)) for row in rows]
    assert [row["label"] for row in found] == ["CPR:4", "NONE"]
    head = relations[1].head
    assert found[1] == {
        "document": "7",
        **{f"head_{name}": str(getattr(head, name)) for name in ("id", "type", "start", "end", "text")},
        "head_concept": "",
        **{f"tail_{name}": str(getattr(relations[1].tail, name)) for name in ("id", "type", "start", "end", "text")},
        "tail_concept": "",
        "label": "NONE",
        "meaning": "",
        "probability": "0.800000",
        "sentence_start": "19",
        "sentence_end": "72",
        "sentence": document.text[19:72],
        "attention": "",
        "model": "ab" * 16,
    }
    assert found[0]["head_concept"] == "MESH:D001241"
    assert found[0]["meaning"].startswith("down-regulation (downregulator, inhibitor")
    assert found[0]["attention"] == "19-26:0.7500 40-45:0.2500"
    assert document.text[int(found[1]["head_start"]) : int(found[1]["head_end"])] == "𝛼-tocopherol"


def test_a_mention_over_lines_stays_on_its_line(relations: list[Relation], model: ModelFacts) -> None:
    text = "alpha\r\nbeta\tgamma"
    odd = replace(relations[0], head=Entity("T1", "CHEMICAL", 0, len(text), text))
    row = writer_of("tsv").document(Document("7", text, (odd.head,)), [odd], model)
    assert row.count("\n") == 1
    assert row.split("\t")[5] == "alpha  beta gamma"


def test_a_quotation_mark_is_read_by_the_usual_readers_of_tables() -> None:
    text = 'Zinc binds the "type-3" receptor'
    head, tail = Entity("T1", "CHEMICAL", 0, 4, "Zinc"), Entity("T2", "GENE", 15, 32, text[15:32])
    relation = Relation(head, tail, "CPR:3", 0.9, {"CPR:3": 0.9}, (0, len(text)))
    model = ModelFacts("m", "f" * 64, ("CPR:3",))
    writer = writer_of("tsv")
    written = writer.header(model) + writer.document(Document("1", text, (head, tail)), [relation] * 2, model)
    rows = list(csv.DictReader(io.StringIO(written), dialect="excel-tab"))
    assert [row["tail_text"] for row in rows] == ['"type-3" receptor'] * 2
    assert rows[0]["sentence"] == text
