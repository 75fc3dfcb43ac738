"""The ChemProt reader: what comes out of a small release, and what each kind of damage says."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featstore.corpora import load_corpus
from featstore.corpora.chemprot_files import file_of, read_release
from featstore.errors import DataError, FeatstoreError, MissingFileError


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


def rows(*fields: tuple[str, ...]) -> str:
    return "".join("\t".join(row) + "\n" for row in fields)


LIST = [
    ("split", "pmid", "chemical", "gene", "label"),
    ("train", "1", "T3", "T4", "CPR:4"),
    ("train", "1", "T1", "T4", "false"),  # title and abstract: across sentences
    ("train", "1", "T8", "T7", "false"),  # the chemical inside the gene
    ("test", "3", "T6", "T7", "CPR:3"),
]


def test_candidates_and_labels_without_a_list(chemprot_dir: Path) -> None:
    corpus = load_corpus(f"chemprot:{chemprot_dir}")
    labels = {i.id: i.label for i in corpus.instances if i.split == "train"}
    assert labels == {
        "chemprot:1:T1:T2": "NONE",
        "chemprot:1:T3:T4": "CPR:4",
        "chemprot:1:T6:T5": "NONE",
        "chemprot:1:T6:T7": "CPR:5",  # of two scored labels the higher group
        "chemprot:1:T8:T5": "NONE",
        "chemprot:1:T8:T7": "NONE",
    }
    gold = {i.id: i.source["gold"] for i in corpus.instances if i.split == "dev" and i.source["gold"]}
    assert gold == {"chemprot:2:T3:T4": "CPR:4", "chemprot:2:T6:T7": "CPR:3,CPR:5"}
    assert corpus.labels == ("NONE", "CPR:3", "CPR:4", "CPR:5", "CPR:6", "CPR:9")
    assert corpus.positive == corpus.labels[1:]


def test_a_pair_in_a_sentence_with_offsets(chemprot_dir: Path) -> None:
    corpus = load_corpus(f"chemprot:{chemprot_dir}")
    pair = next(i for i in corpus.instances if i.id == "chemprot:1:T3:T4")
    assert " ".join(pair.tokens) == "<chem> Aspirin </chem> inhibits <gene> COX - 2 </gene> ."
    assert (pair.head_type, pair.tail_type) == ("chem", "gene")
    text = read_release(chemprot_dir).documents["1"].text
    for token, (start, end) in zip(pair.tokens, pair.offsets, strict=True):
        assert start == -1 if token.startswith("<") else text[start:end] == token


def test_a_nested_pair(chemprot_dir: Path) -> None:
    def sentence(indicators: str) -> str:
        corpus = load_corpus(f"chemprot:{chemprot_dir}", indicators=indicators)
        return " ".join(next(i for i in corpus.instances if i.id == "chemprot:1:T8:T7").tokens)

    assert sentence("tags").endswith("activates <gene> <chem> estrogen </chem> receptor </gene> .")
    assert sentence("replace").endswith("activates bc6entg bc6entc .")
    assert sentence("blind").endswith("chemical activates <chem> <gene> gene </gene> </chem> .")


def test_a_list_is_taken_exactly(chemprot_dir: Path) -> None:
    write(chemprot_dir / "lim_kang_instances.tsv", rows(*LIST))
    corpus = load_corpus(f"chemprot:{chemprot_dir}")
    assert [(i.split, i.id, i.label) for i in corpus.instances] == [
        ("train", "chemprot:1:T3:T4", "CPR:4"),
        ("train", "chemprot:1:T1:T4", "NONE"),
        ("train", "chemprot:1:T8:T7", "NONE"),
        ("test", "chemprot:3:T6:T7", "CPR:3"),
    ]
    across = corpus.instances[1].tokens
    assert across[:3] == ("<chem>", "Aspirin", "</chem>")
    assert across[-6:] == ("<gene>", "COX", "-", "2", "</gene>", ".")
    assert corpus.notes["pairs across sentences"] == 1
    assert corpus.notes["mentions"] == corpus.notes["mentions agreeing"] == 24


def test_the_gold_standard_stays_countable(chemprot_dir: Path) -> None:
    path = write(chemprot_dir / "elsewhere.tsv", rows(*LIST))
    notes = load_corpus(f"chemprot:{chemprot_dir}", instances=path).notes
    assert {k: v for k, v in notes.items() if k.startswith("gold test")} == {
        "gold test CPR:3": 1,
        "gold test CPR:4": 1,
        "gold test CPR:5": 1,
    }
    # CPR:4 of the test document is not listed; CPR:5 is the second label of a listed pair.
    assert {k: v for k, v in notes.items() if k.startswith("gold unreachable test")} == {
        "gold unreachable test CPR:4": 1,
        "gold unreachable test CPR:5": 1,
    }
    assert notes["pairs with two gold labels"] == 1


def test_one_sentence_one_key_in_the_sentence_context(chemprot_dir: Path) -> None:
    corpus = load_corpus(f"chemprot:{chemprot_dir}", context="sentence")
    last = [i for i in corpus.instances if i.split == "train" and i.source["head"] in ("T6", "T8")]
    assert len(last) == 4
    assert len({i.key for i in last}) == 1
    assert len({i.group for i in corpus.instances}) == 3  # the three documents have the same three sentences


def test_digest_changes_with_any_file(chemprot_dir: Path) -> None:
    before = load_corpus(f"chemprot:{chemprot_dir}").digest
    listed = write(chemprot_dir / "lim_kang_instances.tsv", rows(*LIST))
    after = load_corpus(f"chemprot:{chemprot_dir}").digest
    write(listed, rows(*LIST[:-1]))
    assert len({before, after, load_corpus(f"chemprot:{chemprot_dir}").digest}) == 3


def replaced(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


DAMAGE = {
    "a column too few": ("entities", replaced("\tAspirin\n", "\n"), r"line 1: 5 columns; 6 are wanted"),
    "offsets outside": (
        "entities",
        replaced("\t0\t7\t", "\t0\t7000\t"),
        r"line 1: the entity T1 is at 0-7000, outside",
    ),
    "not a number": ("entities", replaced("\t0\t7\t", "\t-1\t7\t"), r"line 1: the start is '-1'"),
    "another mention": (
        "entities",
        replaced("\t0\t7\t", "\t1\t8\t"),
        r"the entity T1 is 'Aspirin', but the text has 'spirin '",
    ),
    "another type": ("entities", replaced("CHEMICAL", "DRUG"), r"line 1: the type is 'DRUG'"),
    "entity twice": ("entities", replaced("T2", "T1"), r"line 2: the entity T1 of document 1 is given twice"),
    "entity of no document": ("entities", replaced("1\tT2", "9\tT2"), r"line 2: the document 9 is not among"),
    "document of another split": (
        "abstracts",
        replaced("1\t", "2\t"),
        r"entities.tsv, line 1: the document 1 is not among",
    ),
    "relation to no entity": ("relations", replaced("Arg1:T3", "Arg1:T99"), r"line 1: the entity T99 is not among"),
    "relation to a chemical": (
        "relations",
        replaced("Arg2:T4", "Arg2:T6"),
        r"line 1: the entity T6 is of type CHEMICAL",
    ),
    "no argument": ("relations", replaced("Arg1:T3", "T3"), r"line 1: 'T3' is not an argument"),
    "no flag": ("relations", replaced("Y ", "yes"), r"line 1: the evaluation flag is 'yes'"),
    "scored group unflagged": ("relations", replaced("Y ", "N "), r"line 1: the group CPR:4 has the flag N"),
    "gold without relation": ("gold_standard", replaced("CPR:4", "CPR:9"), r"line 1: this relation is not among"),
    "relation without gold": ("gold_standard", lambda t: t.split("\n", 1)[1], r"relations.tsv, line 1: .* not in"),
    "empty": ("abstracts", lambda _: "", r"abstracts.tsv is empty"),
}


@pytest.mark.parametrize(("what", "change", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damage_names_file_and_line(chemprot_dir: Path, what: str, change: Callable[[str], str], message: str) -> None:
    path = file_of(chemprot_dir, "train", what)
    before = path.read_bytes().decode()
    assert change(before) != before
    write(path, change(before))
    with pytest.raises(DataError, match=message):
        load_corpus(f"chemprot:{chemprot_dir}")


LIST_DAMAGE = {
    "header": ([("split", "pmid", "chem", "gene", "label"), *LIST[1:]], "line 1: the header"),
    "split": ([*LIST[:1], ("dev", *LIST[1][1:])], "line 2: the split is 'dev', but document 1 is in train"),
    "document": ([*LIST[:1], ("train", "7", *LIST[1][2:])], "line 2: the document 7"),
    "entity": ([*LIST[:1], ("train", "1", "T77", "T4", "false")], "line 2: the entity T77"),
    "order": ([*LIST[:1], ("train", "1", "T4", "T3", "false")], "line 2: the entity T4 is of type GENE-Y"),
    "label": ([*LIST[:1], (*LIST[1][:4], "CPR:3")], "line 2: the label is 'CPR:3', but the gold standard has CPR:4"),
    "twice": ([*LIST, LIST[1]], "line 6: the pair T3, T4 of document 1 is given twice"),
    "nothing": (LIST[:1], "line 1: a header and no rows"),
}


@pytest.mark.parametrize(("listed", "message"), LIST_DAMAGE.values(), ids=LIST_DAMAGE)
def test_a_list_that_does_not_fit(chemprot_dir: Path, listed: list[tuple[str, ...]], message: str) -> None:
    write(chemprot_dir / "lim_kang_instances.tsv", rows(*listed))
    with pytest.raises(DataError, match=message):
        load_corpus(f"chemprot:{chemprot_dir}")


@pytest.mark.parametrize("what", ["abstracts", "entities", "relations", "gold_standard"])
def test_a_missing_file_is_named(chemprot_dir: Path, what: str) -> None:
    path = file_of(chemprot_dir, "test", what)
    path.unlink()
    with pytest.raises(MissingFileError, match=f"{path.name} does not exist"):
        load_corpus(f"chemprot:{chemprot_dir}")


def test_bad_utf8_names_its_line(chemprot_dir: Path) -> None:
    path = file_of(chemprot_dir, "dev", "entities")
    path.write_bytes(path.read_bytes().replace(b"\tAkt\n", b"\tA\xffkt\n"))
    with pytest.raises(DataError, match=r"line 5: not UTF-8"):
        load_corpus(f"chemprot:{chemprot_dir}")


FUZZ = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(
    st.sampled_from(["abstracts", "entities", "relations", "gold_standard", "list"]),
    st.integers(0, 400),
    st.one_of(st.binary(max_size=8), st.sampled_from([b"\t", b"\n", b"\r\n", b"\x00", b"1" * 20, b"\xc2\xa0", b"T3"])),
    st.integers(0, 8),
)
def test_no_damage_raises_anything_else(chemprot_dir: Path, what: str, at: int, new: bytes, cut: int) -> None:
    listed = chemprot_dir / "lim_kang_instances.tsv"
    write(listed, rows(*LIST))
    path = listed if what == "list" else file_of(chemprot_dir, "train", what)
    before = path.read_bytes()
    path.write_bytes(before[:at] + new + before[at + cut :])
    with suppress(FeatstoreError):
        corpus = load_corpus(f"chemprot:{chemprot_dir}")
        assert corpus.instances
        assert all(i.label in corpus.labels for i in corpus.instances)
    path.write_bytes(before)


def test_windows_lines_and_a_byte_order_mark_change_nothing(chemprot_dir: Path) -> None:
    before = load_corpus(f"chemprot:{chemprot_dir}")
    for path in chemprot_dir.rglob("*.tsv"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    after = load_corpus(f"chemprot:{chemprot_dir}")
    assert replace(after, digest=before.digest) == before
