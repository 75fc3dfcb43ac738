"""Ablations and runs from the command line: plan, grid, report, what failed, and runs side by side."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
SHORT = ("--optimizer", "adamw", "--lr", "0.01", "--max-epochs", "3", "--batch-size", "8", "--hidden", "8")


@pytest.fixture
def corpus(run: Run, pairs: Callable[[Path], Path], tmp_path: Path) -> str:
    """A corpus whose GloVe vectors are in ``features``, tags and replaced mentions alike."""
    spec = f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}"
    for indicators in ("tags", "replace"):
        assert run("featurize", "--encoders", "glove", "--corpus", spec, "--indicators", indicators).code == 0
    return spec


def test_a_grid_is_planned_run_and_kept(run: Run, corpus: str, tmp_path: Path) -> None:
    options = ("--all-subsets", "--corpus", corpus, "--indicators", "tags,replace", "--seeds", "2", *SHORT)
    before = sorted(tmp_path.iterdir())
    planned = run("ablate", *options, "--dry-run", "--json").json()
    assert planned == [{"name": f"glove, {mark}", "cells": 2, "complete": 0} for mark in ("tags", "replace")]
    assert sorted(tmp_path.iterdir()) == before
    done = run("ablate", *options)
    assert done.code == 0, done.err
    assert "4/4 glove, replace, fold 1 seed 2: F1" in done.err
    assert "Tags against replacement" in done.out
    assert "glove, tags" in (tmp_path / "ablation" / "report.html").read_text()
    again = run("ablate", *options, "--json")
    assert again.err.count("was there") == 4
    assert again.json() == json.loads((tmp_path / "ablation" / "report.json").read_text())
    assert len(again.json()["cells"]) == 4

    listed = run("runs", "ls", "--json").json()
    assert [(r["trained"], r["evaluated"]) for r in listed] == [([1], [1])] * 4
    first, second = (Path(r["folder"]).name for r in listed[:2])
    assert "corpus digest" in run("runs", "show", first).out
    compared = run("runs", "compare", first, second, "--json").json()
    assert set(compared["differing"]) == {"seed"}
    assert len(compared["scores"]["1"]) == 2
    assert compared["tests"][0]["method"] == "approximate randomisation"
    assert "less" in run("runs", "compare", first, second).out
    alone = run("runs", "compare", first)
    assert (alone.code, alone.out) == (2, "")
    assert "name at least two" in alone.err


def test_a_failed_cell_is_reported_and_the_others_are_run(run: Run, corpus: str, tmp_path: Path) -> None:
    result = run("ablate", "--features", "glove; cse", "--corpus", corpus, "--out", "r", *SHORT)
    assert result.code == 3
    assert "cse, fold 1 seed 1: failed" in result.err
    assert "Failed cells" in result.out
    assert "cli featurize --encoders cse" in (tmp_path / "r" / "report.md").read_text()


def test_a_run_repeated_from_its_configuration(run: Run, corpus: str, tmp_path: Path) -> None:
    options = ("--corpus", corpus, "--features", "glove", "--dropout", "0.2", "--seed", "7", *SHORT)
    assert run("train", *options, "--run", "one", "--tensorboard").code == 0
    assert list((tmp_path / "runs" / "one" / "fold-1" / "tensorboard").glob("events.out.tfevents.*"))
    assert run("eval", "--run", "one").code == 0
    repeated = run("train", "--config", "runs/one/fold-1/config.toml", "--run", "two")
    assert repeated.code == 0, repeated.err
    assert run("eval", "--run", "two").code == 0
    for name in ("metrics.json", "predictions.tsv", "model.safetensors", "config.toml"):
        one, two = ((tmp_path / "runs" / folder / "fold-1" / name).read_bytes() for folder in ("one", "two"))
        assert one == two, name
    card = (tmp_path / "runs" / "two" / "fold-1" / "README.md").read_text()
    assert "cli train --config config.toml --fold 1" in card
    facts = json.loads((tmp_path / "runs" / "two" / "fold-1" / "run.json").read_text())
    assert {"python", "torch", "numpy", "featstore"} <= set(facts["versions"])
    assert facts["config"]["seed"] == 7
    assert all(fact in card for fact in (facts["corpus"]["digest"], facts["features"][0]["identity"]))
    clash = run("train", "--config", "runs/one/config.toml", "--lr", "0.5", "--seed", "3")
    assert clash.code == 2
    assert "leave out --seed, --lr" in clash.err


def test_tensorboard_that_is_not_installed(run: Run, corpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    result = run("train", "--corpus", corpus, "--features", "glove", "--tensorboard", "--run", "r")
    assert result.code == 2
    assert "pip install 'featstore[tensorboard]'" in result.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["ablate", "--folds", "1,99"], 2, "fold 99 of sample does not exist; it has folds 1, 2, 3, 4, 5"),
        (["ablate", "--folds", "one"], 2, "not numbers such as 1,2,3"),
        (["ablate", "--seeds", "0"], 2, "no seeds"),
        (["ablate", "--features", "glove;; glove"], 2, "name one twice"),
        (["ablate", "--features", " "], 2, "no features"),
        (["ablate", "--contexts", "paragraph"], 2, "sentence"),
        (["ablate", "--jobs", "0"], 2, "'0' was given"),
        (["ablate", "--all-subsets"], 2, "cli featurize"),
        (["ablate", "--head", "papr"], 2, "Did you mean 'paper'"),
        (["ablate", "--corpus", "gad:nowhere"], 4, "nowhere"),
        (["train", "--config", "nowhere.toml"], 4, "nowhere.toml"),
        (["runs", "show", "nowhere"], 4, "cli runs ls"),
        (["runs", "compare", "nowhere", "there"], 4, "cli runs ls"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(run: Run, words: list[str], code: int, says: str) -> None:
    result = run(*words)
    assert result.code == code, result.err
    assert says in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_an_interrupt_keeps_what_is_done(run: Run, corpus: str, tmp_path: Path) -> None:
    options = ("ablate", "--corpus", corpus, "--features", "glove", "--seeds", "60", "--jobs", "2", *SHORT)
    command = [sys.executable, "-m", "cli", *options]
    # a background job may ignore the signal, and pass that on
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/*/fold-1/metrics.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: the workers are meant, too
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "running the command again goes on from there" in said
    assert "Traceback" not in said
    kept = len(list(tmp_path.glob("runs/*/fold-1/predictions.tsv")))
    assert kept
    planned = run(*options, "--dry-run", "--json").json()
    assert planned[0]["complete"] >= kept - 1
    assert planned[0]["complete"] < planned[0]["cells"]
