"""A new system is a file and a line in the table: the commands take it with its options."""

from __future__ import annotations

import importlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_checkpoint import write_checkpoint
from toy_system import WORDS

import cli
from classifier.commands import train
from classifier.systems import SYSTEMS
from featstore.addresses import files_below
from featstore.errors import ResourceError

Run = Callable[..., Any]
Pairs = Callable[[Path], Path]


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line in the table; the options of a command are made as its module is read."""
    monkeypatch.setitem(SYSTEMS, "words", "toy_system:WORDS")
    monkeypatch.setitem(cli.COMMANDS, "train", importlib.reload(train).train_command)


def test_a_new_system_goes_all_the_way(run: Run, pairs: Pairs, tmp_path: Path) -> None:
    corpus = ("--corpus", f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}")
    planned = run("train", "--system", "words", *corpus, "--dry-run")
    assert (
        planned.out
        == "fold 1: words, 36 instances (and 12 of the dev part), 2 epochs -> runs/jsonl-words-tagged-tags-seed1\n"
    )
    train = ("train", "--system", "words", *corpus, "--run", "mine")
    trained = run(*train)
    assert trained.code == 0, trained.err
    assert "epoch 2 of 2" in trained.err
    check_that_it_is_kept(run, train, trained.out, tmp_path / "runs/mine/fold-1/run.json")
    evaluated = run("eval", "--run", "mine")
    assert evaluated.code == 0, evaluated.err
    assert "words on jsonl" in evaluated.out
    assert run("runs", "ls", "--json").json()[0]["config"]["system"]["name"] == "words"
    assert "rounds" in run("runs", "show", "mine").out
    assert (
        run("train", "--system", "words", *corpus, "--rounds", "3", "--dry-run", "--json").json()["plan"]["epochs"] == 3
    )
    again = run("train", "--config", "runs/mine/config.toml", "--run", "again")
    assert again.code == 0, again.err
    assert run("eval", "--run", "again").code == 0
    compared = run("runs", "compare", "mine", "again")
    assert compared.code == 0, compared.err
    assert (tmp_path / "runs/again/fold-1/model/counts.json").is_file()


def check_that_it_is_kept(run: Run, train: tuple[str, ...], shown: str, facts: Path) -> None:
    """Train a fold once more, which keeps it as it is, and then again because that is asked for."""
    before = facts.read_bytes()
    for also in ((), ("--dry-run",)):
        kept = run(*train, *also)
        assert (kept.code, kept.out) == (0, shown)
        assert re.fullmatch(
            r"fold 1 of runs/mine is trained already, since 20\d\d-\d\d-\d\d \d\d:\d\d \(dev F1 [\d.]+\), and was kept "
            r"as it is; --again trains it again\.\n"
            r"evaluate it with: cli eval --fold 1 --run runs/mine --store features\n",
            kept.err,
        )
    assert run(*train, "--dry-run", "--json").json() == {"run": "runs/mine", "kept": True, "plan": None}
    told = run(*train, "--json").json()
    assert facts.read_bytes() == before
    anew = run(*train, "--again", "--json")
    assert "epoch 2 of 2" in anew.err
    assert (told.pop("kept"), told.pop("best")) == (True, anew.json()["best"])
    assert told.keys() == anew.json().keys() - {"kept", "best"}
    assert facts.read_bytes() != before, "it tells another time"


def test_a_run_at_an_address(run: Run, pairs: Pairs, tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    train = (
        "train",
        "--system",
        "words",
        "--corpus",
        f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}",
        "--runs",
        f"{s3}/runs",
    )
    assert f"2 epochs -> {s3}/runs/mine\n" in run(*train, "--run", "mine", "--dry-run").out
    assert "there is no run" in run("eval", "--run", f"{s3}/runs/mine").err, "nothing was written"
    trained = run(*train, "--run", "mine")
    assert trained.code == 0, trained.err
    assert f"cli eval --fold 1 --run {s3}/runs/mine" in trained.err
    evaluated = run("eval", "--runs", f"{s3}/runs", "--json")
    assert evaluated.code == 0, evaluated.err
    assert evaluated.json()["run"] == f"{s3}/runs/mine"
    assert "which was trained last" in evaluated.err
    listed = run("runs", "ls", "--runs", f"{s3}/runs", "--json").json()
    assert [(each["folder"], each["evaluated"]) for each in listed] == [(f"{s3}/runs/mine", [1])]
    assert run("runs", "compare", "mine", f"{s3}/runs/mine", "--runs", f"{s3}/runs").code == 0
    for words, code, said in (
        ((*train[:-1], "s3://no-such-bucket/runs"), 2, "there is no bucket 'no-such-bucket'"),
        ((*train, "--run", f"{s3}/runs/mine", "--rounds", "3"), 2, f"{s3}/runs/mine belongs to another configuration"),
        ((*train, "--tensorboard"), 2, "--tensorboard writes to this machine"),
        (("eval", "--run", f"{s3}/runs/none"), 4, f"there is no run at {s3}/runs/none"),
        (("bundle", "--run", f"{s3}/runs/mine", "-o", "s3://no-such-bucket/bundle"), 2, "there is no bucket"),
    ):
        refused = run(*words)
        assert (refused.code, said in refused.err) == (code, True), refused.err


def test_an_option_of_another_system_is_refused(run: Run, pairs: Pairs, tmp_path: Path) -> None:
    corpus = ("--corpus", f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}")
    for options, said in (
        (("--system", "words", "--hidden", "4"), "--hidden is no option of the system 'words'"),
        (("--system", "words", "--features", "glove"), "--features is no option of the system 'words'"),
        (("--system", "words", "--head", "paper"), "--head is no option of the system 'words'"),
        (("--rounds", "3"), "--rounds is no option of the system 'head'"),
        (("--system", "word"), "--system 'word' is unknown; choose from head"),
    ):
        refused = run("train", *corpus, *options)
        assert refused.code == 2
        assert said in " ".join(refused.err.split())
    shown = run("train", "--help").out
    assert "--rounds" in shown
    assert "--system" in shown


def failing_with_seed_2(fit: Callable[..., Any]) -> Callable[..., Any]:
    def fails(task: Any) -> Any:
        if task.options.seed == 2:
            raise ResourceError("there is no room for seed 2")
        return fit(task)

    return fails


def test_ablate_compares_systems(
    run: Run, pairs: Pairs, tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = ("--corpus", f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}")
    planned = run("ablate", *corpus, "--systems", "words; bert:none/scibert", "--dry-run", "--json").json()
    assert [row["name"] for row in planned] == ["words", "bert:scibert"]
    done = run("ablate", *corpus, "--systems", "words; bert:none/scibert")
    assert done.code == 3, done.err
    assert "words" in done.out
    assert "Download allenai/scibert_scivocab_uncased" in " ".join(done.err.split())
    (tmp_path / "stops").write_text("the")
    monkeypatch.setattr(WORDS, "fit", failing_with_seed_2(WORDS.fit))
    done = run("ablate", *corpus, "--systems", "words stops=stops", "--seeds", "3", "--out", f"{s3}/second", "--json")
    assert done.code == 3, done.err
    assert "no room for seed 2" in done.err
    assert f"report: {s3}/second/report.html\n" in done.err
    assert files_below(f"{s3}/second").keys() == files_below("ablation").keys()
    (row,) = done.json()["rows"]
    assert row["cells"] == 2, "a cell that fails leaves the others"
    refused = run("ablate", *corpus, "--systems", "words", "--features", "glove")
    assert refused.code == 2
    assert "--systems names what is compared; leave --features out." in refused.err


DOCUMENT = {
    "id": "1",
    "text": "Aspirin inhibits COX-2.",
    "entities": [
        {"id": "a", "type": "CHEMICAL", "start": 0, "end": 7},
        {"id": "b", "type": "GENE", "start": 17, "end": 22},
    ],
}


def test_models_of_other_systems_are_bundled_and_extract(run: Run, pairs: Pairs, tmp_path: Path) -> None:
    """A mixture holds an SVM and a SPINN, so all three are read back; each gives from a bundle what its run gives."""
    corpus = ("--corpus", f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}")
    (tmp_path / "vectors.txt").write_text("the 1 0\ninhibits 0 1\n")
    spinn = (
        "--trees",
        "balanced",
        "--word-vectors",
        str(tmp_path / "vectors.txt"),
        "--hidden",
        "4",
        "--max-epochs",
        "1",
    )
    for name, options in (
        ("svm", ("--features", "", "--machines", "linear")),
        ("spinn", spinn),
        ("mixture", ("--mix", "svm,spinn")),
    ):
        trained = run("train", "--system", name, *corpus, *options, "--run", name)
        assert trained.code == 0, trained.err
    shutil.move("runs/svm", "moved")  # the mixture has what it needs
    (tmp_path / "in.jsonl").write_text(json.dumps(DOCUMENT) + "\n")
    for name, run_ in (("svm", "moved"), ("spinn", "spinn"), ("mixture", "mixture")):
        done = run("bundle", "--run", run_, "-o", f"m/{name}")
        assert done.code == 0, done.err
        found = []
        for model in (("--model", f"m/{name}"), ("--run", run_)):
            done = run("extract", "in.jsonl", "-o", "-", "--to", "jsonl", "--threshold", "0", *model)
            assert done.code == 0, done.err
            found.append(json.loads(done.out)["relations"])
        assert found[0] == found[1]
        assert [relation["label"] for relation in found[0]] == ["CPR:4"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fine_tuned_model_is_bundled_and_extracts(run: Run, pairs: Pairs, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "elsewhere" / "tiny")
    corpus = ("--corpus", f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}")
    bert = ("--system", "bert", "--encoder", f"bert:{checkpoint}", "--max-epochs", "1", "--run", "mine")
    assert run("train", *corpus, *bert).code == 0
    assert run("eval", "--run", "mine").code == 0
    done = run("bundle", "--run", "mine", "-o", "MODEL", "--json")
    assert done.code == 0, done.err
    assert {"model/model.safetensors", "model/tokenizer.json", "run.json", "bundle.json"} <= set(done.json())
    for name in ("run.json", "README.md", "bundle.json", "model/config.json"):
        assert str(tmp_path) not in (tmp_path / "MODEL" / name).read_text(), name
    assert "cli train --system bert" in (tmp_path / "MODEL" / "README.md").read_text()
    shutil.rmtree(checkpoint)
    (tmp_path / "in.jsonl").write_text(json.dumps(DOCUMENT) + "\n")
    found = []
    for model in (("--model", "MODEL"), ("--run", "mine")):
        done = run("extract", "in.jsonl", "-o", "out.jsonl", "--threshold", "0", "--fresh", *model)
        assert done.code == 0, done.err
        found.append(json.loads((tmp_path / "out.jsonl").read_text())["relations"])
    assert found[0] == found[1]
    assert [relation["label"] for relation in found[0]] == ["CPR:4"]
    done = run("extract", "in.jsonl", "-o", "low.jsonl", "--threshold", "0", "--precision", "bfloat16", "--run", "mine")
    assert done.code == 0, done.err
    (low,) = json.loads((tmp_path / "low.jsonl").read_text())["relations"]
    assert low["probability"] == pytest.approx(found[0][0]["probability"], abs=0.05)
    assert low["probability"] != found[0][0]["probability"]
    refused = run("extract", "in.jsonl", "-o", "out.jsonl", "--precision", "bfloat16", "--model", "gad")
    assert refused.code == 2
    assert "is for the models of --system bert" in refused.err
    refused = run("extract", "in.jsonl", "-o", "out.jsonl", "--fresh", "--explain", "--model", "MODEL")
    assert refused.code == 2
    assert "leave --explain out" in refused.err
    (tmp_path / "MODEL" / "model" / "reading.json").write_text("{}")
    assert run("extract", "in.jsonl", "--model", "MODEL").code == 5
