"""The training options of the commands are the fields of TrainConfig."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

import cli
from classifier.runs.config import RunConfig, config_toml, read_config_file
from classifier.training.config import TrainConfig, recipe


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
