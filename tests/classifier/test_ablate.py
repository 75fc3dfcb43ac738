"""A grid of small cells: what is run, what is kept, what a failure costs, and what an interrupt leaves."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from classifier.ablate import DONE, FAILED, KEPT, RUNNING, CellEvent, ablate
from classifier.ablate.ablation import summarise_grid
from classifier.ablate.board import Board
from classifier.ablate.cells import LOST
from classifier.ablate.grid import Grid, all_subsets, featurized, rows_of, split_features
from classifier.runs.results import read_result
from classifier.systems.words import SystemWord
from classifier.training.epoch import Epoch
from featstore.corpora import load_corpus
from featstore.errors import DataError, ResourceError, UsageError
from featstore.scale import LocalEngine
from featstore.stores import find_sets
from featstore.stores.maintenance.views import make_view

EPOCHS = 2
FAST = {"optimizer": "adamw", "lr": 0.01, "hidden": 8, "max_epochs": EPOCHS, "batch_size": 16}
MakeSet = Callable[..., Path]


@pytest.fixture
def grid(folded_pairs: Path) -> Grid:
    return Grid(features=("glove", "glove+elmo"), folds=(1, 2), corpus=f"jsonl:{folded_pairs}", options=FAST)


@pytest.fixture
def store(folded_pairs: Path, make_set: MakeSet) -> Path:
    instances = load_corpus(f"jsonl:{folded_pairs}").instances
    make_set(instances, "glove", 8)
    return make_set(instances, "elmo", 18, 3)


def test_the_grid(folded_pairs: Path, store: Path) -> None:
    assert split_features("glove; glove + elmo[top] ;") == ("glove", "glove+elmo[top]")
    assert all_subsets(("a", "b", "c")) == ("a", "b", "c", "a+b", "a+c", "b+c", "a+b+c")
    make_view(find_sets(store, "elmo")[0].path, store, 2)
    assert featurized(store) == ("glove", "elmo"), "no view, which says nothing new"
    grid = Grid(("glove", "elmo"), (1, 3), (1, 2), ("tags", "replace"), ("tagged", "sentence"), options=FAST)
    assert len(grid.cells()) == len(set(grid.cells())) == 2**5
    assert len(grid.rows()) == 2**3
    assert len({cell.folder(Path()) for cell in grid.cells()}) == 2**5
    for wrong, says in (
        ({"folds": ()}, "no folds"),
        ({"seeds": (1, 1)}, "name one twice"),
        ({"features": ("glove+",)}, "not a feature"),
        ({"heads": ("papr",)}, "Did you mean 'paper'"),
    ):
        with pytest.raises(UsageError, match=says):
            replace(grid, **wrong)
    with pytest.raises(UsageError, match="holds no features"):
        featurized(folded_pairs.parent / "nowhere")


def test_complete_cells_are_kept(grid: Grid, store: Path, tmp_path: Path) -> None:
    heard: list[CellEvent] = []
    outcomes = ablate(grid, store, tmp_path / "runs", progress=heard.append)
    assert [event.status for event in outcomes] == [DONE] * 4
    assert Counter(event.status for event in heard) == {DONE: 4, RUNNING: 4 * (1 + EPOCHS)}
    results = [read_result(cell.folder(tmp_path / "runs")) for cell in grid.cells()]
    assert [len(row) for row in rows_of(results).values()] == [2, 2]
    assert all(result.classify_ms and result.classify_ms > 0 for result in results)

    victim = grid.cells()[2].folder(tmp_path / "runs")
    before = (victim / "metrics.json").read_bytes()
    (victim / "metrics.json").unlink()
    assert [event.status for event in ablate(grid, store, tmp_path / "runs")] == [KEPT, KEPT, DONE, KEPT]
    assert (victim / "metrics.json").read_bytes() == before
    more = replace(grid, folds=(1, 2, 3))
    assert Counter(event.status for event in ablate(more, store, tmp_path / "runs")) == {KEPT: 4, DONE: 2}


def test_a_failed_cell_costs_no_other(grid: Grid, store: Path, tmp_path: Path) -> None:
    wider = replace(grid, features=("glove", "cse", "glove+elmo"), folds=(1,))
    outcomes = ablate(wider, store, tmp_path / "runs")
    assert [event.status for event in outcomes] == [DONE, FAILED, DONE]
    assert "cli featurize --encoders cse" in outcomes[1].error
    with pytest.raises(UsageError, match="fold 9 of"):
        ablate(replace(grid, folds=(1, 9)), store, tmp_path / "runs")
    diverging = replace(grid, folds=(1,), options={**FAST, "optimizer": "sgd", "lr": 1e38})
    assert all("the loss became" in event.error for event in ablate(diverging, store, tmp_path / "runs"))
    assert Counter(event.status for event in ablate(wider, store, tmp_path / "runs")) == {KEPT: 2, FAILED: 1}


def test_what_another_version_trained_is_not_kept(grid: Grid, store: Path, tmp_path: Path) -> None:
    runs, small = tmp_path / "runs", replace(grid, folds=(1,), features=("glove",))
    ablate(small, store, runs)
    (run,) = runs.glob("*/fold-1/run.json")
    run.write_text(json.dumps({**json.loads(run.read_text()), "format": 1}))
    (event,) = ablate(small, store, runs)
    assert event.status == FAILED
    assert "another version of featstore (format 1); remove it" in event.error


def test_a_run_that_lacks_a_new_option_is_kept(grid: Grid, store: Path, tmp_path: Path) -> None:
    svm = SystemWord("svm", (("features", "glove"), ("machines", "linear"), ("calibration_parts", 2)))
    small, runs = replace(grid, folds=(1,), features=(), systems=(svm,)), tmp_path / "runs"
    assert [event.status for event in ablate(small, store, runs)] == [DONE]
    for written in runs.glob("**/config.toml"):  # as a version without the option wrote it
        written.write_text(written.read_text().replace("refit = false\n", ""))
    assert [event.status for event in ablate(small, store, runs)] == [KEPT]
    for written in runs.glob("**/config.toml"):
        written.write_text(written.read_text().replace("least = 2", "least = 3"))
    (event,) = ablate(small, store, runs)
    assert "belongs to another configuration (least is 3 there and 2 now)" in event.error


def test_a_grid_without_room_is_no_bad_data(
    grid: Grid, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise ResourceError("no room to write config.toml.")

    monkeypatch.setattr("classifier.ablate.cells.evaluate_fold", full)
    small = replace(grid, folds=(1,), features=("glove",))
    with pytest.raises(ResourceError, match="no cell of the grid is complete; the first failed with: no room"):
        summarise_grid(small, ablate(small, store, tmp_path / "runs"), store, tmp_path / "runs")


def test_what_belongs_to_another_corpus_is_not_kept(grid: Grid, store: Path, tmp_path: Path) -> None:
    runs, small = tmp_path / "runs", replace(grid, folds=(1,), features=("glove",))
    ablate(small, store, runs)
    corpus = Path(grid.corpus.removeprefix("jsonl:"))
    corpus.write_text(corpus.read_text() + "\n")  # the same lines, another file
    (changed,) = ablate(small, store, runs)
    assert changed.status == FAILED
    assert "another version of the corpus" in changed.error
    for config in runs.glob("**/config.toml"):
        config.write_text(config.read_text().replace("seed = 1", "seed = 2"))
    (other,) = ablate(small, store, runs)
    assert "belongs to another configuration" in other.error
    with pytest.raises(DataError, match="no cell of the grid is complete"):
        summarise_grid(small, [other], store, runs)


def test_a_fold_that_lacks_a_class_in_training(folded_pairs: Path, store: Path, tmp_path: Path) -> None:
    pairs = [json.loads(line) for line in folded_pairs.read_text().splitlines()]
    for pair in pairs[1:8:2]:
        pair |= {"label": "CPR:9", "fold": 2}
    folded_pairs.write_text("\n".join(map(json.dumps, pairs)))
    rare = Grid(("glove",), (2, 1), corpus=f"jsonl:{folded_pairs}", options=FAST)
    outcomes = ablate(rare, store, tmp_path / "runs")
    assert [event.status for event in outcomes] == [DONE, DONE]
    result = read_result(outcomes[0].cell.folder(tmp_path / "runs"))
    rare_label = result.metrics.per_class["CPR:9"]
    assert (rare_label.gold, rare_label.predicted) == (4, 0)


def test_processes_do_what_one_does_and_end_when_interrupted(grid: Grid, store: Path, tmp_path: Path) -> None:
    finished: list[CellEvent] = []

    def interrupt(event: CellEvent) -> None:
        if event.status == DONE:
            finished.append(event)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(grid, store, tmp_path / "two", jobs=2, progress=interrupt)
    assert multiprocessing.active_children() == []
    assert not list((tmp_path / "two").glob("**/*.partial"))
    outcomes = ablate(grid, store, tmp_path / "two")
    assert [event.cell for event in outcomes] == list(grid.cells())
    assert KEPT in {event.status for event in outcomes} <= {KEPT, DONE}
    cell = finished[0].cell
    ablate(replace(grid, features=(cell.row.features,), folds=(cell.fold,)), store, tmp_path / "one")
    for name in ("metrics.json", "predictions.tsv", "model.safetensors"):
        one, two = ((cell.folder(tmp_path / runs) / name).read_bytes() for runs in ("one", "two"))
        assert one == two


def test_a_process_that_dies_takes_only_its_cell(grid: Grid, store: Path, tmp_path: Path) -> None:
    def kill_the_first(event: CellEvent) -> None:
        if event.status == RUNNING and event.cell == grid.cells()[0]:
            for child in multiprocessing.active_children():
                child.kill()

    outcomes = ablate(
        replace(grid, folds=(1,)), store, tmp_path / "runs", engine=LocalEngine(1), progress=kill_the_first
    )
    assert [event.status for event in outcomes] == [FAILED, DONE]
    assert outcomes[0].error == LOST


def test_the_board_says_where_a_grid_stands(grid: Grid) -> None:
    first, second, *_ = grid.cells()
    board = Board(grid)
    epoch = Epoch(1, EPOCHS, 0.7, 0.6, 0.5, 0.01, True, 1.0)
    assert board.update(CellEvent(first, RUNNING)) == ""
    assert board.update(CellEvent(first, RUNNING, epoch)) == ""
    assert board.lines()[0] == ("glove", "0/2", "", "", f"fold 1 seed 1: epoch 1/{EPOCHS}, dev F1 50.00")
    assert board.update(CellEvent(first, DONE, f1=0.75)) == "1/4 glove, fold 1 seed 1: F1 75.00"
    assert board.update(CellEvent(second, FAILED, error="no room\nat all")).endswith("fold 1 seed 1: failed: no room")
    assert board.lines() == [("glove", "1/2", "", "75.00", ""), ("glove+elmo", "0/2", "1", "", "")]
