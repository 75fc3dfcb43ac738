"""The reader of GAD and EU-ADR as their authors published them."""

import csv
import io
import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from featstore.corpora import load_corpus
from featstore.errors import DataError, MissingFileError, UsageError
from featstore.records import Corpus

# kind, gene, disease, sentence; the offsets are where the mentions first stand.
PUBLISHED = [
    ("Y", "TNF", "asthma", "TNF is linked to asthma and to gout."),
    ("F", "TNF", "gout", "TNF is linked to asthma and to gout."),
    ("N", "IL-6", "gout", 'No link of gout to IL-6(-174) was seen, they "said".'),
    ("P", "ApoE4-like", "asthma", "asthma, ApoE4-like signs"),
]
HEADER = ("GAD_ID", "GAD_ASSOC", "NER_GENE_ENTITY", "NER_GENE_OFFSET", "NER_DISEASE_ENTITY", "NER_DISEASE_OFFSET")
LABEL = {"Y": "1", "N": "1", "P": "1", "F": "0"}
Table = list[list[str]]


def table(published: list[tuple[str, str, str, str]] = PUBLISHED) -> Table:
    """The published table, without its header."""
    made = []
    for number, (kind, gene, disease, sentence) in enumerate(published):
        at = [f"{sentence.index(word)}#{sentence.index(word) + len(word)}" for word in (gene, disease)]
        made.append([str(number), kind, gene, at[0], disease, at[1], sentence])
    return made


def save(folder: Path, made: Table, delimiter: str = ",", name: str = "GAD.csv") -> Path:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerows([[*HEADER, "GAD_CONCLUSION"], *made])
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(out.getvalue(), encoding="utf-8")
    return folder / name


@pytest.fixture
def original(tmp_path: Path, write_gad: Callable[..., Path]) -> Path:
    """A folder with the published table; the folds lie beside it, in a folder of the corpus's name."""
    masked = [(s.replace(gene, "@GENE$", 1).replace(d, "@DISEASE$", 1), LABEL[k]) for k, gene, d, s in PUBLISHED]
    write_gad(masked, folds=2)
    save(tmp_path / "original", table())
    return tmp_path / "original"


def texts(corpus: Corpus) -> dict[str, str]:
    return {i.id: " ".join(i.tokens[r] if r >= 0 else i.tags[-1 - r] for r in i.layout) for i in corpus.instances}


def test_the_mentions_keep_their_surfaces(original: Path) -> None:
    corpus = load_corpus(f"gad:{original}")
    assert texts(corpus) == {
        "gad:1:0": "<gene> TNF </gene> is linked to <dise> asthma </dise> and to gout .",
        "gad:1:1": 'No link of <dise> gout </dise> to <gene> IL - 6 </gene> ( - 174 ) was seen , they " said " .',
        "gad:2:0": "<gene> TNF </gene> is linked to asthma and to <dise> gout </dise> .",
        "gad:2:1": "<dise> asthma </dise> , <gene> ApoE4 - like </gene> signs",
    }
    assert {i.id: i.label for i in corpus.instances} == {"gad:1:0": "1", "gad:1:1": "1", "gad:2:0": "0", "gad:2:1": "1"}
    assert (corpus.notes["mentions"], corpus.notes["mentions agreeing"], corpus.problems) == (8, 8, ())
    assert corpus.instances[0].source["disease"] == "asthma"


def test_two_pairs_of_a_sentence_are_encoded_once_and_are_one_group(original: Path) -> None:
    one, two = (i for i in load_corpus(f"gad:{original}", context="sentence").instances if i.tokens[0] == "TNF")
    assert (one.key, one.group) == (two.key, two.group)
    for indicators in ("replace", "blind"):  # the dev part is drawn by group: it must not follow the indicators
        again = load_corpus(f"gad:{original}", indicators=indicators)
        assert [i.group for i in again.instances if i.id in (one.id, two.id)] == [one.group] * 2


@pytest.mark.parametrize(("indicators", "masked_as"), [("replace", "replace"), ("blind", "tags")])
def test_masked_it_is_biobert_s_release(original: Path, indicators: str, masked_as: str) -> None:
    nouns = {"@GENE$": "gene", "@DISEASE$": "disease"} if indicators == "blind" else {}
    masked = load_corpus(f"gad:{original.parent / 'gad'}", indicators=masked_as)
    wanted = {i.id: tuple(nouns.get(t, t) for t in i.tokens) for i in masked.instances}
    assert {i.id: i.tokens for i in load_corpus(f"gad:{original}", indicators=indicators).instances} == wanted


def test_the_folds_may_lie_inside(original: Path) -> None:
    beside = texts(load_corpus(f"gad:{original}"))
    (original.parent / "gad").rename(original / "gad")
    assert texts(load_corpus(f"gad:{original}")) == beside
    for fold in ("1", "2"):
        (original / "gad" / fold).rename(original / fold)
    assert texts(load_corpus(f"gad:{original}")) == beside
    (original / "1").rename(original / "elsewhere")
    with pytest.raises(MissingFileError, match=r"holds the published table of gad, but BioBERT's folds"):
        load_corpus(f"gad:{original}")


def test_two_tables_with_tabs_are_one(original: Path) -> None:
    whole = texts(load_corpus(f"gad:{original}"))
    save(original, table()[:3], "\t", "GAD_Y_N.csv")
    save(original, table()[3:], "\t", "GAD_F.csv")
    (original / "GAD.csv").unlink()
    assert texts(load_corpus(f"gad:{original}")) == whole


def test_a_gene_that_a_spreadsheet_made_a_date(original: Path, write_gad: Callable[..., Path]) -> None:
    write_gad([("@GENE$ and @DISEASE$.", "1"), ("@GENE$ or @DISEASE$.", "0")], folds=2)
    dated = [["7", "Y", "09/15/14", "0#5", "gout", "10#14", "Sep15 and gout."]]
    save(original, [*dated, ["8", "F", "TNF", "0#3", "gout", "7#11", "TNF or gout."]])
    corpus = load_corpus(f"gad:{original}")
    assert texts(corpus)["gad:1:0"] == "<gene> Sep15 </gene> and <dise> gout </dise> ."
    assert (corpus.notes["dates that were gene names"], corpus.notes["mentions agreeing"]) == (1, 3)
    assert corpus.problems == ()


BAD = {
    "a mention that is not its characters": (
        2,
        "TNX",
        r"GAD.csv, line 2: the gene is 'TNX', but the sentence has 'TNF' at 0-3",
    ),
    "a date that was no gene": (2, "09/15/14", r"line 2: the gene is '09/15/14', but the sentence has 'TNF'"),
    "an unknown kind": (1, "Q", r"line 2: the kind of association is 'Q'; Y, N, P, F"),
    "no offsets": (3, "0-3", r"line 2: the offsets of the gene are '0-3'; two numbers"),
    "offsets outside": (5, "17#99", r"line 2: the disease is at 17-99, outside the sentence of 36 characters"),
    "overlap": (5, "0#3", r"line 2: the disease is 'asthma', but the sentence has 'TNF'"),
}


@pytest.mark.parametrize(("column", "value", "message"), BAD.values(), ids=BAD)
def test_a_bad_row_is_told_and_the_rest_is_read(
    original: Path, column: int, value: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = table()
    made[0][column] = value
    save(original, made)
    with caplog.at_level(logging.WARNING):
        corpus = load_corpus(f"gad:{original}")
    assert list(texts(corpus)) == ["gad:1:1", "gad:2:0", "gad:2:1"]
    row, fold = (problem.text for problem in corpus.problems)
    assert row.startswith(str(original))
    assert re.search(message, row)
    assert "1/test.tsv, line 2: no row of the published table of gad gives this sentence with the label 1" in fold
    assert row in caplog.text


def test_a_published_row_that_no_fold_tests(original: Path) -> None:
    save(original, [*table(), ["9", "F", "TNF", "0#3", "gout", "7#11", "TNF or gout."]])
    corpus = load_corpus(f"gad:{original}")
    assert len(corpus.instances) == 4
    assert [p.text.partition(", ")[2] for p in corpus.problems] == ["line 6: this row is in no fold's test.tsv."]


def test_a_torn_table(original: Path) -> None:
    path = original / "GAD.csv"
    path.write_text(path.read_text() + '8,F,"TNF')
    with pytest.raises(DataError, match=r"GAD.csv, line 6: the table is malformed here"):
        load_corpus(f"gad:{original}")
    save(original, [*table(), ["8", "F"]])
    with pytest.raises(DataError, match=r"GAD.csv, line 6: 2 columns; 7 are wanted"):
        load_corpus(f"gad:{original}")


def test_a_train_file_must_still_be_the_other_folds(original: Path) -> None:
    train = original.parent / "gad" / "1" / "train.tsv"
    train.write_text(train.read_text() + "@GENE$ and @DISEASE$.\t1\n")
    with pytest.raises(DataError, match=r"1/train.tsv, line 3: this row is in no other fold's test.tsv"):
        load_corpus(f"gad:{original}")


def test_a_list_of_instances_is_refused(original: Path) -> None:
    with pytest.raises(UsageError, match="gad has no list of instances"):
        load_corpus(f"gad:{original}", instances=original / "list.tsv")


EUADR = ("ASSOCIATION_TYPE", "PMID", "ENTITY1_TEXT", "ENTITY1_INI", "ENTITY1_END", "ENTITY1_TYPE", "ENTITY2_TEXT")


def rows(*fields: tuple[str, ...]) -> str:
    return "".join("\t".join(row) + "\n" for row in fields)


def test_euadr_in_windows_1252(tmp_path: Path, write_gad: Callable[..., Path]) -> None:
    write_gad([("@GENE$ in Sjögren's @DISEASE$.", "1"), ("@GENE$ or @DISEASE$.", "0")], folds=2, name="euadr")
    header = (*EUADR, "ENTITY2_INI", "ENTITY2_END", "ENTITY2_TYPE", "SENTENCE")
    kind = "Diseases & Disorders"
    one = ("SA", "7", "Ro60", "0", "4", "Genes", "syndrome", "18", "26", kind, "Ro60 in Sjögren's syndrome.")
    two = ("FA", "8", "Ro60", "0", "4", "Genes", "gout", "8", "12", kind, "Ro60 or gout.")
    folder = tmp_path / "original"
    folder.mkdir()
    (folder / "EUADR_target_disease.csv").write_bytes(rows(header, one, two).encode("cp1252"))
    drugs = rows(header, (*one[:-2], "Drugs", one[-1]))  # the corpus's other tables have the same columns
    (folder / "EUADR_drug_disease.csv").write_bytes(drugs.encode("cp1252"))
    corpus = load_corpus(f"euadr:{folder}")
    assert texts(corpus)["euadr:1:0"] == "<gene> Ro60 </gene> in Sjögren ' s <dise> syndrome </dise> ."
    assert ([i.label for i in corpus.instances], corpus.problems) == (["1", "0"], ())
