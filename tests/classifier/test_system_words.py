"""The words of --systems, and a grid whose rows are of several systems."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from classifier.ablate import DONE, FAILED, KEPT, ablate
from classifier.ablate.ablation import summarise_grid
from classifier.ablate.grid import Grid, row_name
from classifier.ablate.publish import write_report
from classifier.ablate.tables import tables
from classifier.systems.table import SYSTEMS
from classifier.systems.words import SystemWord, split_systems
from featstore.corpora import load_corpus
from featstore.errors import UsageError


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "words", "toy_system:WORDS")


def test_words_name_systems_and_their_options() -> None:
    heads, others = split_systems("head:glove; head:glove+cse ;bert:a/scibert lr=1e-4 max-epochs=3; spinn:right; words")
    assert heads == ("glove", "glove+cse")
    assert others == (
        SystemWord("bert", (("encoder", "bert:a/scibert"), ("lr", 1e-4), ("max_epochs", 3))),
        SystemWord("spinn", (("trees", "right"),)),
        SystemWord("words"),
    )
    assert split_systems("spinn:right favour=no")[1][0].options == (("trees", "right"), ("favour", False))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("word", "--systems 'word' is unknown; choose from head"),
        ("head", "names 'head' without features"),
        ("words:x", "nothing may stand behind the colon of 'words'"),
        ("words rounds", "'rounds' in --systems is no option of 'words'; write OPTION=VALUE"),
        ("words seed=3", "'seed=3' in --systems is no option"),
        ("words SPEC=x", "'SPEC=x' in --systems is no option"),
        ("words rounds=many", "'rounds=many' in --systems needs a whole number"),
        ("spinn favour=perhaps", "needs yes or no"),
    ],
)
def test_what_is_no_system_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        split_systems(text)


def test_rows_of_several_systems_stand_in_one_report(
    folded_pairs: Path, make_set: Callable[..., Path], tmp_path: Path
) -> None:
    """A system whose weights are missing leaves the others, and says what to fetch."""
    corpus, runs = f"jsonl:{folded_pairs}", tmp_path / "runs"
    store = make_set(load_corpus(corpus).instances, "glove", 8)
    heads, others = split_systems("head:glove; words; bert:none/BioBERT")
    grid = Grid(heads, (1, 2), corpus=corpus, options={"hidden": 4, "max_epochs": 1}, systems=others)
    events = ablate(grid, store, runs)
    assert [event.status for event in events] == [DONE, DONE, FAILED] * 2
    assert "dmis-lab/biobert-v1.1" in events[2].error
    assert "into none/BioBERT" in events[2].error
    report = summarise_grid(grid, events, store, runs)
    assert [row_name(r.row, grid.rows()) for r in report.rows] == ["glove", "words"]
    assert report.tests[0].comparison.pairs == 2
    assert any("bert:BioBERT" in row[0] for table in tables(report) for row in table.rows)
    write_report(report, store, tmp_path / "out", "cli ablate")
    assert "words tells of no attention" in (tmp_path / "out" / "report.html").read_text()
    assert [event.status for event in ablate(grid, store, runs)] == [KEPT, KEPT, FAILED] * 2


def test_two_rows_must_not_have_one_name() -> None:
    with pytest.raises(UsageError, match="two systems of the grid are called 'words'"):
        Grid((), systems=split_systems("words rounds=2; words rounds=3")[1])
    with pytest.raises(UsageError, match="the grid has no features"):
        Grid(())
    assert [row.features for row in Grid((), systems=split_systems("words")[1]).rows()] == ["words"]
