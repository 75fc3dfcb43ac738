"""The readers of documents with relations: DrugProt, BC5CDR, BioRED."""

import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from featstore.corpora import load_corpus
from featstore.corpora.chemprot_drugprot import GROUPS
from featstore.corpora.drugprot import TASK
from featstore.corpora.known import chemprot_test
from featstore.errors import DataError, MissingFileError, UsageError
from featstore.gold import gold_pair
from featstore.records import Corpus

TITLE = "Aspirin and ulcers."
ABSTRACT = "Aspirin caused ulcers or bleeding. Naproxen did not. It was rats that bled with naproxen."
TEXT = f"{TITLE}\n{ABSTRACT}"
MENTIONS = [
    ("Aspirin", "Chemical", "D1"),
    ("ulcers", "Disease", "D2"),
    ("Aspirin", "Chemical", "D1"),
    ("ulcers or bleeding", "Disease", "D2|D3"),
    ("Naproxen", "Chemical", "D4"),
    ("rats", "Disease", "-1"),
    ("naproxen", "Chemical", "D4"),
]
RELATIONS: list[tuple[str, ...]] = [("CID", "D1", "D2"), ("CID", "D4", "D3")]


def labels(corpus: Corpus) -> dict[str, str | None]:
    return {i.id.partition(":")[2]: i.label for i in corpus.instances}


def problems(corpus: Corpus) -> list[str]:
    """The problems, without the folder."""
    return [problem.text.rpartition("/")[2] for problem in corpus.problems]


def zipped(folder: Path, name: str) -> Path:
    """The folder's files in an archive, in a folder there, with what macOS adds."""
    path = folder.parent / name
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"Release/{file.name}")
            archive.writestr(f"__MACOSX/Release/._{file.name}", b"\0\1")
    return path


def pubtator(
    id_: str, mentions: list[tuple[str, str, str]] = MENTIONS, relations: list[tuple[str, ...]] = RELATIONS
) -> str:
    lines, place = [f"{id_}|t|{TITLE}", f"{id_}|a|{ABSTRACT}"], 0
    for text, type_, concept in mentions:
        start = TEXT.index(text, place)
        place = start + len(text)
        lines.append(f"{id_}\t{start}\t{place}\t{text}\t{type_}\t{concept}")
    return "\n".join([*lines, *("\t".join((id_, *relation)) for relation in relations)]) + "\n\n"


@pytest.fixture
def bc5cdr(tmp_path: Path) -> Path:
    folder = tmp_path / "CDR_Data"
    folder.mkdir()
    for number, part in enumerate(("Training", "Development", "Test")):
        (folder / f"CDR_{part}Set.PubTator.txt").write_text(pubtator(str(number)))
    return folder


def test_bc5cdr(bc5cdr: Path) -> None:
    corpus = load_corpus(f"bc5cdr:{bc5cdr}")
    assert {id_: label for id_, label in labels(corpus).items() if id_.startswith("2:")} == {
        "2:T1:T2": "CID",
        "2:T3:T4": "CID",  # D1 with D2 or D3: one of the two is related
    }
    assert [i.split for i in corpus.instances] == ["train", "train", "dev", "dev", "test", "test"]
    assert corpus.gold is not None
    assert corpus.gold.pairs["bc5cdr:2:T3:T4"] == (gold_pair("2", "D1", "D2"), gold_pair("2", "D1", "D3"))
    assert {(r.pair, r.split) for r in corpus.gold.relations if r.split == "test"} == {
        (gold_pair("2", "D1", "D2"), "test"),
        (gold_pair("2", "D4", "D3"), "test"),
    }
    assert corpus.notes["gold test CID"] == 2
    assert corpus.notes["gold unreachable test CID"] == 1  # naproxen and bleeding share no sentence
    assert corpus.notes["pairs of a mention without a concept"] == 3
    assert (corpus.notes["mentions"], corpus.notes["documents test"], corpus.problems) == (21, 1, ())


def test_the_archive_is_read_as_it_is(bc5cdr: Path) -> None:
    folder, archive = (load_corpus(f"bc5cdr:{path}") for path in (bc5cdr, zipped(bc5cdr, "CDR_Data.zip")))
    assert (folder.instances, folder.digest, folder.notes) == (archive.instances, archive.digest, archive.notes)


def test_problems_in_an_archive_name_the_file_in_it(bc5cdr: Path) -> None:
    (bc5cdr / "CDR_TestSet.PubTator.txt").write_text(pubtator("2", relations=[*RELATIONS, ("CAUSES", "D1", "D2")]))
    corpus = load_corpus(f"bc5cdr:{zipped(bc5cdr, 'CDR_Data.zip')}")
    assert len(corpus.problems) == 1
    assert "CDR_Data.zip/Release/CDR_TestSet.PubTator.txt, line 12: document 2" in corpus.problems[0].text


BAD_RELATIONS = {
    "an unknown type": (("CAUSES", "D1", "D2"), "the relation type is 'CAUSES'; CID are allowed."),
    "a foreign argument": (("CID", "D1", "D9"), "has the argument 'D9', but no concept of the document has this id."),
}


@pytest.mark.parametrize(("relation", "message"), BAD_RELATIONS.values(), ids=BAD_RELATIONS)
def test_a_bad_relation_is_told_and_the_rest_is_read(
    bc5cdr: Path, relation: tuple[str, ...], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = load_corpus(f"bc5cdr:{bc5cdr}")
    (bc5cdr / "CDR_TrainingSet.PubTator.txt").write_text(pubtator("0", relations=[relation, *RELATIONS]))
    with caplog.at_level(logging.WARNING):
        corpus = load_corpus(f"bc5cdr:{bc5cdr}")
    assert corpus.instances == whole.instances
    (found,) = problems(corpus)
    assert found.startswith("CDR_TrainingSet.PubTator.txt, line 10: document 0: ")
    assert found.endswith(message)
    assert found in caplog.text


def test_a_mention_in_title_and_abstract(bc5cdr: Path) -> None:
    crossing = ("ulcers. Aspirin", "Disease", "D2")
    path = bc5cdr / "CDR_TestSet.PubTator.txt"
    path.write_text(pubtator("2", [MENTIONS[0]]).replace("\n\n", f"\n2\t12\t27\t{crossing[0]}\tDisease\tD2\n\n"))
    corpus = load_corpus(f"bc5cdr:{bc5cdr}")
    assert "the entity T2 at 12-27 lies in two passages; a mention must lie in one." in problems(corpus)[0]


def test_the_files_of_the_release_are_wanted(bc5cdr: Path) -> None:
    (bc5cdr / "CDR_TestSet.PubTator.txt").rename(bc5cdr / "CDR_TestSet.copy")
    with pytest.raises(MissingFileError, match=r"holds no file whose name ends in cdr_testset.pubtator.txt or"):
        load_corpus(f"bc5cdr:{bc5cdr}")
    (bc5cdr / "CDR_TestSet.copy").rename(bc5cdr / "CDR_TestSet.PubTator.txt")
    (bc5cdr / "old_CDR_TestSet.PubTator.txt").write_text("x")
    with pytest.raises(DataError, match=r"CDR_TestSet.PubTator.txt and old_CDR_TestSet.PubTator.txt; one"):
        load_corpus(f"bc5cdr:{bc5cdr}")
    with pytest.raises(UsageError, match="bc5cdr has no list of instances"):
        load_corpus(f"bc5cdr:{bc5cdr}", instances=bc5cdr / "list.tsv")


def test_a_document_in_two_parts(bc5cdr: Path) -> None:
    (bc5cdr / "CDR_TestSet.PubTator.txt").write_text(pubtator("0"))
    with pytest.raises(DataError, match=r"the document 0 is given twice, here and in .*CDR_TrainingSet"):
        load_corpus(f"bc5cdr:{bc5cdr}")


def test_a_damaged_archive(bc5cdr: Path) -> None:
    path = zipped(bc5cdr, "CDR_Data.zip")
    raw = path.read_bytes()
    at = raw.index(b"Aspirin")
    path.write_bytes(raw[:at] + b"aspirin" + raw[at + 7 :])
    with pytest.raises(DataError, match=r"CDR_Data.zip/Release/CDR_.*.PubTator.txt cannot be read: Bad CRC"):
        load_corpus(f"bc5cdr:{path}")


GENE, CHEMICAL, VARIANT = "GeneOrGeneProduct", "ChemicalEntity", "SequenceVariant"
BIORED_MENTIONS = [
    ("Aspirin", CHEMICAL, "D1"),
    ("ulcers", "DiseaseOrPhenotypicFeature", "D2,D3"),
    ("Aspirin", GENE, "77"),
    ("ulcers", GENE, "78"),
    ("bleeding", VARIANT, "c|DEL|13_14|"),
    ("rats", "OrganismTaxon", "10116"),
]
BIORED_RELATIONS: list[tuple[str, ...]] = [
    ("Association", "D3", "D1", "Novel"),
    ("Bind", "78", "77", "No"),
    ("Association", "77", "78", "No"),
    ("Association", "c|DEL|13_14|", "78", "No"),
]


def biored_json(id_: str) -> str:
    """The same document in BioC JSON, with relations as BioRED writes them."""
    annotations, place = [], 0
    for number, (text, type_, concept) in enumerate(BIORED_MENTIONS):
        place = TEXT.index(text, place)
        annotations.append(
            {
                "id": str(number),
                "infons": {"identifier": concept, "type": type_},
                "text": text,
                "locations": [{"offset": place, "length": len(text)}],
            }
        )
        place += len(text)
    relations = [
        {"id": f"R{n}", "infons": {"entity1": a, "entity2": b, "type": label, "novel": novel}, "nodes": []}
        for n, (label, a, b, novel) in enumerate(BIORED_RELATIONS)
    ]
    passage = {"offset": 0, "infons": {}, "text": TEXT, "annotations": annotations, "relations": []}
    document = {"id": id_, "infons": {}, "passages": [passage], "annotations": [], "relations": relations}
    return json.dumps({"source": "", "date": "", "key": "", "infons": {}, "documents": [document]})


def write_biored(folder: Path, ending: str, write: Callable[[str], str]) -> Path:
    folder.mkdir()
    for number, part in enumerate(("Train", "Dev", "Test")):
        (folder / f"{part}.{ending}").write_text(write(str(number)))
    return folder


def test_biored(tmp_path: Path) -> None:
    folder = write_biored(tmp_path / "a", "PubTator", lambda id_: pubtator(id_, BIORED_MENTIONS, BIORED_RELATIONS))
    corpus = load_corpus(f"biored:{folder}")
    assert {id_: label for id_, label in labels(corpus).items() if id_.startswith("2:")} == {
        "2:T1:T2": "Association",
        "2:T3:T4": "Bind",  # of two labels the later one of the task
    }
    assert [i.head_type for i in corpus.instances[:2]] == ["chem", "gene"]
    assert corpus.gold is not None
    assert len([r for r in corpus.gold.relations if r.split == "test"]) == 4
    assert corpus.notes["pairs with two gold labels"] == 3
    # A variant and a gene make no pair: the relation stays in the gold standard, where it is missed.
    assert corpus.notes["relations between types that make no pair"] == 3
    assert corpus.notes["gold unreachable test Association"] == 1
    assert corpus.problems == ()


def test_biored_in_bioc_is_the_same(tmp_path: Path) -> None:
    one = write_biored(tmp_path / "a", "PubTator", lambda id_: pubtator(id_, BIORED_MENTIONS, BIORED_RELATIONS))
    other = write_biored(tmp_path / "b", "BioC.JSON", biored_json)
    first, second = (load_corpus(f"biored:{folder}") for folder in (one, other))
    assert [(i.tokens, i.label) for i in first.instances] == [(i.tokens, i.label) for i in second.instances]
    assert first.gold is not None
    assert second.gold is not None
    assert first.gold.relations == second.gold.relations


Tables = dict[str, list[tuple[str, ...]]]
DRUGPROT: Tables = {
    "abstracs": [("7", TITLE, ABSTRACT)],
    "entities": [
        ("7", "T1", "CHEMICAL", "20", "27", "Aspirin"),
        ("7", "T2", "GENE-Y", "35", "41", "ulcers"),
        ("7", "T3", "GENE", "45", "53", "bleeding"),
        ("7", "T4", "GENE-N", "80", "84", "rats"),
    ],
    "relations": [
        ("7", "INHIBITOR", "Arg1:T1", "Arg2:T2"),
        ("7", "AGONIST", "Arg1:T1", "Arg2:T2"),
        ("7", "PART-OF", "Arg1:T1", "Arg2:T4"),
    ],
}


def write_drugprot(folder: Path, tables: Tables, test_pmid: str = "8") -> Path:
    for part, pmid in (("training", "7"), ("development", test_pmid)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for what, rows in (tables if part == "training" else DRUGPROT).items():
            text = "".join("\t".join((pmid if part != "training" else row[0], *row[1:])) + "\n" for row in rows)
            (folder / part / f"drugprot_{part}_{what}.tsv").write_text(text)
    return folder


def test_drugprot(tmp_path: Path) -> None:
    corpus = load_corpus(f"drugprot:{write_drugprot(tmp_path, DRUGPROT)}")
    wanted = {"T1:T2": "AGONIST", "T1:T3": "NONE"}
    assert labels(corpus) == {f"{pmid}:{pair}": label for pmid in "78" for pair, label in wanted.items()}
    assert [i.split for i in corpus.instances] == ["train", "train", "test", "test"]
    assert corpus.notes["gold unreachable test PART-OF"] == 1
    assert corpus.notes["pairs with two gold labels"] == 2
    assert len(corpus.positive) == 13
    assert corpus.problems == ()


BAD_ROWS = {
    "a mention that is not its characters": (
        "entities", ("7", "T9", "GENE", "20", "27", "aspirin"), "entities.tsv, line 5: the entity T9 is 'aspirin', but",
    ),
    "a spreadsheet's date": (
        "entities", ("7", "T9", "GENE", "35", "41", "6-Sep"), "the entity T9 is '6-Sep', but the text has 'ulcers'",
    ),
    "offsets outside": ("entities", ("7", "T9", "GENE", "35", "4100", "x"), "T9 is at 35-4100, outside"),
    "an unknown entity type": ("entities", ("7", "T9", "DRUG", "35", "41", "ulcers"), "line 5: the type is 'DRUG'"),
    "an entity given twice": ("entities", ("7", "T1", "GENE", "35", "41", "ulcers"), "T1 of document 7 is given twice"),
    "an entity of no document": ("entities", ("9", "T1", "GENE", "3", "4", "x"), "9 is not among the abstracts"),
    "an unknown relation type": ("relations", ("7", "BLOCKS", "Arg1:T1", "Arg2:T2"), "7: the relation type is"),
    "a missing argument": ("relations", ("7", "AGONIST", "Arg1:T1", "Arg2:"), "argument '', but no entity of the"),
    "a foreign argument": ("relations", ("7", "AGONIST", "Arg1:T1", "Arg2:T44"), "argument 'T44', but no entity of"),
    "three arguments": ("relations", ("7", "AGONIST", "Arg1:T1", "Arg2:T2", "Arg3:T3"), "line 4: 5 columns; 4 are"),
    "a relation of no document": ("relations", ("9", "AGONIST", "Arg1:T1", "Arg2:T2"), "9 is not among the abstracts"),
    "a document given twice": ("abstracs", ("7", "a", "b"), "line 2: the document 7 is given twice"),
}  # fmt: skip


@pytest.mark.parametrize(("table", "row", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_told_and_the_rest_is_read(tmp_path: Path, table: str, row: tuple[str, ...], message: str) -> None:
    whole = load_corpus(f"drugprot:{write_drugprot(tmp_path / 'a', DRUGPROT)}")
    tables = {**DRUGPROT, table: [*DRUGPROT[table], row]}
    corpus = load_corpus(f"drugprot:{write_drugprot(tmp_path / 'b', tables)}")
    assert corpus.instances == whole.instances
    (found,) = problems(corpus)
    assert message in found


def test_drugprot_adds_to_what_chemprot_trains_on(chemprot_dir: Path, tmp_path: Path) -> None:
    relations: list[tuple[str, ...]] = [
        ("7", "DIRECT-REGULATOR", "Arg1:T1", "Arg2:T3"),
        ("7", "SUBSTRATE", "Arg1:T1", "Arg2:T3"),
    ]
    tables = {**DRUGPROT, "relations": DRUGPROT["relations"] + relations}
    folder = write_drugprot(tmp_path / "new", tables)
    chemprot = load_corpus(f"chemprot:{chemprot_dir}")
    corpus = load_corpus(f"chemprot-drugprot:{chemprot_dir},{folder}")
    assert corpus.instances[: len(chemprot)] == chemprot.instances
    assert corpus.partition(1).test == chemprot.partition(1).test
    assert {i.id: (i.split, i.label) for i in corpus.instances[len(chemprot) :]} == {
        "drugprot:7:T1:T2": ("train", "CPR:5"),  # INHIBITOR and AGONIST: the group of the higher number
        "drugprot:7:T1:T3": ("train", "CPR:9"),  # DIRECT-REGULATOR is of no group that is scored
        "drugprot:8:T1:T2": ("train", "CPR:5"),
        "drugprot:8:T1:T3": ("train", "NONE"),
    }
    assert corpus.labels == chemprot.labels
    assert corpus.digest != chemprot.digest
    assert (corpus.notes["documents from DrugProt"], corpus.documents["8"]) == (2, "train")
    known = write_drugprot(tmp_path / "known", tables, test_pmid="3")  # a document of ChemProt's test part
    ids = {i.id for i in load_corpus(f"chemprot-drugprot:{chemprot_dir},{known}").instances}
    assert ids - {i.id for i in chemprot.instances} == {"drugprot:7:T1:T2", "drugprot:7:T1:T3"}
    assert set(GROUPS) <= set(TASK.positive)
    assert set(GROUPS.values()) == set(chemprot.positive)


@pytest.mark.parametrize("path", ["one", "one,", "one,two,three"])
def test_two_folders_are_wanted(path: str) -> None:
    with pytest.raises(UsageError, match=r"of two folders; write chemprot-drugprot:CHEMPROT,DRUGPROT"):
        load_corpus(f"chemprot-drugprot:{path}")


def test_documents_of_chemprot_s_test_set(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ids = min(chemprot_test())
    tables = {what: [(ids, *row[1:]) for row in rows] + rows for what, rows in DRUGPROT.items()}
    folder = write_drugprot(tmp_path, tables)
    with caplog.at_level(logging.WARNING):
        whole = load_corpus(f"drugprot:{folder}")
    assert "holds documents of ChemProt's test set (1 in train): a model trained on it must not be" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        new = load_corpus(f"drugprot-new:{folder}")
    assert "ChemProt" not in caplog.text
    assert {i.source["document"] for i in whole.instances} - {i.source["document"] for i in new.instances} == {ids}
    assert [i.split for i in new.instances] == ["train", "train", "test", "test"]
