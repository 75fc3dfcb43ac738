"""ChemProt's tables as documents, and the evaluation kit's relations."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from featstore.documents import Document, Entity, Relation
from featstore.errors import DataError, MissingFileError
from featstore.formats import BadDocument, ModelFacts, read_documents, writer_of
from featstore.formats.unique import ID_TWICE, SeenDocuments

Write = Callable[[str, str | bytes], Path]
REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "chemprot"

ABSTRACTS = "1\tAspirin.\tIt blocks COX-2.\n2\tNothing.\t\n3\tAspirin.\tIt blocks COX-2.\n"
ENTITIES = (
    "3\tT2\tGENE-Y\t19\t24\tCOX-2\n"
    "1\tT1\tCHEMICAL\t0\t7\tAspirin\n"
    "3\tT1\tCHEMICAL\t0\t7\tAspirin\n"
    "1\tT2\tGENE-Y\t19\t24\tCOX-2\n"
)
ASPIRIN, GENE = Entity("T1", "CHEMICAL", 0, 7, "Aspirin"), Entity("T2", "GENE-Y", 19, 24, "COX-2")
TEXT = "Aspirin.\nIt blocks COX-2."
READ = [Document("1", TEXT, (ASPIRIN, GENE)), Document("2", "Nothing.\n", ()), Document("3", TEXT, (GENE, ASPIRIN))]


@pytest.fixture
def tables(write: Write) -> Callable[[str | bytes, str | bytes], Path]:
    def written(abstracts: str | bytes, entities: str | bytes) -> Path:
        write("set/chemprot_test_entities_gs.tsv", entities)
        return write("set/chemprot_test_abstracts_gs.tsv", abstracts)

    return written


Tables = Callable[[str | bytes, str | bytes], Path]


def test_entities_in_any_order_go_to_their_documents(tables: Tables) -> None:
    path = tables(ABSTRACTS, ENTITIES)
    for given in (path, path.parent, path.parent.parent):
        assert list(read_documents(given)) == READ


def test_byte_order_marks_line_ends_and_blank_lines(tables: Tables) -> None:
    path = tables(*("\ufeff" + text.replace("\n", "\r\n\r\n") for text in (ABSTRACTS, ENTITIES)))
    assert list(read_documents(path)) == READ
    assert list(read_documents(tables(ABSTRACTS.replace("\n", "\r"), ENTITIES.replace("\n", "\r")))) == READ
    assert list(read_documents(tables("\ufeff" + ABSTRACTS.rstrip("\n"), "\ufeff" + ENTITIES.rstrip("\n")))) == READ


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("3\tT2\tGENE-Y", "3\tT2", 1, "5 columns"),
        ("3\tT1", "3\tT2", 3, "the entity id T2 is given twice"),
        ("3\tT2\tGENE-Y\t19", "3\tT2\tGENE-Y\t18", 1, "but the text has ' COX-2' at 18-24"),
        ("3\tT2\tGENE-Y\t19\t24", "3\tT2\tGENE-Y\t19\t240", 1, "outside the text of 25"),
        ("3\tT2\tGENE-Y\t19\t24", "3\tT2\tGENE-Y\t19;30\t24", 1, "the start is '19;30'"),
    ],
)
def test_a_bad_row_of_the_entities_is_left_out_and_told(
    tables: Tables, left_out: Callable[..., Document], old: str, new: str, line: int, why: str
) -> None:
    abstracts = "1\tAspirin.\tIt blocks COX-2.\n3\tAspirin.\tIt blocks COX-2.\n4\tA title.\t\n"
    path = tables(abstracts, ENTITIES.replace(old, new))
    kept = left_out(path, f"{path.with_name('chemprot_test_entities_gs.tsv')}, line {line}", why)
    assert (kept.id, kept.text, len(kept.entities)) == ("3", TEXT, 1)


def test_a_bad_row_of_the_abstracts_is_a_bad_document(tables: Tables) -> None:
    path = tables(ABSTRACTS.replace("3\tAspirin.\t", "3\tAspirin.") + "4\tA title.\t\n", ENTITIES)
    one, two, bad, last = read_documents(path)
    assert [one, two] == READ[:2]
    assert bad == BadDocument("3", f"{path}, line 3", "2 columns; 3 are wanted: document, title, abstract.")
    assert last == Document("4", "A title.\n", ())


@pytest.mark.parametrize(
    "name", ["drugprot_development_abstracs.tsv", "test_background_Abstracts.tsv", "x_abstract_gs.tsv"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_files_by_other_names_packed_or_not(write: Write, name: str, packed: bool) -> None:
    pack = gzip.compress if packed else bytes
    tables = {name: ABSTRACTS, re.sub("[Aa]bstrac[a-z]*", "entities", name): ENTITIES}
    for each, content in tables.items():
        write(f"set/{each}{'.gz' if packed else ''}", pack(content.encode()))
    folder = write(f"set/._{name}", "\0left by macOS").parent
    for path in (folder, folder.parent, folder / f"{name}{'.gz' if packed else ''}"):
        assert list(read_documents(path, "chemprot")) == READ


def test_documents_given_twice_and_ids_that_are_not_there(tables: Tables) -> None:
    found = list(read_documents(tables(ABSTRACTS + ABSTRACTS[:10] + "\t\n", ENTITIES + "9\tT1\tGENE-Y\t0\t1\tA\n")))
    assert found[:3] == READ
    twice, nowhere = found[3:]
    assert isinstance(twice, BadDocument)
    assert (twice.id, twice.why) == ("1", "the document is given twice.")
    assert isinstance(nowhere, BadDocument)
    assert nowhere.id == "9"
    assert nowhere.where.endswith("entities_gs.tsv, line 5")
    assert nowhere.why == "it is not in chemprot_test_abstracts_gs.tsv."


def test_bad_utf8_is_one_bad_document_or_mention(tables: Tables) -> None:
    found = list(read_documents(tables(ABSTRACTS.encode().replace(b"Noth", b"N\xf6th"), ENTITIES)))
    assert [type(one) for one in found] == [Document, BadDocument, Document]
    path = tables(ABSTRACTS, ENTITIES.encode().replace(b"Asp", b"\xe4sp"))
    mentions = [len(one.entities) for one in read_documents(path) if isinstance(one, Document)]
    assert mentions == [1, 0, 1]
    assert [type(one) for one in read_documents(path, strict=True)] == [BadDocument, Document, BadDocument]


def test_what_is_no_such_table_is_refused(tables: Tables, write: Write) -> None:
    with pytest.raises(DataError, match=r"line 1: 6 columns; document, title, abstract"):
        list(read_documents(tables(ENTITIES, ENTITIES), "chemprot"))
    with pytest.raises(DataError, match="not a file of abstracts"):
        list(read_documents(write("a.tsv", ABSTRACTS), "chemprot"))
    with pytest.raises(DataError, match=r"holds no file \*abstracts"):
        list(read_documents(write("other/a.tsv", ABSTRACTS).parent, "chemprot"))
    with pytest.raises(MissingFileError, match=r"alone_entities\.tsv"):
        list(read_documents(write("alone_abstracts.tsv", ABSTRACTS)))


def test_the_kits_relations_are_the_positive_ones(
    document: Document, relations: list[Relation], model: ModelFacts
) -> None:
    assert writer_of("chemprot").document(document, relations, model) == "7\tCPR:4\tArg1:T3\tArg2:T6\n"


@pytest.mark.skipif(not REAL.exists(), reason="the real corpus is not here")
def test_the_real_corpus_is_read_without_a_flaw() -> None:
    mentions = [
        [len(found.entities) for found in read_documents(REAL / f"chemprot_{part}", strict=True)]  # type: ignore[union-attr]
        for part in ("training", "development", "test_gs")
    ]
    assert list(map(len, mentions)) == [1020, 612, 800]
    assert sum(map(sum, mentions)) == 62_147


@pytest.mark.skipif(not REAL.exists(), reason="the real corpus is not here")
def test_the_sample_set_of_the_real_corpus_is_in_part_that_of_the_release() -> None:
    seen = SeenDocuments()
    for part in ("training", "development"):
        for _ in read_documents(REAL / f"chemprot_{part}", seen=seen):
            pass
    sample = list(read_documents(REAL / "chemprot_sample", seen=seen))
    changed = [found for found in sample if isinstance(found, Document)]
    assert (len(sample), len(changed)) == (50, 37)  # 34 are not in the release, of 3 the mentions were changed for it
    assert [problem.kind for found in changed for problem in found.problems] == [ID_TWICE] * 3
