"""The readers of XML that lists sentences and pairs: DDIExtraction 2013 and the five protein corpora."""

import zipfile
from pathlib import Path

import pytest

from featstore.corpora import load_corpus
from featstore.errors import DataError, MissingFileError
from featstore.records import Corpus

TEXT = "Aspirin, heparin and warfarin salts interact. Not so."
# id, charOffset (the last character counts), mention
ENTITIES = [("e0", "0-6", "Aspirin"), ("e1", "9-15", "heparin"), ("e2", "21-28;30-34", "warfarin salts")]
PAIRS = [
    ("p0", "e0", "e1", 'ddi="true" type="effect"'),
    ("p1", "e0", "e2", 'ddi="false"'),
    ("p2", "e2", "e1", 'ddi="true" type="int"'),
]


def sentence(
    id_: str, entities: list[tuple[str, str, str]] = ENTITIES, pairs: list[tuple[str, str, str, str]] = PAIRS
) -> str:
    inside = [f'<entity id="{e}" charOffset="{at}" type="drug" text="{text}"/>' for e, at, text in entities]
    inside += [f'<pair id="{id_}.{p}" e1="{one}" e2="{two}" {says}/>' for p, one, two, says in pairs]
    return f'<sentence id="{id_}" text="{TEXT}">{"".join(inside)}</sentence>'


@pytest.fixture
def ddi(tmp_path: Path) -> Path:
    folder = tmp_path / "DDICorpus"
    places = {
        "a": "Train/DrugBank",
        "b": "Train/MedLine",
        "c": "Test/Test for DDI Extraction task/MedLine",
        "d": "Test/Test for DrugNER task/MedLine",
    }
    for id_, place in places.items():
        (folder / place).mkdir(parents=True)
        (folder / place / f"{id_}.xml").write_text(f'<document id="{id_}">{sentence(f"{id_}.s0")}</document>')
    return folder


def text_of(corpus: Corpus, id_: str) -> str:
    (found,) = (i for i in corpus.instances if i.id == id_)
    return " ".join(found.tokens[slice(*found.head)]) + " | " + " ".join(found.tokens[slice(*found.tail)])


def test_ddi(ddi: Path) -> None:
    corpus = load_corpus(f"ddi:{ddi}")
    assert {(i.id, i.label, i.split) for i in corpus.instances} == {
        (f"ddi:{d}.s0.p{n}", label, "test" if d == "c" else "train")
        for d in "abc"
        for n, label in enumerate(("effect", "NONE", "int"))
    }
    # Where the files' offsets count the last character, all of the mention is taken; of one in pieces all between.
    assert text_of(corpus, "ddi:a.s0.p1") == "Aspirin | warfarin salts"
    assert text_of(corpus, "ddi:a.s0.p2") == "heparin | warfarin salts"  # the earlier is the head
    assert (corpus.notes["pairs train"], corpus.notes["interactions train"], corpus.notes["pairs test"]) == (6, 4, 3)
    assert (corpus.notes["mentions in several pieces"], corpus.notes["mentions agreeing"]) == (3, 9)
    assert "Not" in corpus.instances[0].tokens  # the corpus says what a sentence is
    assert corpus.positive == ("effect", "mechanism", "advise", "int")


def test_the_archive_is_read_as_it_is(ddi: Path) -> None:
    path = ddi.parent / "ddi.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(ddi.rglob("*.xml")):
            archive.write(file, file.relative_to(ddi.parent).as_posix())
    one, other = load_corpus(f"ddi:{ddi}"), load_corpus(f"ddi:{path}")
    assert (one.instances, one.digest) == (other.instances, other.digest)


E9 = ("e9", "0-6", "Aspirin")
BAD = {
    "a mention that is not its characters": (
        [*ENTITIES, ("e9", "0-6", "Asp")], PAIRS, "the entity e9 is 'Asp', but the sentence has 'Aspirin' at 0-6",
    ),
    "no offsets": ([*ENTITIES, ("e9", "x", "Aspirin")], PAIRS, "has the charOffset 'x'; START-END is wanted"),
    "offsets outside": ([*ENTITIES, ("e9", "0-99", "A")], PAIRS, "at 0-99, outside the sentence of 53 characters"),
    "an entity given twice": ([*ENTITIES, ENTITIES[0]], PAIRS, "the entity e0 is given twice"),
    "a foreign argument": (ENTITIES, [*PAIRS, ("p9", "e0", "e7", 'ddi="false"')], "has the argument 'e7', which is no"),
    "one entity twice": (ENTITIES, [*PAIRS, ("p9", "e0", "e0", 'ddi="false"')], "for both arguments; two entities"),
    "an unknown type": (
        ENTITIES, [*PAIRS, ("p9", "e0", "e1", 'ddi="true" type="bad"')], "the type 'bad'; effect, mechanism, advise",
    ),
    "neither true nor false": (ENTITIES, [*PAIRS, ("p9", "e0", "e1", "")], "has ddi=''; true or false is wanted"),
}  # fmt: skip


@pytest.mark.parametrize(("entities", "pairs", "message"), BAD.values(), ids=BAD)
def test_what_is_bad_is_told_and_the_rest_is_read(
    ddi: Path, entities: list[tuple[str, str, str]], pairs: list[tuple[str, str, str, str]], message: str
) -> None:
    whole = load_corpus(f"ddi:{ddi}")
    (ddi / "Train/MedLine/b.xml").write_text(f'<document id="b">{sentence("b.s0", entities, pairs)}</document>')
    corpus = load_corpus(f"ddi:{ddi}")
    assert corpus.instances == whole.instances
    (problem,) = corpus.problems
    assert "Train/MedLine/b.xml: sentence b.s0: " in problem.text
    assert message in problem.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<document", "is not well-formed XML"),
        ("<html/>", "the outermost element is <html>"),
        ('<!DOCTYPE d [<!ENTITY a "b">]><document id="b"/>', "declares an entity"),
    ],
)
def test_a_file_that_is_not_of_the_form(ddi: Path, content: str, message: str) -> None:
    (ddi / "Train/MedLine/b.xml").write_text(content)
    with pytest.raises(DataError, match=rf"b.xml.* {message}"):
        load_corpus(f"ddi:{ddi}")


def test_both_parts_are_wanted(ddi: Path) -> None:
    (ddi / "Test/Test for DDI Extraction task/MedLine/c.xml").unlink()
    with pytest.raises(MissingFileError, match="no XML files of the test part"):
        load_corpus(f"ddi:{ddi}")


def unified(name: str, documents: int) -> str:
    """Offsets that stop before the last character; document n has n mod 3 + 1 pairs."""
    entities = [("e0", "0-7", "Aspirin"), ("e1", "9-16", "heparin"), ("e2", "21-29,30-35", "warfarin salts")]
    pairs = [
        ("p0", "e0", "e1", 'interaction="True"'),
        ("p1", "e0", "e2", 'interaction="False"'),
        ("p2", "e1", "e2", 'interaction="False"'),
    ]
    made = [
        f'<document id="{name}.d{n}">{sentence(f"{name}.d{n}.s0", entities, pairs[: n % 3 + 1])}</document>'
        for n in range(documents)
    ]
    return f'<corpus source="{name}">{"".join(made)}</corpus>'


@pytest.mark.parametrize("name", ["AIMed", "BioInfer", "HPRD50", "IEPA", "LLL"])
def test_protein_interactions(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.xml").write_text(unified(name, 30))
    corpus = load_corpus(f"{name.lower()}:{tmp_path}")
    assert corpus.problems == ()
    assert text_of(corpus, f"{name.lower()}:{name}.d2.s0.p1") == "Aspirin | warfarin salts"
    assert (corpus.notes["pairs"], corpus.notes["interactions"], len(corpus.instances)) == (60, 30, 60)
    assert corpus.folds == tuple(range(1, 11))
    folds = {(i.source["document"], i.fold) for i in corpus.instances}
    assert len(folds) == 30  # no document is in two folds
    sizes = [len(corpus.partition(fold).test) for fold in corpus.folds]
    assert max(sizes) - min(sizes) <= 3
    alone = load_corpus(f"{name.lower()}:{tmp_path / f'{name}.xml'}")
    assert [i.fold for i in alone.instances] == [i.fold for i in corpus.instances]


def test_an_interaction_that_is_neither(tmp_path: Path) -> None:
    (tmp_path / "LLL.xml").write_text(unified("LLL", 12).replace('"True"', '"Maybe"', 1))
    corpus = load_corpus(f"lll:{tmp_path}")
    assert "the pair LLL.d0.s0.p0 has interaction='Maybe'; True or False is wanted." in corpus.problems[0].text
    assert len(corpus.instances) == 23
