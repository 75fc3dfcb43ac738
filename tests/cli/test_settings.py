"""Every option reads its setting in the same order: flag, environment, featstore.toml, default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import Option, all_options, root

Run = Callable[..., Any]

# The commands that must have a setting: whoever reads the thing, reads its option.
STORE = {"ls", "info", "du", "inspect", "explain", "verify", "repair", "convert", "view", "compact", "export", "import"}
TAGGER = {"featurize", "train", "filter", "eval", "tag"}
RUNS = {"ls", "show", "compare", "errors"}
ENCODING = {"featurize", "store explain", "store repair"}
USERS = {
    "FEATSTORE_RUNS": {
        "train",
        "eval",
        "ablate",
        "extract",
        "bundle",
        "serve",
        "store gc",
        "runs ls",
        "runs show",
        "runs compare",
        "runs errors",
    },
    "FEATSTORE_RUN": {"train", "eval", "extract", "bundle", "serve", "store gc", "runs show", "runs errors"},
    "FEATSTORE_STORE": {f"store {n}" for n in STORE}
    | {f"entities {n}" for n in TAGGER}
    | {"featurize", "train", "eval", "ablate", "extract", "store gc"},
    "FEATSTORE_CORPUS": {
        "featurize",
        "train",
        "ablate",
        "data check",
        "store inspect",
        "store explain",
        "store repair",
    },
    "FEATSTORE_CONTEXT": {"featurize", "train", "ablate", "store inspect", "store explain", "store repair"},
    "FEATSTORE_INDICATORS": {"featurize", "train", "ablate", "store inspect", "store explain", "store repair"},
    "FEATSTORE_DEVICE": {
        *ENCODING,
        "extract",
        "serve",
        "entities featurize",
        "entities tag",
        "pretrain bert",
        "pretrain cse",
        "pretrain elmo",
    },
}
# Two values of each option whose values are checked while the command line is read, and one of each kind.
WORDS: dict[str, tuple[str, str]] = {
    "context": ("sentence", "tagged"),
    "indicators": ("replace", "blind"),
    "precision": ("bfloat16", "float32"),
    "backend": ("zarr", "hdf5"),
    "dtype": ("float32", "float16"),
    "method": ("random", "pca"),
    "source_format": ("bioc-json", "pubtator"),
    "target_format": ("tsv", "pubtator"),
    "device": ("cpu", "meta"),
    "tag": ("always", "never"),
    "sentences": ("all", "likely"),
    "system": ("head", "mixture"),
    "weights": ("equal", "dev"),
    "shard": ("1/2", "2/2"),
    "engine": ("ray", "ray:auto"),
}
OF_KIND: dict[type, tuple[Any, Any]] = {int: (3, 4), float: (0.25, 0.5), bool: (True, False)}
REQUIRED = {"name": "gad", "names": "a", "bundle": "b", "target": "t", "sources": "s", "text": "t", "out_folder": "o"}
REQUIRED |= {"dims": "7", "start": "d"}


OPTIONS = all_options()


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """A function that calls a command and returns the values with which it would have run."""
    monkeypatch.chdir(tmp_path)
    for name in USERS:
        monkeypatch.delenv(name, raising=False)

    def call(path: tuple[str, ...], *words: str) -> dict[str, Any]:
        program = root()
        command: Any = program
        for name in path:
            command = command.commands[name]
        needed: list[str] = []
        for parameter in command.params:
            if parameter.required and not set(parameter.opts) & set(words):
                needed += Option(path, parameter, str).words(REQUIRED[parameter.name])
        seen: dict[str, Any] = {}
        command.callback = lambda **values: seen.update(values)
        program.main([*path, *needed, *words], standalone_mode=False)
        return seen

    return call


def two_values(option: Option) -> tuple[Any, Any]:
    return WORDS.get(option.name) or OF_KIND.get(option.kind, ("gad", "chemprot"))


@pytest.mark.parametrize("variable", USERS)
def test_whoever_needs_a_setting_reads_its_variable(variable: str) -> None:
    readers = {" ".join(option.path) for option in OPTIONS if variable == option.parameter.envvar}
    assert readers == USERS[variable]
    assert {option.parameter.envvar for option in OPTIONS} == {*USERS, None}


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.parameter.envvar], ids=str)
def test_flag_beats_environment_beats_file_beats_default(
    called: Callable[..., dict[str, Any]], option: Option, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two_values(option)
    before = called(option.path)[option.name]
    Path("featstore.toml").write_text(f'[defaults]\n{option.parameter.opts[0].lstrip("-")} = "{first}"\n')
    assert str(called(option.path)[option.name]) == first
    monkeypatch.setenv(option.parameter.envvar, second)
    assert str(called(option.path)[option.name]) == second
    assert str(called(option.path, *option.words(first))[option.name]) == first
    monkeypatch.delenv(option.parameter.envvar)
    Path("featstore.toml").unlink()
    assert called(option.path)[option.name] == before


@pytest.mark.parametrize("option", [o for o in OPTIONS if not o.parameter.envvar and not o.parameter.required], ids=str)
def test_every_option_can_stand_in_the_file(called: Callable[..., dict[str, Any]], option: Option) -> None:
    value, _ = two_values(option)
    written = str(value).lower() if isinstance(value, bool) else repr(value)
    key = max(option.parameter.opts, key=len).lstrip("-")
    text = f"[{'.'.join(option.path)}]\n{key} = {f'[{written}]' if option.is_many else written}\n"
    Path("featstore.toml").write_text(text)
    found = called(option.path)[option.name]
    assert [str(each) for each in (found if option.is_many else [found])] == [str(value)]


def test_one_setting_has_one_default() -> None:
    for variable in USERS:
        defaults = {
            str(p.default) for p in (o.parameter for o in OPTIONS) if p.envvar == variable and p.default is not None
        }
        expected = 1 if variable != "FEATSTORE_DEVICE" else 2  # pretraining takes a GPU by itself, encoders do not
        assert len(defaults) <= expected, variable


def test_all_commands_meet_in_the_places_of_the_environment(
    run: Run, pairs: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = pairs(tmp_path / "pairs.jsonl")
    for name, value in {"RUNS": "mine", "STORE": "vectors", "CORPUS": f"jsonl:{corpus}"}.items():
        monkeypatch.setenv(f"FEATSTORE_{name}", value)
    for command in (
        ["featurize", "--encoders", "glove"],
        ["train", "--features", "glove", "--max-epochs", "1", "--hidden", "4", "--run", "one"],
        ["eval", "--fold", "1"],
        ["extract", str(corpus), "-o", "out.jsonl", "--run", "one"],
        ["bundle", "-o", "model"],
        ["store", "gc", "--unreferenced"],
        ["runs", "ls"],
        ["runs", "show", "one"],
        ["ablate", "--features", "glove", "--dry-run"],
    ):
        done = run(*command)
        assert done.code == 0, (command, done.err)
        if command[0] in ("eval", "bundle"):
            assert "mine/one" in done.err, "the run that was picked is told"
    places = {path.name for path in tmp_path.iterdir()}
    assert places == {"pairs.jsonl", "mine", "vectors", "out.jsonl", "model"}
