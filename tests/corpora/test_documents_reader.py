"""Annotated documents of any format as a corpus."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from featstore.corpora import load_corpus
from featstore.errors import DataError, MissingFileError, UsageError
from featstore.gold import gold_pair
from featstore.records import Corpus

TEXT = "TNF raises IL6 in gout. IL6 is low. Colchicine helps in gout, TNF does not."
# id, type, text, concept
MENTIONS = [
    ("T1", "GENE", "TNF", "7124"),
    ("T2", "GENE", "IL6", "3569"),
    ("T3", "DISEASE", "gout", "D006073|D000001"),
    ("T4", "GENE", "IL6", "3569"),
    ("T5", "CHEMICAL", "Colchicine", "D003078"),
    ("T6", "DISEASE", "gout", "D006073"),
    ("T7", "GENE", "TNF", "7124"),
]
Relations = list[tuple[str, ...]]
RELATIONS: Relations = [("raises", "T2", "T1"), ("treats", "T5", "T6")]
BY_CONCEPT: Relations = [("raises", "3569", "7124"), ("treats", "D003078", "D000001")]


def spans() -> dict[str, tuple[int, int]]:
    found, place = {}, 0
    for id_, _, text, _ in MENTIONS:
        start = TEXT.index(text, place)
        place = start + len(text)
        found[id_] = (start, place)
    return found


def jsonl(path: Path, *ids: str, relations: Relations = RELATIONS, **more: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    entities = [
        {"id": id_, "type": type_, "start": spans()[id_][0], "end": spans()[id_][1], "concept": concept}
        for id_, type_, _, concept in MENTIONS
    ]
    stated = [{"label": label, **dict(zip(("head", "tail"), arguments))} for label, *arguments in relations]  # noqa: B905
    lines = [json.dumps({"id": id_, "text": TEXT, "entities": entities, "relations": stated, **more}) for id_ in ids]
    path.write_text("\n".join(lines) + "\n")
    return path


def brat(folder: Path, *ids: str, relations: Relations = RELATIONS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for id_ in ids:
        lines = [f"{t}\t{type_} {spans()[t][0]} {spans()[t][1]}\t{text}" for t, type_, text, _ in MENTIONS]
        lines += [f"R{n}\t{label} Arg1:{a} Arg2:{b}" for n, (label, a, b) in enumerate(relations, 1)]
        (folder / f"{id_}.txt").write_text(TEXT)
        (folder / f"{id_}.ann").write_text("\n".join(lines) + "\n")
    return folder


def pubtator(path: Path, *ids: str, relations: Relations = BY_CONCEPT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = []
    for id_ in ids:
        rows = [(str(spans()[t][0]), str(spans()[t][1]), text, type_, concept) for t, type_, text, concept in MENTIONS]
        blocks.append("\n".join([f"{id_}|t|{TEXT}", *("\t".join((id_, *row)) for row in [*rows, *relations])]))
    path.write_text("\n\n".join(blocks) + "\n")
    return path


def bioc(path: Path, *ids: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    annotations = [
        {
            "id": id_,
            "infons": {"type": type_, "identifier": concept},
            "text": text,
            "locations": [{"offset": spans()[id_][0], "length": len(text)}],
        }
        for id_, type_, text, concept in MENTIONS
    ]
    relations = [
        {"id": f"R{n}", "infons": {"type": label}, "nodes": [{"refid": a, "role": ""}, {"refid": b, "role": ""}]}
        for n, (label, a, b) in enumerate(RELATIONS)
    ]
    passage = {"offset": 0, "infons": {}, "text": TEXT, "annotations": annotations, "relations": relations}
    path.write_text(json.dumps({"documents": [{"id": id_, "infons": {}, "passages": [passage]} for id_ in ids]}))
    return path


def labels(corpus: Corpus) -> dict[str, str | None]:
    return {i.id.partition(":")[2]: i.label for i in corpus.instances}


MENTION_LEVEL = {"T1:T2": "raises", "T5:T6": "treats"}


@pytest.mark.parametrize(("write", "name"), [(jsonl, "a.jsonl"), (brat, "a"), (bioc, "a.json")])
def test_relations_between_mentions(tmp_path: Path, write: Callable[..., Path], name: str) -> None:
    corpus = load_corpus(f"documents:{write(tmp_path / name, '7')}")
    assert labels(corpus) == {f"7:{pair}": label for pair, label in MENTION_LEVEL.items()}
    assert corpus.labels == ("NONE", "raises", "treats")
    assert (corpus.instances[1].head_type, corpus.instances[1].tail_type) == ("chem", "dise")
    assert corpus.gold is not None
    assert {(r.pair, r.label) for r in corpus.gold.relations} == {
        (gold_pair("7", "T1", "T2"), "raises"),
        (gold_pair("7", "T5", "T6"), "treats"),
    }


def test_relations_between_concepts(tmp_path: Path) -> None:
    corpus = load_corpus(f"documents:{pubtator(tmp_path / 'a.pubtator', '7')}")
    # The related disease is one of the two that T3 means; T3 and colchicine share no sentence.
    assert labels(corpus) == {"7:T1:T2": "raises", "7:T5:T6": "NONE"}
    assert sum(count for note, count in corpus.notes.items() if note.startswith("gold unreachable")) == 1
    assert corpus.gold is not None
    assert gold_pair("7", "D003078", "D000001") in {r.pair for r in corpus.gold.relations}


def test_negatives_are_all_pairs_of_the_types_that_occur(tmp_path: Path) -> None:
    relations: Relations = [("marks", "T1", "T3"), ("marks", "T6", "T7"), ("marks", "T2", "T3")]
    corpus = load_corpus(f"documents:{jsonl(tmp_path / 'a.jsonl', '7', relations=relations)}")
    # Genes with diseases and nothing else; the gene is the head, as most relations have it.
    assert labels(corpus) == {"7:T1:T3": "marks", "7:T2:T3": "marks", "7:T7:T6": "marks"}
    two = load_corpus(f"documents:{jsonl(tmp_path / 'b.jsonl', '7', relations=[*relations, RELATIONS[1]])}")
    assert labels(two) == {**labels(corpus), "7:T5:T6": "treats"}
    fewer = load_corpus(f"documents:{jsonl(tmp_path / 'c.jsonl', '7', relations=relations[:1])}")
    assert labels(fewer) == {"7:T1:T3": "marks", "7:T2:T3": "NONE", "7:T7:T6": "NONE"}


def test_parts_are_folders(tmp_path: Path) -> None:
    for part, id_ in (("train", "1"), ("dev", "2"), ("test", "3")):
        brat(tmp_path / part, id_)
    (tmp_path / "README").write_text("what is no part is passed over")
    corpus = load_corpus(f"documents:{tmp_path}")
    assert {(i.source["document"], i.split) for i in corpus.instances} == {("1", "train"), ("2", "dev"), ("3", "test")}


def test_parts_are_files(tmp_path: Path) -> None:
    jsonl(tmp_path / "my_train.jsonl", "1")
    pubtator(tmp_path / "MyTestSet.pubtator", "3", relations=[])
    corpus = load_corpus(f"documents:{tmp_path}")
    assert {(i.source["document"], i.split) for i in corpus.instances} == {("1", "train"), ("3", "test")}


def test_parts_are_drawn_by_document(tmp_path: Path) -> None:
    ids = [str(n) for n in range(200)]
    corpus = load_corpus(f"documents:{jsonl(tmp_path / 'a.jsonl', *ids)}")
    drawn = {i.source["document"]: i.split for i in corpus.instances}
    assert {(i.source["document"], i.split) for i in corpus.instances} == set(drawn.items())
    counts = Counter(drawn.values())
    assert 140 < counts["train"] < 180
    assert min(counts["dev"], counts["test"]) > 8
    # Neither the order of the documents nor what else there is changes where one goes.
    other = load_corpus(f"documents:{jsonl(tmp_path / 'b.jsonl', *reversed(ids[:50]), 'x')}")
    again = {i.source["document"]: i.split for i in other.instances}
    assert all(again[id_] == drawn[id_] for id_ in ids[:50])


BAD = {
    "a foreign argument": (("raises", "T1", "T9"), "has the argument 'T9', but no entity of the document has this id"),
    "one argument": (("raises", "T1"), "a relation raises has 1 arguments (T1); two are wanted"),
    "no label": (("", "T1", "T2"), "the relation type is ''; raises, treats are allowed"),
}


@pytest.mark.parametrize(("relation", "message"), BAD.values(), ids=BAD)
def test_a_bad_relation_is_told_and_the_rest_is_read(tmp_path: Path, relation: tuple[str, ...], message: str) -> None:
    whole = load_corpus(f"documents:{jsonl(tmp_path / 'a.jsonl', '7')}")
    corpus = load_corpus(f"documents:{jsonl(tmp_path / 'b.jsonl', '7', relations=[*RELATIONS, relation])}")
    assert corpus.instances == whole.instances
    (problem,) = corpus.problems
    assert problem.text.startswith(f"{tmp_path}/b.jsonl, line 1: document 7: ")
    assert message in problem.text


def test_three_arguments(tmp_path: Path) -> None:
    path = bioc(tmp_path / "a.json", "7", "8")
    given = json.loads(path.read_text())
    given["documents"][1]["passages"][0]["relations"][0]["nodes"].append({"refid": "T3", "role": ""})
    path.write_text(json.dumps(given))
    corpus = load_corpus(f"documents:{path}")
    assert labels(corpus) == {
        "7:T1:T2": "raises", "7:T5:T6": "treats", "8:T1:T2": "NONE", "8:T5:T6": "treats",
    }  # fmt: skip
    (problem,) = corpus.problems
    assert "document 8: a relation raises has 3 arguments (T2, T1, T3); two are wanted" in problem.text


def test_no_relations(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no relations between two arguments"):
        load_corpus(f"documents:{jsonl(tmp_path / 'a.jsonl', '7', relations=[])}")
    with pytest.raises(DataError, match="no relation has arguments that are entities, or concepts"):
        load_corpus(f"documents:{jsonl(tmp_path / 'a.jsonl', '7', relations=[('raises', 'X', 'Y')])}")


def test_wrong_paths(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs the path"):
        load_corpus("documents")
    with pytest.raises(MissingFileError, match="does not exist"):
        load_corpus(f"documents:{tmp_path / 'a'}")
    with pytest.raises(MissingFileError, match="holds no documents"):
        load_corpus(f"documents:{tmp_path}")
    (tmp_path / "a.doc").write_text("x")
    with pytest.raises(UsageError, match=r"the format of .*a.doc cannot be determined"):
        load_corpus(f"documents:{tmp_path}")


def test_a_document_in_two_parts(tmp_path: Path) -> None:
    for part in ("train", "test"):
        brat(tmp_path / part, "7")
    with pytest.raises(DataError, match=r"the document 7 is given twice, here and in .*test"):
        load_corpus(f"documents:{tmp_path}")


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_documents_say_what_part_they_are_in(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.jsonl":
        lines = [jsonl(tmp_path / part, str(n), split=part).read_text() for n, part in enumerate(("train", "test"))]
        path.write_text("".join(lines))
    else:
        given = json.loads(bioc(path, "0", "1").read_text())
        for document, part in zip(given["documents"], ("train", "test"), strict=True):
            document["infons"]["split"] = part
        path.write_text(json.dumps(given))
    corpus = load_corpus(f"documents:{path}")
    assert {(i.source["document"], i.split) for i in corpus.instances} == {("0", "train"), ("1", "test")}


def test_what_is_no_part_and_documents_without_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="document 7 has the split 'blind'; train, dev or test is wanted"):
        load_corpus(f"documents:{jsonl(tmp_path / 'a.jsonl', '7', split='blind')}")
    both = jsonl(tmp_path / "b.jsonl", "7", split="test").read_text() + jsonl(tmp_path / "c.jsonl", "8").read_text()
    (tmp_path / "d.jsonl").write_text(both)
    with pytest.raises(DataError, match="document 8 says no split, but others of"):
        load_corpus(f"documents:{tmp_path / 'd.jsonl'}")


def test_a_mention_that_is_not_its_characters_is_told(tmp_path: Path) -> None:
    path = bioc(tmp_path / "a.json", "7")
    given = json.loads(path.read_text())
    given["documents"][0]["passages"][0]["annotations"][2]["text"] = "Sep-15"
    path.write_text(json.dumps(given))
    corpus = load_corpus(f"documents:{path}")
    assert labels(corpus) == {"7:T1:T2": "raises", "7:T5:T6": "treats"}
    (problem,) = corpus.problems
    assert "a.json" in problem.text
    assert "'Sep-15'" in problem.text
