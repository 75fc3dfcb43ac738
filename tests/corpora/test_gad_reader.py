"""The reader of BioBERT's folds."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featstore.corpora import load_corpus
from featstore.errors import DataError, FeatstoreError, MissingFileError, UsageError

WriteGad = Callable[..., Path]
Rows = list[tuple[str, str]]


def test_rows_become_instances(write_gad: WriteGad, gad_rows: Rows) -> None:
    corpus = load_corpus(f"gad:{write_gad()}")
    assert [i.id for i in corpus.instances] == [f"gad:{f}:{i}" for f in (1, 2, 3) for i in (0, 1)]
    assert Counter((i.label) for i in corpus.instances) == Counter(label for _, label in gad_rows)
    assert corpus.folds == (1, 2, 3)
    assert corpus.positive == ("1",)
    first, second = corpus.instances[0], corpus.instances[2]
    assert " ".join(first.tokens) == "<gene> @GENE$ </gene> is linked to <dise> @DISEASE$ </dise> ."
    assert (first.tokens[slice(*first.head)], first.tokens[slice(*first.tail)]) == (("@GENE$",), ("@DISEASE$",))
    # In the second sentence the disease comes first; it is the tail all the same.
    assert second.tail[0] < second.head[0]
    assert second.tokens[slice(*second.tail)] == ("@DISEASE$",)


def test_repeats_share_a_group_and_nothing_else(write_gad: WriteGad, gad_rows: Rows) -> None:
    corpus = load_corpus(f"gad:{write_gad()}")
    assert corpus.notes["repeated rows"] == 1
    assert len({i.id for i in corpus.instances}) == len(gad_rows)
    assert len({i.group for i in corpus.instances}) == len(gad_rows) - 1


def test_marks_of_each_choice(write_gad: WriteGad) -> None:
    folder = write_gad()

    def one(indicators: str, context: str) -> tuple[str, tuple[int, ...], tuple[str, ...]]:
        i = load_corpus(f"gad:{folder}", indicators=indicators, context=context).instances[0]
        return " ".join(i.tokens), i.layout, i.tags

    plain = "@GENE$ is linked to @DISEASE$ ."
    assert one("replace", "tagged") == (plain, (0, 1, 2, 3, 4, 5), ())
    assert one("replace", "sentence") == (plain, (-1, 1, 2, 3, -2, 5), ("@GENE$", "@DISEASE$"))
    tags = ("<gene>", "</gene>", "<dise>", "</dise>")
    assert one("tags", "sentence") == (plain, (-1, 0, -2, 1, 2, 3, -3, 4, -4, 5), tags)


def test_there_is_nothing_to_blind(write_gad: WriteGad) -> None:
    with pytest.raises(UsageError, match="nothing to blind"):
        load_corpus(f"gad:{write_gad()}", indicators="blind")


def test_euadr_is_the_same_form(write_gad: WriteGad) -> None:
    corpus = load_corpus(f"euadr:{write_gad()}")
    assert (corpus.name, corpus.instances[0].id) == ("euadr", "euadr:1:0")


def test_a_train_file_must_be_the_other_folds(write_gad: WriteGad) -> None:
    folder = write_gad()
    train = folder / "2" / "train.tsv"
    before = train.read_text()
    train.write_text(before.replace("in men", "in women"))
    with pytest.raises(DataError, match=r"2/train.tsv, line 2: this row is in no other fold's test.tsv"):
        load_corpus(f"gad:{folder}")
    train.write_text(before + before.splitlines(keepends=True)[0])
    with pytest.raises(DataError, match=r"2/train.tsv, line 5: this row"):
        load_corpus(f"gad:{folder}")
    train.write_text("".join(before.splitlines(keepends=True)[1:]))
    with pytest.raises(DataError, match=r"2/train.tsv lacks the row of .*/1/test.tsv, line 2"):
        load_corpus(f"gad:{folder}")


DAMAGE = {
    "header": ("index\tsentence", "id\tsentence", r"1/test.tsv, line 1: the header"),
    "label": ("\t1\n", "\tyes\n", r"line 2: the label is 'yes'"),
    "index": ("0\t@GENE$", "x\t@GENE$", r"line 2: the index is 'x'"),
    "same index": ("\n1\t", "\n0\t", r"gad:1:0 .* occurs twice"),
    "no gene": ("@GENE$", "TNF", r"line 2: the sentence holds @GENE\$ 0 times"),
    "two diseases": ("linked to", "linked to @DISEASE$ and", r"line 2: the sentence holds @DISEASE\$ 2 times"),
    "columns": ("\t1\n", "\n", r"line 2: 2 columns; 3 are wanted: index, sentence, label"),
}


@pytest.mark.parametrize(("old", "new", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damage_names_file_and_line(write_gad: WriteGad, old: str, new: str, message: str) -> None:
    path = write_gad() / "1" / "test.tsv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        load_corpus(f"gad:{path.parents[1]}")


def test_folds_are_counted_without_a_gap(write_gad: WriteGad) -> None:
    folder = write_gad()
    (folder / "2").rename(folder / "5")
    with pytest.raises(MissingFileError, match="holds the folds 1, 3, 5; folders 1, 2,"):
        load_corpus(f"gad:{folder}")


def test_missing_things(tmp_path: Path, write_gad: WriteGad, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    with pytest.raises(MissingFileError, match="cli data get gad"):
        load_corpus("gad")
    with pytest.raises(MissingFileError, match="is not a folder"):
        load_corpus(f"gad:{tmp_path / 'nowhere'}")
    folder = write_gad()
    with pytest.raises(UsageError, match="gad has no list of instances"):
        load_corpus(f"gad:{folder}", instances=tmp_path / "list.tsv")
    (folder / "3" / "train.tsv").unlink()
    with pytest.raises(MissingFileError, match=r"3/train.tsv does not exist"):
        load_corpus(f"gad:{folder}")


SENTENCE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\r\n\ufeff@"), max_size=12)
QUIET = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUIET
@given(st.lists(st.tuples(SENTENCE, SENTENCE, SENTENCE, st.sampled_from("01"), st.booleans()), min_size=2, max_size=6))
def test_round_trip(write_gad: WriteGad, parts: list[tuple[str, str, str, str, bool]]) -> None:
    given_rows = []
    for before, between, after, label, swapped in parts:
        one, two = ("@DISEASE$", "@GENE$") if swapped else ("@GENE$", "@DISEASE$")
        given_rows.append((f"{before}{one}{between}{two}{after}", label))
    corpus = load_corpus(f"gad:{write_gad(given_rows, folds=2)}", context="sentence")
    in_order = [row for fold in (0, 1) for row in given_rows[fold::2]]
    assert [i.label for i in corpus.instances] == [label for _, label in in_order]
    for instance, (sentence, _) in zip(corpus.instances, in_order, strict=True):
        assert instance.tokens == tuple(sentence[a:b] for a, b in instance.offsets)
        blanks = sentence
        for token in instance.tokens:
            blanks = blanks.replace(token, "", 1)
        assert not blanks.translate(dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"))).strip()


@QUIET
@given(st.binary(max_size=80), st.sampled_from(["test.tsv", "train.tsv"]))
def test_arbitrary_bytes_raise_our_errors_only(write_gad: WriteGad, raw: bytes, name: str) -> None:
    folder = write_gad()
    (folder / "1" / name).write_bytes(raw)
    with pytest.raises(FeatstoreError, match=r"."):
        load_corpus(f"gad:{folder}")


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "gad.tsv").write_text("x")
    with pytest.raises(MissingFileError, match="is not a folder"):
        load_corpus(f"gad:{tmp_path / 'gad.tsv'}")
