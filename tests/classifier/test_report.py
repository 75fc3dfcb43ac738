"""The report of a small grid: its figures against counting by hand, and its files."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean, stdev
from xml.etree import ElementTree

import numpy as np
import pytest

from classifier.ablate import ablate
from classifier.ablate.ablation import Ablation, summarise_grid
from classifier.ablate.costs import extent
from classifier.ablate.examples import Example
from classifier.ablate.export import markdown
from classifier.ablate.grid import Grid
from classifier.ablate.html import html_report
from classifier.ablate.paper import LIGHT, OTHERS, PaperRow, called_in_paper, light_row
from classifier.ablate.plots import costs_figure, scores_figure
from classifier.ablate.publish import write_report
from classifier.ablate.svg import Axis, Point, intervals, scatter
from classifier.ablate.tables import Table, paired_tests, scores, spread, tables
from classifier.ablate.verdict import verdict
from classifier.ablate.words import class_name, facts
from classifier.runs.results import read_predictions
from classifier.scores.metrics import score
from featstore.corpora import load_corpus
from featstore.errors import DataError, MismatchError
from featstore.stores.pace import Pace, add_pace, read_pace

FAST = {"optimizer": "adamw", "lr": 0.01, "hidden": 8, "max_epochs": 4, "batch_size": 16}
HOSTILE = "<script>alert(1)</script>"
MADE = date(2031, 5, 17)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the tests share: corpus, store and runs; tests write elsewhere."""
    return tmp_path_factory.mktemp("ablation")


@pytest.fixture(scope="module")
def grid(home: Path, write_pairs: Callable[..., Path]) -> Grid:
    corpus = write_pairs(home / "pairs.jsonl", opening=HOSTILE, positive="<b>CPR")
    return Grid(
        features=("glove", "glove+elmo"),
        folds=(1, 2, 3),
        seeds=(1, 2),
        indicators=("tags", "replace"),
        corpus=f"jsonl:{corpus}",
        options=FAST,
    )


@pytest.fixture(scope="module")
def store(grid: Grid, home: Path, write_set: Callable[..., Path]) -> Path:
    corpora = [load_corpus(grid.corpus, indicators=indicators) for indicators in ("tags", "replace")]
    instances = [instance for corpus in corpora for instance in corpus.instances]
    write_set(instances, home / "features", "glove", 8)
    return write_set(instances, home / "features", "elmo", 18, 3)


@pytest.fixture(scope="module")
def report(grid: Grid, store: Path, home: Path) -> Ablation:
    return summarise_grid(grid, ablate(grid, store, home / "runs"), store, home / "runs")


def test_the_figures(report: Ablation, grid: Grid) -> None:
    assert [r.row for r in report.rows] == list(grid.rows())
    assert all(r.cells == r.of == 6 for r in report.rows)
    row = report.rows[1]
    results = report.results[row.row]
    f1 = {(r.fold, r.config.train.seed): r.metrics.micro.f1 or 0 for r in results}
    assert row.summary.f1 == pytest.approx(fmean(f1.values()))
    assert row.summary.f1_deviation == pytest.approx(stdev(f1.values()))
    assert row.fold_deviation == pytest.approx(stdev(fmean(f1[k, s] for s in (1, 2)) for k in (1, 2, 3)))
    assert row.seed_deviation == pytest.approx(stdev(fmean(f1[k, s] for k in (1, 2, 3)) for s in (1, 2)))
    assert row.paper is None

    # Every ninth sentence comes twice, in neighbouring folds: both copies are leaks.
    plain = load_corpus(grid.corpus, context="sentence")
    fold_of = [(i.group, i.fold) for i in plain.instances]
    twice = {i.id for i in plain.instances if len({fold for group, fold in fold_of if group == i.group}) > 1}
    assert row.without_exact.left_out == pytest.approx(len(twice) / len(plain.instances))
    clean = []
    for result in results:
        saved = read_predictions(result)
        stays = np.array([i not in twice for i in saved.ids])
        clean.append(score(saved.gold[stays], saved.predicted[stays], result.metrics.labels, report.positive).micro.f1)
    assert row.without_exact.f1 == pytest.approx(fmean(value or 0 for value in clean))
    assert row.without_near.left_out >= row.without_exact.left_out


def test_tests_and_gains(report: Ablation) -> None:
    assert len(report.tests) == 6
    assert {test.comparison.pairs for test in report.tests} == {3}
    gaps = {(t.first, t.second): t.comparison.difference for t in report.tests}
    mean = {r.row: r.summary.f1 or 0 for r in report.rows}
    for (first, second), gap in gaps.items():
        assert gap == pytest.approx(mean[first] - mean[second])
    assert [g.tags.features for g in report.gains] == ["glove", "glove+elmo"]
    assert all(g.gain == pytest.approx(mean[g.tags] - mean[g.replace]) for g in report.gains)
    assert all(g.replace.indicators == "replace" and g.paper is None for g in report.gains)


def test_a_single_fold_is_tested_on_its_predictions(report: Ablation, store: Path, home: Path) -> None:
    grid = replace(report.grid, folds=(2,), indicators=("tags",))
    single = summarise_grid(grid, [], store, home / "runs")
    (test,) = single.tests
    assert test.comparison.method == "approximate randomisation"
    assert test.comparison.p is not None
    sentences = {i.group for i in load_corpus(grid.corpus).instances if i.fold == 2}
    assert test.comparison.pairs == len(sentences)


def test_costs(report: Ablation, grid: Grid, store: Path, home: Path) -> None:
    cost = {r.row.features: r.cost for r in report.rows if r.row.indicators == "tags"}
    tokens = sum(len(t) for t in {i.key: i.tokens for i in load_corpus(grid.corpus).instances}.values())
    assert cost["glove"].store_bytes == tokens * 8 * 2
    assert cost["glove+elmo"].store_bytes == tokens * (8 + 18) * 2
    assert cost["glove"].extraction_ms is None, "nobody recorded what encoding took"
    glove = next(path for path in store.iterdir() if path.name.startswith("glove"))
    add_pace(glove, Pace(1000, 0.5))
    add_pace(glove, Pace(1000, 1.5))
    assert read_pace(glove) == Pace(2000, 2.0)
    again = summarise_grid(grid, [], store, home / "runs")
    by_fold = extent(load_corpus(grid.corpus)).per_instance
    known = {r.row.features: r.cost for r in again.rows if r.row.indicators == "tags"}
    assert known["glove"].encode_ms == pytest.approx(fmean(by_fold.values()))  # a millisecond a token
    assert known["glove"].encode_ms is not None
    assert known["glove"].extraction_ms == pytest.approx(known["glove"].encode_ms + (known["glove"].head_ms or 0))
    assert known["glove+elmo"].extraction_ms is None


class Page(HTMLParser):
    """Collects what a browser would do with a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_needs_nothing_and_escapes_everything(report: Ablation, store: Path, tmp_path: Path) -> None:
    write_report(report, store, tmp_path / "out", f"cli ablate {HOSTILE}")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "cells.csv",
        "report.html",
        "report.json",
        "report.md",
        "rows.csv",
    ]
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(html)
    assert not page.tags & {"script", "img", "link", "iframe", "object", "b "}
    assert not page.attributes & {"src", "href", "onclick", "onload"}
    assert "url(" not in html
    assert "://" not in html
    words = " ".join("".join(page.text).split())
    assert "script > alert ( 1 )" in words, "a sentence of the corpus, as text"
    assert HOSTILE in words, "the command, as text"
    assert "<b>CPR" in words
    drawings = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(drawings) >= 1 + 4 + 4
    for drawing in drawings:
        ElementTree.fromstring(drawing)  # well formed
    assert "nan" not in "".join(drawings)


def test_words_ids_and_labels_are_escaped(report: Ablation) -> None:
    example = Example(HOSTILE, "found", HOSTILE, HOSTILE, 0.5, (HOSTILE, "b"), (0.25, 0.75), (True, False))
    html = html_report(report, [example], "cli ablate", MADE, no_examples=HOSTILE)
    page = Page()
    page.feed(html)
    assert "script" not in page.tags
    assert "0.75" in page.text, "the largest weight ends the sentence's scale"
    assert "".join(page.text).count(HOSTILE) == 4  # two labels, the id, a word
    assert "--a:65%" in html, "the largest weight has the fullest shade"


def test_files_for_programs(report: Ablation, store: Path, tmp_path: Path) -> None:
    write_report(report, store, tmp_path, "cli ablate")
    plain = json.loads((tmp_path / "report.json").read_text())
    assert (plain["version"], len(plain["rows"]), len(plain["cells"]), len(plain["tests"])) == (1, 4, 24, 6)
    assert date.fromisoformat(plain["made"]) <= date.today()
    with open(tmp_path / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["f1"]) for row in rows] == [r.summary.f1 for r in report.rows]
    assert [float(row["f1_low"]) for row in rows] == [r.interval and r.interval.low for r in report.rows]
    text = (tmp_path / "report.md").read_text()
    assert "&lt;b>CPR" in text
    assert text.count("## ") == len(tables(report))


def test_an_incomplete_grid(grid: Grid, store: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    wide = replace(grid, features=("glove", "cse"), folds=(1,), seeds=(1,), indicators=("tags",))
    events = ablate(wide, store, runs)
    partial = summarise_grid(wide, events, store, runs)
    assert [r.row.features for r in partial.rows] == ["glove"]
    assert any("1 cell failed" in sentence for sentence in verdict(partial))
    assert "cli featurize --encoders cse" in markdown(partial, "cli ablate", MADE)
    alone = replace(wide, features=("cse",))
    with pytest.raises(DataError, match=r"no cell of the grid is complete; the first failed with: .*cse"):
        summarise_grid(alone, ablate(alone, store, runs), store, runs)


def test_rows_of_different_encoders_do_not_mix(grid: Grid, store: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    small = replace(grid, folds=(1, 2), seeds=(1,), indicators=("tags",), features=("glove",))
    ablate(replace(small, folds=(1,)), store, runs)
    for run in runs.glob("*/fold-1/run.json"):
        facts = json.loads(run.read_text())
        facts["features"][0]["identity"] = "f" * 64  # as if another glove had been featurized meanwhile
        run.write_text(json.dumps(facts))
    events = ablate(small, store, runs)
    with pytest.raises(MismatchError, match="encoder behind 'glove' is not the same"):
        summarise_grid(small, events, store, runs)
    for run in runs.glob("*/fold-2/run.json"):
        facts = json.loads(run.read_text())
        facts["corpus"]["digest"] = "0" * 64
        run.write_text(json.dumps(facts))
    with pytest.raises(MismatchError, match="the corpus is not the same"):
        summarise_grid(small, events, store, runs)


def test_beside_the_paper(report: Ablation) -> None:
    assert not [t for t in tables(report) if "Table 2" in t.title]
    first = replace(report.rows[0], paper=light_row("gad", "glove"))
    gad = replace(report, grid=replace(report.grid, corpus="gad:somewhere"), rows=(first,), tests=(), gains=())
    (table,) = [t for t in tables(gad) if "Table 2" in t.title]
    here = 100 * (first.summary.f1 or 0)
    assert table.rows[0][0] == first.row.features
    ours = dict(zip(table.header, table.rows[0], strict=True))
    paper = {"P paper": "77.31", "R paper": "80.01", "F1 paper": "78.59"}
    assert ours.items() >= {"F1 here": f"{here:.2f}", **paper, "difference": f"{here - 78.59:+.2f}"}.items()
    scibert = next(dict(zip(table.header, row, strict=True)) for row in table.rows if row[0] == "SciBERT")
    assert (scibert["P paper"], scibert["F1 paper"], scibert["F1 here"]) == ("85.54", "82.83", "")
    assert "over 3 folds" in table.note
    names = [row[0] for row in table.rows]
    assert names[1:] == ["glove+cse", "glove+elmo", "glove+cse+elmo", "SciBERT", "BioBERT", "E-SVM"], (
        "those not run too"
    )
    own = replace(gad, rows=(first, replace(report.rows[1], paper=None)))
    (table,) = [t for t in tables(own) if "Table 2" in t.title]
    second = dict(zip(table.header, table.rows[1], strict=True))
    assert (second["F1 paper"], second["difference"]) == ("", "")
    assert second["F1 here"]


def test_intervals_stand_on_a_scale() -> None:
    points = [Point("1", "<a>", 0.8, 0.75, 0.85), Point("2", "b", 0.9, 0.9, 0.9, reference=0.85)]
    drawing = intervals(points, "F1")
    ElementTree.fromstring(drawing)
    dots = [float(x) for x in re.findall(r'class="dot" cx="([\d.]+)"', drawing)]
    (diamond,) = (float(x) for x in re.findall(r'class="paper" d="M([\d.]+)', drawing))
    assert dots[0] < diamond < dots[1]
    assert diamond == pytest.approx(fmean(dots), abs=0.1), "0.85 lies between 0.8 and 0.9"
    ends = [float(x) for x in re.findall(r'class="bar" d="M([\d.]+) [\d.]+L([\d.]+)', drawing)[0]]
    assert fmean(ends) == pytest.approx(dots[0], abs=0.1)


def shown(table: Table | None) -> Table:
    assert table is not None
    return table


def test_captions_name_only_what_is_there(report: Ablation) -> None:
    assert "diamond" not in costs_figure(report).caption
    papers = replace(report, rows=tuple(replace(r, paper=PaperRow(0.8, 0.8, 0.8)) for r in report.rows))
    assert "diamond" in costs_figure(papers).caption
    assert "95 % interval" in scores_figure(report).caption
    bare = replace(report, rows=tuple(replace(r, interval=None) for r in report.rows))
    assert "interval" not in scores_figure(bare).caption
    without, with_interval = shown(scores(bare)), shown(scores(report))
    assert ("95 % interval" in without.header, "interval" in without.note) == (False, False)
    assert ("95 % interval" in with_interval.header, "bootstrap" in with_interval.note) == (True, True)
    both = shown(spread(report))
    assert both.title == "Spread and leakage"
    assert "sd of seeds" in both.header
    one_seed = replace(report, rows=tuple(replace(r, seed_deviation=None) for r in report.rows))
    assert "sd of folds" not in shown(spread(one_seed)).header, "it is the sd of all cells then"


def test_too_few_pairs_are_called_by_their_name(report: Ablation) -> None:
    assert "it compares 3 pairs" in shown(paired_tests(report)).note
    assert any("no power" in sentence for sentence in verdict(report))
    many = replace(report, tests=tuple(replace(t, comparison=replace(t.comparison, pairs=5)) for t in report.tests))
    assert "no power" not in shown(paired_tests(many)).note
    assert any("differ" in sentence for sentence in verdict(many))


def test_the_page_says_what_was_trained_and_when(report: Ablation) -> None:
    known = dict(facts(report))
    assert known["head"] == "best"
    assert known["epochs"].startswith("4 at most")
    assert (known["folds"], known["seeds"]) == ("1, 2, 3", "1, 2")
    page = Page()
    page.feed(html_report(report, [], "cli ablate", MADE))
    assert "2031-05-17" in page.text
    assert "2031-05-17" in markdown(report, "cli ablate", MADE)


def test_classes_have_names() -> None:
    assert class_name("CPR:4", "chemprot") == "CPR:4 (down-regulation)"
    assert class_name("1", "gad:somewhere") == class_name("1", "sample") == "1 (gene-disease association)"
    assert class_name("1", "jsonl:mine.jsonl") == "1"


def test_the_papers_rows() -> None:
    assert light_row("gad:/data/gad", "elmo[top]+glove") == PaperRow(0.8310, 0.8543, 0.8416)
    assert light_row("chemprot", "glove+cse+elmo") == PaperRow(0.7605, 0.6617, 0.7077, 16.55)
    bio = PaperRow(0.6741, 0.5879, 0.6281, 5.99)
    assert light_row("chemprot", "bioglove+cse") == light_row("chemprot", "glove+bioglove+cse") == bio
    assert light_row("chemprot", "bioglove+elmo2") == light_row("chemprot", "glove+elmo") is not None
    assert light_row("chemprot", "glove+elmo+elmo2") == light_row("chemprot", "glove+elmo")
    for corpus, features in (("chemprot", "cse"), ("chemprot", "glove@12+glove@34"), ("sample", "glove")):
        assert light_row(corpus, features) is None
    light = [row for rows in LIGHT.values() for row in rows.values()]
    for row in (*light, *(row for rows in OTHERS.values() for row in rows.values())):
        harmonic = 2 * row.precision * row.recall / (row.precision + row.recall)
        assert row.f1 == pytest.approx(harmonic, abs=0.003)  # on GAD they are means over folds
    assert [called_in_paper(label) for label in ("svm", "spinn", "bert:SciBERT-uncased", "bert:minilm", "words")] == [
        *("E-SVM", "SPINN", "SciBERT"),
        *(None, None),
    ]


def test_axes_and_labels() -> None:
    assert Axis(0.7, 0.9, 0, 100).ticks() == pytest.approx([0.7, 0.75, 0.8, 0.85, 0.9])
    assert Axis(0.9, 120, 0, 100, log=True).ticks() == [1, 2, 5, 10, 20, 50, 100]
    assert Axis(1, 100, 0, 50, log=True)(10) == pytest.approx(25)
    points = [Point(str(n), f"row {n}", 0.8, 0.79, 0.81, 5.0, 0.81) for n in range(15)]
    drawing = scatter(points, "ms", "F1")
    heights = [float(y) for y in re.findall(r'class="name" x="[\d.]+" y="([\d.]+)"', drawing)]
    assert len(heights) == 15
    assert min(np.diff(heights)) > 14, "no name upon another"
    assert max(heights) < 290
