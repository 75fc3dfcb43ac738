"""The audit: near duplicates against a comparison of each with each, counts and leakage against counting by hand."""

import json
from collections.abc import Callable
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from featstore.corpora.audit import check_corpus
from featstore.corpora.duplicates import near_duplicates

SETS = st.lists(st.frozensets(st.sampled_from("abcdefghijkl")), max_size=12)


@given(SETS, st.sampled_from([0.1, 0.3, 0.5, 2 / 3, 0.75, 0.8, 0.9, 1.0]))
@example([frozenset("abcde"), frozenset("abcd")], 0.8)
def test_near_duplicates_are_those_of_the_definition(sets: list[frozenset[str]], threshold: float) -> None:
    wanted = [
        (i, j)
        for i, one in enumerate(sets)
        for j, other in enumerate(sets)
        if i < j and one and len(one & other) >= threshold * len(one | other)
    ]
    assert sorted(near_duplicates(sets, threshold)) == wanted


def test_leakage_of_each_fold(write_gad: Callable[..., Path]) -> None:
    long = "@GENE$ was linked to a higher risk of {} @DISEASE$ in men"
    rows = [
        (long.format("severe"), "1"),  # fold 1
        (long.format("mild"), "0"),  # fold 2: shares 11 of 13 words with the first, and has another label
        (long.format("severe"), "1"),  # fold 1 again
        ("@GENE$ has no part in @DISEASE$", "0"),  # fold 2
        ("The role of @GENE$ in @DISEASE$ is open", "0"),  # fold 1
        (long.format("severe"), "1"),  # fold 2: the first once more
    ]
    report = check_corpus(f"gad:{write_gad(rows, folds=2)}")
    one, two = report.leakage
    assert (one.fold, one.train, one.test) == (1, 3, 3)
    assert (one.exact, one.near, one.other_label) == (2, 2, 0)
    assert (two.exact, two.near, two.other_label) == (1, 2, 1)


def test_counts_and_tokens(write_gad: Callable[..., Path]) -> None:
    report = check_corpus(f"gad:{write_gad()}")
    assert report.counts["all"] == {"0": 2, "1": 4, "total": 6}
    assert [report.counts[f"fold {fold}"]["total"] for fold in (1, 2, 3)] == [2, 2, 2]
    assert list(report.counts) == ["all", "fold 1", "fold 2", "fold 3"]
    assert (report.instances, report.sentences) == (6, 5)
    assert (report.mentions, report.agreeing) == (0, 0)
    # 6, 9, 9, 10 and 15 tokens: tags do not count
    assert (report.tokens.total, report.tokens.mean, report.tokens.p50, report.tokens.max) == (49, 9.8, 9, 15)
    assert json.loads(json.dumps(report.to_json()))["leakage"][0]["fold"] == 1


def test_mentions_of_documents_are_counted(chemprot_dir: Path) -> None:
    report = check_corpus(f"chemprot:{chemprot_dir}")
    assert (report.mentions, report.agreeing) == (24, 24)
    assert report.counts["train"]["CPR:4"] == report.counts["test"]["CPR:4"] == 1
    # Every sentence of the test document stands in the other two.
    assert report.leakage[0].exact == report.leakage[0].test == report.counts["test"]["total"]


def test_a_corpus_without_test_part_has_no_leakage(tmp_path: Path) -> None:
    line = {"text": "x" * 60 + " binds y", "head": {"start": 0, "end": 60, "type": "GENE"}}
    line["tail"] = {"start": 67, "end": 68, "type": "GENE"}
    (tmp_path / "a.jsonl").write_text(json.dumps(line))
    report = check_corpus(f"jsonl:{tmp_path / 'a.jsonl'}")
    assert report.leakage == ()
    assert (report.tokens.long, report.tokens.longest) == (1, 60)
    assert report.counts == {"all": {"NONE": 0, "total": 1}}
