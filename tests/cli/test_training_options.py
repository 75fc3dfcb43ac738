"""The training options of the commands are the fields of TrainConfig."""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import all_options

import cli
from classifier.runs.config import RunConfig, config_toml, read_config_file
from classifier.training.config import TrainConfig, recipe
from featstore.corpora import READERS
from featstore.formats.table import readable, writable

Run = Callable[..., Any]


@pytest.mark.parametrize("command", ["train", "ablate"])
def test_every_field_is_an_option_with_a_text(command: str) -> None:
    commands: Any = typer.main.get_command(cli.assemble())
    options = {option.name: option for option in commands.commands[command].params}
    for field in fields(TrainConfig):
        assert field.metadata["help"].endswith("."), field.name
        if field.name not in ("features", "seed"):
            assert field.metadata["help"] in options[field.name].help
            assert options[field.name].default == ("best" if field.name == "head" else None)


def test_a_configuration_with_an_option_that_is_gone(tmp_path: Path) -> None:
    config = RunConfig(train=recipe("paper", features="glove"))
    path = tmp_path / "config.toml"
    path.write_text(config_toml(config) + "spans = false\n")
    assert read_config_file(path) == config


def test_a_training_can_be_planned_and_says_what_it_does(
    run: Run, pairs: Callable[[Path], Path], tmp_path: Path
) -> None:
    corpus = ("--corpus", f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}")
    assert run("featurize", "--encoders", "glove", *corpus).code == 0
    before = sorted(tmp_path.rglob("*"))
    options = ("train", "--features", "glove", *corpus, "--max-epochs", "3", "--hidden", "4")
    planned = run(*options, "--dry-run")
    assert planned.code == 0, planned.err
    assert "fold 1: head 'best' on glove" in planned.out
    assert "36 instances (and 12 of the dev part), 3 epochs, about" in planned.out
    assert run(*options, "--dry-run", "--json").json()["plan"]["train"] == 36
    assert "part), 1 epoch, about" in run(*options, "--max-epochs", "1", "--dry-run").out
    assert sorted(tmp_path.rglob("*")) == before
    trained = run(*options)
    assert trained.err.startswith("training fold 1: head 'best' on glove")
    assert "epoch 3 of 3: loss" in trained.err
    assert "fold 1 of runs/" in run(*options).err, "it is trained already"
    small = "the corpus is small: 3 epochs of it are 6 steps of the optimiser"
    assert f"{small}, and a head often learns more with --max-epochs 12.\n" in trained.err
    assert small not in run(*options, "--batch-size", "1", "--max-epochs", "5", "--run", "many").err
    shown = run("runs", "ls", "--json").json()
    assert shown[0]["seconds"] > 0, "a fold that is not evaluated took time, too"


def test_the_help_names_every_corpus_and_every_format() -> None:
    options = {str(option): option.parameter.help for option in all_options()}
    for name in READERS:
        assert re.search(rf"\b{name}\b", options["featurize --corpus"]), name
    for format_, needed in (("--format", (*readable(), "pairs")), ("--to", writable())):
        named = re.findall(r"[\w-]+", options[f"extract {format_}"].partition(": ")[2].partition(".")[0])
        assert set(named) - {"or", "table"} == set(needed)


def test_every_option_has_a_help_that_is_a_sentence() -> None:
    for option in all_options():
        assert re.fullmatch(r"[A-Z-].*[.)]", option.parameter.help or "", re.DOTALL) or option.name == "method", option
