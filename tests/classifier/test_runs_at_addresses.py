"""Runs at addresses: a real S3 protocol, a server on the loopback. What is there is what a folder would hold."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import fsspec
import pytest

from classifier.ablate import DONE, KEPT, ablate
from classifier.ablate.ablation import summarise_grid
from classifier.ablate.export import cells
from classifier.ablate.grid import Grid, plan
from classifier.api import open_run
from classifier.runs import workplace
from classifier.runs.config import RunConfig, read_config, trained_folds
from classifier.runs.find import encoders_in_use, find_run, latest_run, list_runs
from classifier.runs.overview import compare_runs, overview
from classifier.runs.results import read_predictions, results_of
from classifier.runs.target import fold_target
from classifier.runs.workplace import BEGUN, working_at
from classifier.systems.choice import run_config
from classifier.systems.fitting import SystemPlan
from classifier.systems.folds import evaluate_fold, plan_fold, train_fold
from classifier.systems.saved import load_model
from classifier.systems.table import SYSTEMS
from classifier.systems.words import SystemWord
from classifier.training.config import TrainConfig
from classifier.training.epoch import Epoch, Notice
from featstore.addresses import files_below, upload
from featstore.copies import on_this_machine
from featstore.corpora import CorpusChoice, load_corpus
from featstore.errors import DataError, MismatchError, MissingFileError, ResourceError, UsageError
from featstore.files import read_text
from featstore.fingerprint import file_sha256
from featstore.records import Corpus

Make = Callable[..., Corpus]
FACTS = {"README.md", "config.toml", "metrics.json", "predictions.tsv", "run.json"}
WITH_TIMES = {"README.md", "run.json"}  # they tell how long it took


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(SYSTEMS, "words", "toy_system:WORDS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no power fails here


@pytest.fixture
def run(s3: str) -> Path:
    """The address of a run that is not there yet."""
    return Path(f"{s3}/runs/mine")


def words(corpus: Corpus, **given: object) -> RunConfig:
    return run_config(CorpusChoice(corpus.spec, corpus.indicators, corpus.context), "words", given)


def content(folder: Path) -> dict[str, bytes]:
    """Return what is in the folder or at the address, but for what tells times."""
    place = on_this_machine(folder)
    return {name: (place / name).read_bytes() for name in files_below(place) if Path(name).name not in WITH_TIMES}


def kept_here(tmp_path: Path) -> list[str]:
    return sorted(files_below(tmp_path / "cache" / "featstore-runs"))


def weigh_otherwise(folder: Path) -> None:
    """Have a fold's model other weights, as another processor would."""
    counts, facts = folder / "model" / "counts.json", folder / "run.json"
    before = file_sha256(counts)
    counts.write_bytes(counts.read_bytes() + b" ")
    facts.write_text(facts.read_text().replace(before, file_sha256(counts)))


def epochs(heard: list[Epoch | Notice]) -> int:
    return sum(isinstance(event, Epoch) for event in heard)


class Cut:
    """An upload that fails at a file of a name."""

    def __init__(self, at: str) -> None:
        self.at = at

    def __call__(self, path: Path, address: str) -> None:
        if address.endswith(self.at):
            raise ResourceError("the line is cut.")
        upload(path, address)


@pytest.mark.parametrize("system", ["head", "words"])
def test_it_is_what_a_folder_would_hold(
    system: str, run: Path, make_corpus: Make, make_store: Callable[[Corpus], Path], tmp_path: Path
) -> None:
    corpus = make_corpus()
    store, config, folds = Path(), words(corpus), corpus.folds[:2]
    if system == "head":
        store, folds = make_store(corpus), folds[:1]
        config = RunConfig(config.corpus, TrainConfig(features="glove", optimizer="adamw", hidden=4, max_epochs=1))
    train_fold(corpus, store, config, 1, run)
    assert trained_folds(run) == (1,)
    assert read_config(run) == config
    assert not files_below(run / "fold-1").keys() & {BEGUN, "metrics.json"}
    for fold in folds:
        there, here = (evaluate_fold(corpus, store, config, fold, place) for place in (run, tmp_path / "mine"))
        assert there.metrics == here.metrics
    assert files_below(run).keys() == files_below(tmp_path / "mine").keys()
    assert content(run) == content(tmp_path / "mine")
    assert kept_here(tmp_path) == [], "what is at the address is not kept here too"
    assert [result.folder for result in results_of(run)] == [run / f"fold-{fold}" for fold in folds]
    load_model(on_this_machine(run / "fold-1"))  # the digests are right
    opened = open_run(str(run), store=store)
    assert opened.folds == folds
    assert len(opened.predictions(1)) == len(corpus.partition(1).test)
    assert bool(encoders_in_use([run])) == (system == "head")


def test_what_was_begun_elsewhere_is_gone_on_with(
    run: Path, make_corpus: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, heard = make_corpus(), list[Epoch | Notice]()
    config = words(corpus)

    def die_in_fold_2(event: Epoch | Notice) -> None:
        heard.append(event)
        if epochs(heard) == 3:
            raise KeyboardInterrupt

    train_fold(corpus, "", config, 1, run, progress=die_in_fold_2)
    with pytest.raises(KeyboardInterrupt):
        train_fold(corpus, "", config, 2, run, progress=die_in_fold_2)
    assert trained_folds(run) == (1,)
    assert {name.split("/")[0] for name in files_below(run)} == {"config.toml", "fold-1"}, "nothing of fold 2"
    assert [Path(name).name for name in kept_here(tmp_path)] == ["before", "unfinished.safetensors"]
    planned = plan_fold(corpus, "", config, 2, run)
    assert isinstance(planned, SystemPlan)
    assert planned.done == 1

    for machine, expected in (("elsewhere", 2), ("cache", 1)):  # another machine begins fold 2 anew, this one goes on
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / machine))
        heard.clear()
        for fold in (1, 2):
            evaluate_fold(corpus, "", config, fold, run, progress=heard.append)
        assert epochs(heard) == expected
        fsspec.filesystem("s3").rm(f"{run}/fold-2".replace("s3:/", "s3://"), recursive=True)


class Killed(BaseException):
    """The process ends at once, as by SIGKILL."""


class Steps:
    """Counts what is done to the address, and kills the process before one of the steps."""

    def __init__(self, patch: pytest.MonkeyPatch, kill_before: int) -> None:
        self.left = kill_before
        for name in ("upload", "remove", "fetch", "write_file"):
            patch.setattr(workplace, name, partial(self.step, getattr(workplace, name)))
        patch.setattr(workplace._RemoteWorkplace, "leave", lambda _: None)  # a killed process does not tidy up

    def step(self, do: Callable[..., None], *given: object) -> None:
        if not self.left:
            raise Killed
        self.left -= 1
        do(*given)


@pytest.mark.parametrize("is_anew", [False, True], ids=["new", "anew"])
def test_a_kill_at_any_step_leaves_a_whole_fold_or_none(
    is_anew: bool, make_corpus: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, run, kills = make_corpus(count=30), Path("memory://bucket/runs/mine"), 0
    config, fs = words(corpus, rounds=1), fsspec.filesystem("memory")
    evaluate_fold(corpus, "", config, 1, tmp_path / "mine")
    shutil.copytree(tmp_path / "mine", tmp_path / "older")
    if is_anew:
        weigh_otherwise(tmp_path / "older" / "fold-1")
    models = {file_sha256(tmp_path / name / "fold-1/model/counts.json") for name in ("mine", "older")}
    while True:
        fs.store.clear()
        if is_anew:
            fs.put(f"{tmp_path / 'older'}/", "/bucket/runs/mine/", recursive=True)
        try:
            with monkeypatch.context() as patch:
                Steps(patch, kills)
                if is_anew:
                    train_fold(corpus, "", config, 1, run)
                evaluate_fold(corpus, "", config, 1, run)
            break
        except Killed:
            kills += 1
        for fold in trained_folds(run):
            load_model(on_this_machine(run / f"fold-{fold}"))  # its files are those that run.json lists
            assert file_sha256(on_this_machine(run / "fold-1" / "model" / "counts.json")) in models
        for result in results_of(run):
            assert len(read_predictions(result).ids) == len(corpus.partition(1).test)
        if is_anew:
            train_fold(corpus, "", config, 1, run)
        evaluate_fold(corpus, "", config, 1, run)
        assert content(run) == content(tmp_path / "mine")
        assert kept_here(tmp_path) == []
    assert kills >= 13


@pytest.mark.parametrize("at", ["counts.json", "run.json", "metrics.json"])
def test_where_it_cannot_be_put_there_it_is_kept_here(
    at: str, run: Path, make_corpus: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, heard = make_corpus(), list[Epoch | Notice]()
    config = words(corpus)
    evaluate_fold(corpus, "", config, 1, tmp_path / "mine")
    with monkeypatch.context() as patch:
        patch.setattr(workplace, "upload", Cut(at))
        said = "" if at == "metrics.json" else r" What is finished is kept below .*featstore-runs"
        with pytest.raises(ResourceError, match=f"line is cut.{said}"):
            evaluate_fold(corpus, "", config, 1, run)
    assert bool(kept_here(tmp_path)) == bool(said)
    assert trained_folds(run) == (() if said else (1,)), "whole, or not at all"
    assert results_of(run) == []
    evaluate_fold(corpus, "", config, 1, run, progress=heard.append)
    assert epochs(heard) == 0
    assert content(run) == content(tmp_path / "mine")
    assert kept_here(tmp_path) == []


def test_a_fold_is_trained_anew_whole_or_not_at_all(
    run: Path, make_corpus: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, heard = make_corpus(), list[Epoch | Notice]()
    config = words(corpus)
    evaluate_fold(corpus, "", config, 1, run)
    there = f"{run}/fold-1/model/counts.json".replace("s3:/", "s3://")
    fsspec.filesystem("s3").pipe_file(there, b"{}")
    with pytest.raises(MismatchError, match=r"^s3://.*/mine/fold-1/model/counts.json is not the file"):
        evaluate_fold(corpus, "", config, 1, run)
    with monkeypatch.context() as patch:
        patch.setattr(workplace, "upload", Cut("run.json"))
        with pytest.raises(ResourceError):
            train_fold(corpus, "", config, 1, run)
    assert trained_folds(run) == ()
    train_fold(corpus, "", config, 1, run, progress=heard.append)
    assert [type(event) for event in heard] == [Notice], "it only has to be put there"
    assert "finished before" in str(heard[0])
    assert trained_folds(run) == (1,)
    assert results_of(run) == [], "the evaluation was of the model before"
    evaluate_fold(corpus, "", config, 1, run)


def test_where_nothing_may_be_written_nothing_is_trained(
    run: Path, make_corpus: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, heard = make_corpus(), list[Epoch | Notice]()
    config = words(corpus)

    protocol = type(fsspec.filesystem("s3"))
    call = protocol._call_s3

    async def refuse(self: object, method: str, *given: object, **more: object) -> object:
        if method.startswith("put"):
            raise PermissionError("Access Denied")
        return await call(self, method, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(protocol, "_call_s3", refuse)
        with pytest.raises(ResourceError, match=r"s3://.*/runs/mine/fold-1/begun.json .* no permission") as raised:
            train_fold(corpus, "", config, 1, run, progress=heard.append)
    assert raised.value.exit_code == 6
    assert (heard, files_below(run), kept_here(tmp_path)) == ([], {}, [])
    with pytest.raises(UsageError, match="there is no bucket 'no-such-bucket-here'"):
        train_fold(corpus, "", config, 1, Path("s3://no-such-bucket-here/runs/mine"))
    with pytest.raises(
        MissingFileError, match=r"there is no run at s3://.*/mine; `cli runs ls --runs s3://bucket-\w+/runs` lists"
    ):
        find_run(str(run).replace("s3:/", "s3://"), run.parent)


def test_another_configuration_is_refused(run: Path, make_corpus: Make) -> None:
    corpus = make_corpus()
    train_fold(corpus, "", words(corpus), 1, run)
    for work in (train_fold, evaluate_fold, plan_fold):
        with pytest.raises(UsageError, match=r"s3://.*/runs/mine belongs to another configuration: rounds is 2 there"):
            work(corpus, "", words(corpus, rounds=3), 2, run)


def test_what_somebody_else_has_written_meanwhile_stays(run: Path, make_corpus: Make, tmp_path: Path) -> None:
    corpus, heard = make_corpus(), list[Epoch | Notice]()
    config = words(corpus)
    evaluate_fold(corpus, "", config, 1, tmp_path / "mine")
    weigh_otherwise(tmp_path / "mine" / "fold-1")
    fs, there = fsspec.filesystem("s3"), str(run).replace("s3:/", "s3://")
    fs.pipe_file(f"{there}/fold-1/{BEGUN}", b'{"host": "other", "process": 7, "since": "2026-01-01T00:00:00+00:00"}')

    def meanwhile(event: Epoch | Notice) -> None:
        heard.append(event)
        if epochs(heard) == 2:
            fs.put(f"{tmp_path / 'mine'}/", f"{there}/", recursive=True)

    with pytest.raises(MismatchError, match=r"s3://.*/fold-1 was written by somebody else .* is left as it is"):
        evaluate_fold(corpus, "", config, 1, run, progress=meanwhile)
    assert "is being trained by another machine" in str(heard[1])
    assert '"host": "other"' in str(heard[1])
    assert fs.cat_file(f"{there}/fold-1/run.json") == (tmp_path / "mine/fold-1/run.json").read_bytes()
    heard.clear()
    evaluate_fold(corpus, "", config, 1, run, progress=heard.append)
    assert heard == []
    assert kept_here(tmp_path) == []
    assert content(run) == content(tmp_path / "mine")

    train_fold(corpus, "", config, 1, run, progress=heard.append)
    assert epochs(heard) == 2
    evaluate_fold(corpus, "", config, 1, tmp_path / "mine2")
    evaluate_fold(corpus, "", config, 1, run)
    assert content(run) == content(tmp_path / "mine2"), "what is trained anew takes its place"


def test_errors_name_the_address(run: Path, make_corpus: Make) -> None:
    corpus = make_corpus()
    train_fold(corpus, "", words(corpus), 1, run)
    changed = replace(corpus, digest="d2" * 8)
    with pytest.raises(MismatchError, match=r"^s3://.*/runs/mine/fold-1 was trained on another version"):
        evaluate_fold(changed, "", words(corpus), 1, run)


def test_a_second_process_of_the_machine_waits(run: Path, make_corpus: Make) -> None:
    corpus, waits = make_corpus(), threading.Event()
    config, heard = words(corpus), list[Epoch | Notice]()

    def hear(event: Epoch | Notice) -> None:
        heard.append(event)
        waits.set()

    second = threading.Thread(target=lambda: evaluate_fold(corpus, "", config, 1, run, progress=hear))
    with working_at(fold_target(run, 1, config), hear) as work:
        second.start()
        assert waits.wait(30)
        train_fold(corpus, "", config, 1, work.run_dir)
        work.put()
    second.join(30)
    assert len(heard) == 1
    assert "another process of this machine works on fold 1 of s3://" in str(heard[0])
    assert len(results_of(run)) == 1
    assert not fold_target(run, 1, config).work_folder.parent.exists()


def test_a_grid(s3: str, folded_pairs: Path, tmp_path: Path, s3_requests: list[str]) -> None:
    runs = Path(f"{s3}/runs")
    grid = Grid((), folds=(1, 2), corpus=f"jsonl:{folded_pairs}", systems=(SystemWord("words"),))
    corpus = load_corpus(grid.corpus)
    evaluate_fold(corpus, "", grid.cells()[1].config, 2, grid.cells()[1].run_dir(runs))
    assert [(row.cells, row.complete) for row in plan(grid, runs)] == [(2, 1)]
    events = ablate(grid, "", runs)
    assert [event.status for event in events] == [DONE, KEPT]
    local = tmp_path / "runs"
    report, expected = (summarise_grid(grid, ablate(grid, "", place), "", place) for place in (runs, local))
    assert report.rows[0].summary == expected.rows[0].summary
    assert {str(cell["folder"]).startswith(f"{s3}/runs/") for cell in cells(report)} == {True}
    assert content(runs) == content(local)

    assert [run.relative_to(runs) for run in list_runs(runs)] == [run.relative_to(local) for run in list_runs(local)]
    assert latest_run(runs) == list_runs(runs)[0]
    shutil.copytree(list_runs(local)[0], local / "again")
    compared = compare_runs([list_runs(runs)[0], local / "again"])
    assert all(one == other for one, other in compared.scores.values())
    s3_requests.clear()
    (listed,) = overview(runs)
    assert Counter(s3_requests) == {"ListObjectsV2": 1, "GetObject": 7}, (
        "one for each small file, of the run and 2 folds"
    )
    assert listed == replace(overview(local)[1], folder=list_runs(runs)[0], seconds=listed.seconds)
    s3_requests.clear()
    assert [result.folder for result in results_of(listed.folder)] == [listed.folder / f"fold-{n}" for n in (1, 2)]
    assert Counter(s3_requests) == {"ListObjectsV2": 1, "GetObject": 7}
    fsspec.filesystem("s3").pipe_file(f"{s3}/runs/{listed.folder.name}/fold-1/run.json", b"{}")
    with pytest.raises(DataError, match=rf"{s3}/runs/{listed.folder.name}/fold-1/run.json is not as it was written"):
        overview(runs)
    assert read_text(list_runs(runs)[0] / "config.toml", ".").startswith("corpus")
