"""The JSONL reader."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featstore.corpora import load_corpus
from featstore.errors import DataError, FeatstoreError, MissingFileError, UsageError

LINE: dict[str, Any] = {
    "text": "Aspirin blocks COX-2.",
    "head": {"start": 0, "end": 7, "type": "CHEMICAL"},
    "tail": {"start": 15, "end": 20, "type": "Gene"},
}
Given = list[dict[str, Any]]


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[[Given], str]:
    def written(lines: Given) -> str:
        path = tmp_path / "pairs.jsonl"
        path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
        return f"jsonl:{path}"

    return written


Write = Callable[[Given], str]


def test_a_line_becomes_an_instance(write_jsonl: Write) -> None:
    lines = [
        LINE | {"label": "CPR:4", "split": "train", "id": "a"},
        LINE | {"label": "NONE", "split": "test", "id": "b"},
    ]
    corpus = load_corpus(write_jsonl(lines))
    one, two = corpus.instances
    assert " ".join(one.tokens) == "<chem> Aspirin </chem> blocks <gene> COX - 2 </gene> ."
    assert (one.id, one.label, one.split, one.fold) == ("a", "CPR:4", "train", None)
    assert (two.id, two.label, two.split, two.source["line"]) == ("b", "NONE", "test", "2")
    assert (corpus.labels, corpus.positive) == (("NONE", "CPR:4"), ("CPR:4",))
    replaced = load_corpus(write_jsonl(lines), indicators="replace").instances[0]
    assert " ".join(replaced.tokens) == "@CHEMICAL$ blocks @GENE$ ."


def test_other_mentions_for_blinding(write_jsonl: Write) -> None:
    line = LINE | {"others": [{"start": 8, "end": 14, "type": "Gene", "text": "blocks"}]}
    blind = load_corpus(write_jsonl([line]), indicators="blind").instances[0]
    assert " ".join(blind.tokens) == "<chem> chemical </chem> gene <gene> gene </gene> ."
    tags = load_corpus(write_jsonl([line])).instances[0]
    assert " ".join(tags.tokens) == "<chem> Aspirin </chem> blocks <gene> COX - 2 </gene> ."
    with pytest.raises(DataError, match="line 2: no 'others'"):
        load_corpus(write_jsonl([LINE | {"others": []}, LINE]), indicators="blind")
    for wrong, message in (
        ("blocks", r"'others\[0\]' is .*a JSON object is wanted"),
        ({"start": 8, "end": 99, "type": "x"}, r"the entity others\[0\] is at 8-99, outside the text"),
    ):
        with pytest.raises(DataError, match=f"line 1: {message}"):
            load_corpus(write_jsonl([LINE | {"others": [wrong]}]))


def test_text_to_be_classified_and_other_types(write_jsonl: Write) -> None:
    entities = {"head": LINE["head"] | {"type": "Drug"}, "tail": LINE["tail"] | {"type": "enzyme", "text": "COX-2"}}
    corpus = load_corpus(write_jsonl([{**LINE, **entities}]))
    (instance,) = corpus.instances
    assert (instance.id, instance.label) == ("1", None)
    assert " ".join(instance.tokens) == "<drug> Aspirin </drug> blocks <enzyme> COX - 2 </enzyme> ."


@pytest.mark.parametrize("negative", ["false", "0", "negative", "no_relation"])
def test_the_negative_label_comes_first(write_jsonl: Write, negative: str) -> None:
    corpus = load_corpus(write_jsonl([LINE | {"label": "x"}, LINE | {"label": negative}, LINE | {"label": "A"}]))
    assert corpus.labels == (negative, "A", "x")


def test_null_is_no_label_and_no_text(write_jsonl: Write) -> None:
    line = LINE | {"label": None, "head": LINE["head"] | {"text": None}}
    assert load_corpus(write_jsonl([line])).instances == load_corpus(write_jsonl([LINE])).instances


def changed(**members: object) -> dict[str, Any]:
    return LINE | members


def entity(**members: object) -> dict[str, Any]:
    return changed(head=LINE["head"] | members)


DAMAGE = {
    "no tail": ({k: v for k, v in LINE.items() if k != "tail"}, "line 1: the pair has no 'tail'"),
    "misspelt": (changed(lable="x"), "line 1: the pair has a member 'lable'; allowed are text, head"),
    "text": (changed(text=3), "line 1: 'text' of the pair is 3; a string is wanted"),
    "outside": (entity(end=70), "line 1: the entity head is at 0-70, outside the text of 21 characters"),
    "negative": (entity(start=-1), "line 1: the entity head is at -1-7"),
    "empty": (entity(end=0), "line 1: the entity head is at 0-0"),
    "blank": (entity(start=7, end=8), "line 1: the entity head holds blanks only"),
    "float": (entity(start=0.0), "line 1: 'start' of 'head' is 0.0; a whole number is wanted"),
    "truth": (entity(start=False), "line 1: 'start' of 'head' is false; a whole number is wanted"),
    "mention": (entity(text="aspirin"), "line 1: the entity head is 'aspirin', but the text has 'Aspirin' at 0-7"),
    "type": (entity(type="a b>"), "line 1: the type of 'head' is 'a b>'"),
    "split": (changed(split="valid"), "line 1: the split is 'valid'"),
    "fold": (changed(fold=0), "line 1: the fold is 0"),
    "both": (changed(fold=1, split="dev"), "line 1: split and fold are both given"),
    "surrogate": (changed(text="Aspirin \ud800 blocks COX-2."), "line 1: the text holds half of a surrogate pair"),
}


@pytest.mark.parametrize(("line", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damage_names_file_and_line(write_jsonl: Write, line: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"pairs.jsonl, {message}"):
        load_corpus(write_jsonl([line]))


MIXED = {
    "label": ([LINE, LINE | {"label": "x"}], "line 2: 'label' is on some lines and not on others"),
    "split": ([LINE | {"split": "dev"}, LINE | {"split": "dev"}, LINE], "line 3: 'split' is on some"),
    "id": ([LINE | {"id": "2"}, LINE], "the id '2' is given more than once"),
    "negatives": ([LINE | {"label": "0"}, LINE | {"label": "false"}], "the negative labels false and 0"),
}


@pytest.mark.parametrize(("lines", "message"), MIXED.values(), ids=MIXED)
def test_lines_that_disagree(write_jsonl: Write, lines: Given, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_corpus(write_jsonl(lines))


@pytest.mark.parametrize(
    ("raw", "message"), [(b"{", "not JSON"), (b"[1]", "the pair is .*a JSON object"), (b"[" * 9999, "not JSON")]
)
def test_what_is_no_object(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(raw)
    with pytest.raises(DataError, match=f"line 1: {message}"):
        load_corpus(f"jsonl:{tmp_path / 'x.jsonl'}")


def test_missing_things(tmp_path: Path, write_jsonl: Write) -> None:
    with pytest.raises(UsageError, match="jsonl:FILE"):
        load_corpus("jsonl")
    with pytest.raises(MissingFileError, match="does not exist"):
        load_corpus(f"jsonl:{tmp_path / 'nothing'}")
    with pytest.raises(UsageError, match="no list of instances"):
        load_corpus(write_jsonl([LINE]), instances=tmp_path)


QUIET = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@st.composite
def pairs(draw: st.DrawFn) -> dict[str, Any]:
    text = draw(TEXT)
    words = [i for i, c in enumerate(text) if c.isalnum()]
    if not words:
        text, words = text + "x", [len(text)]
    spans = []
    for _ in range(2):
        inside = draw(st.sampled_from(words))
        spans.append((draw(st.integers(0, inside)), draw(st.integers(inside + 1, len(text)))))
    return {
        "text": text,
        **{n: {"start": a, "end": b, "type": "GENE"} for n, (a, b) in zip(("head", "tail"), spans, strict=True)},
    }


@QUIET
@given(pairs(), st.sampled_from(["tags", "replace"]), st.sampled_from(["tagged", "sentence"]))
def test_offsets_lead_back_to_the_text(write_jsonl: Write, line: dict[str, Any], marks: str, context: str) -> None:
    (instance,) = load_corpus(write_jsonl([line]), indicators=marks, context=context).instances
    for token, (start, end) in zip(instance.tokens, instance.offsets, strict=True):
        if start >= 0 and token != "@GENE$":
            assert line["text"][start:end] == token
    if marks == "tags":
        for name, span in (("head", instance.head), ("tail", instance.tail)):
            rows = [row for row in instance.layout[slice(*span)] if row >= 0 and instance.offsets[row][0] >= 0]
            mention = line["text"][line[name]["start"] : line[name]["end"]]
            characters = [c for row in rows for c in instance.tokens[row]]
            assert characters == [c for c in mention if not c.isspace() and c not in "\u200b\u2060\ufeff\u00ad"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*LINE, "label", "start"]), inner),
    max_leaves=8,
)


@QUIET
@given(st.one_of(st.binary(max_size=60), JSON.map(lambda given: json.dumps(given).encode())))
def test_anything_else_raises_our_errors_only(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(raw)
    with pytest.raises(FeatstoreError, match=r"any\.jsonl"):
        load_corpus(f"jsonl:{path}")


@pytest.mark.parametrize("name", ["id", "label"])
def test_an_id_or_a_label_that_would_tear_a_table_is_refused(write_jsonl: Write, name: str) -> None:
    with pytest.raises(DataError, match=f"line 2: the {name} is 'up.+regulates', which holds a character"):
        load_corpus(write_jsonl([LINE | {"id": "1", "label": "a"}, LINE | {name: "up\tregulates"}]))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_any_line_end_and_gzip(tmp_path: Path, end: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "pairs.ndjson"
    path.write_bytes(pack("".join(json.dumps(LINE) + end for _ in range(3)).encode()))
    assert len(load_corpus(f"jsonl:{path}").instances) == 3
