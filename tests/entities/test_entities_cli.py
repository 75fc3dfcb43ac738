"""The commands of the tagger, on a toy encoder and on what comes with featstore."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from commands import proposed
from typer.testing import CliRunner

import cli
from featstore.addresses import files_below
from featstore.documents import Document
from featstore.encoders import table
from featstore.formats import read_documents

RUNNER = CliRunner()
TEXT = "We saw the aspirin inhibits COX-2 in cells.\\nThe zinc oxide was seen in gout of rats."


def run(*arguments: object, code: int = 0) -> str:
    result = RUNNER.invoke(cli.assemble(), list(map(str, arguments)))
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the toy encoder known by its name."""
    monkeypatch.setitem(table.ENCODERS, "words", "toy_model:load_words")


def test_train_evaluate_and_tag(words: None, toy_folder: Path, tmp_path: Path) -> None:
    del words
    corpus, store, model = f"files:{toy_folder / 'others'}", tmp_path / "features", tmp_path / "model"
    run("entities", "featurize", "--encoders", "words", "--corpus", corpus, "--store", store)
    quick = ("--features", "words", "--hidden", 8, "--surface", 4, "--batch-size", 4, "--lr", 0.02, "--max-epochs", 1)
    train = ("entities", "train", "--corpus", corpus, "--store", store, "--run", model, *quick)
    check_that_it_is_planned(train, model)
    shown = run(*train)
    check_that_it_is_kept(train, shown, model)
    made = json.loads(run("entities", "filter", "--corpus", corpus, "--store", store, "--run", model, "--json"))
    assert (made["sentences"], made["pairs"]) == (24, [])  # six sentences of a dev part are too few
    scores = json.loads(run("entities", "eval", "--corpus", corpus, "--store", store, "--run", model, "--json"))
    assert set(scores[corpus]["exact"]) == {"GENE", "DISEASE", "all"}
    assert scores[corpus]["exact"]["all"]["annotated"] == 12
    run("entities", "eval", "--corpus", corpus, "--run", model, "--part", "tset", code=1)


def check_that_it_is_planned(train: tuple[object, ...], model: Path) -> None:
    """Ask what would be trained, of which nothing is written."""
    line = re.fullmatch(
        r"tagger of (?:DISEASE, GENE|GENE, DISEASE) on words with ([\d,]+) parameters, 24 sentences \(and 6 of the dev "
        rf"parts\), 1 epoch, about \S.* -> {model}\n",
        run(*train, "--dry-run"),
    )
    planned = json.loads(run(*train, "--dry-run", "--json"))
    assert (planned["run"], planned["kept"], planned["plan"]["train"]) == (str(model), False, 24)
    assert line
    assert line[1] == f"{planned['plan']['parameters']:,}"
    assert planned["plan"]["seconds"] > 0
    assert not model.exists()


def check_that_it_is_kept(train: tuple[object, ...], shown: str, model: Path) -> None:
    """Train a tagger once more, which keeps it as it is, and then again because that is asked for."""
    before = (model / "tagger.json").read_bytes()
    kept = RUNNER.invoke(cli.assemble(), list(map(str, train)))
    assert (kept.exit_code, kept.stdout) == (0, shown)
    assert re.fullmatch(
        rf"the tagger in {model} is trained already, since 20\d\d-\d\d-\d\d \d\d:\d\d, and was kept as it is; --again "
        rf"trains it again\.\nevaluate it with: cli entities eval --run {model} --corpus .*\n",
        kept.stderr,
    )
    (model / "filter.json").unlink()  # killed after the tagger was trained
    told = json.loads(run(*train, "--json"))
    assert (model / "filter.json").exists()
    assert (told.pop("kept"), (model / "tagger.json").read_bytes()) == (True, before)
    assert json.loads(run(*train, "--dry-run", "--json")) == {"run": str(model), "kept": True, "plan": None}
    again = RUNNER.invoke(cli.assemble(), [*map(str, train), "--again", "--json"])
    assert "epoch 1 of 1" in again.stderr
    anew = json.loads(again.stdout)
    assert (anew.pop("kept"), anew.keys()) == (False, told.keys())
    assert (model / "tagger.json").read_bytes() != before, "it tells another time"


@pytest.mark.parametrize("place", ["my tagger", "{s3}/tagger"])
def test_every_command_that_the_tagger_s_commands_propose_works(
    place: str, words: None, s3: str, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del words
    place = place.format(s3=s3)
    monkeypatch.chdir(tmp_path)
    data = ("--corpus", f"files:{toy_folder / 'others'}", "--store", "my store")
    quick = ("--features", "words", "--hidden", 8, "--surface", 4, "--batch-size", 4, "--max-epochs", 1)
    train = list(map(str, ("entities", "train", *data, "--run", place, *quick)))
    lacking = RUNNER.invoke(cli.assemble(), train)
    (featurize,) = proposed(str(lacking.exception))
    run(*shlex.split(featurize)[1:])
    trained = RUNNER.invoke(cli.assemble(), train)
    (evaluate,) = proposed(trained.stderr)
    run(*shlex.split(evaluate)[1:])
    assert "metrics-files.json" in files_below(place)
    kept = RUNNER.invoke(cli.assemble(), train)
    assert (kept.exit_code, kept.stdout) == (0, trained.stdout)
    assert f"the tagger in {place} is trained already" in kept.stderr
    assert place in kept.stdout


@pytest.mark.parametrize("to", ["jsonl", "bioc-xml", "bioc-json", "pubtator"])
def test_mentions_are_written_in_every_format_that_holds_them(
    words: None, toy_folder: Path, tmp_path: Path, to: str
) -> None:
    del words
    source, target = tmp_path / "in.jsonl", tmp_path / "out"
    lines = [f'{{"id": "{n}", "text": "{TEXT}", "entities": []}}\n' for n in (1, 2)]
    source.write_text("".join(lines) + '{"id": "3"}\n')
    told = run(
        *("entities", "tag", source, "-o", target, "--to", to, "--tagger", toy_folder / "model", "--json"), code=3
    )
    assert {k: v for k, v in json.loads(told).items() if k != "seconds"} == {
        "documents": 3,
        "bad": 1,
        "mentions": 8,
        "problems": {},
        "lost": 0,
        "resumed_at": 0,
    }
    documents = [d for d in read_documents(target, to) if isinstance(d, Document)]
    assert [d.id for d in documents] == ["1", "2"]
    found = [(e.text, e.type) for e in documents[0].entities]
    assert found == [("aspirin", "CHEMICAL"), ("COX-2", "GENE"), ("zinc oxide", "CHEMICAL"), ("gout", "DISEASE")]


def test_a_format_without_room_for_mentions_is_refused(words: None, toy_folder: Path, tmp_path: Path) -> None:
    del words
    source = tmp_path / "in.jsonl"
    source.write_text(f'{{"id": "1", "text": "{TEXT}", "entities": []}}\n')
    tagger = toy_folder / "model"
    result = RUNNER.invoke(
        cli.assemble(),
        ["entities", "tag", str(source), "-o", str(tmp_path / "o"), "--to", "tsv", "--tagger", str(tagger)],
    )
    assert "output format of documents with mentions" in str(result.exception)
    assert not (tmp_path / "o").exists()
