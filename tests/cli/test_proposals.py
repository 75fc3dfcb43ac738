"""Every command that a message proposes works as it is printed."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import all_options, leaves, root

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
# In a message a command stands between backticks, or after a colon up to the end of the line.
PROPOSAL = re.compile(r"`(cli [^`]+)`|: (cli .+)$", re.MULTILINE)
SHORT = "[train]\nmax-epochs = 1\nhidden = 4\n"


def proposals(result: Any) -> list[str]:
    """The commands in what a command printed; what follows && is one more."""
    found = [one or two for one, two in PROPOSAL.findall(result.err + result.out)]
    return [part.strip() for each in found for part in each.split("&&")]


@pytest.fixture
def follow(run: Run) -> Callable[..., Any]:
    """Run what a message proposes, and say what the last of it printed."""

    def call(result: Any, **instead: str) -> Any:
        commands = proposals(result)
        assert commands, result.err
        for command in commands:
            done = run(*(instead.get(word, word) for word in shlex.split(command)[1:]))
            assert done.code == 0, (command, done.err)
        return done

    return call


@pytest.fixture
def corpus(pairs: Callable[[Path], Path], tmp_path: Path) -> str:
    (tmp_path / "my data").mkdir()
    pairs(tmp_path / "my data" / "pairs.jsonl")
    (tmp_path / "featstore.toml").write_text(SHORT)
    return "jsonl:my data/pairs.jsonl"


def test_from_nothing_to_relations(run: Run, follow: Callable[..., Any], corpus: str, tmp_path: Path) -> None:
    train = ("train", "--features", "glove", "--corpus", corpus, "--store", "my store", "--runs", "my runs")
    missing = run(*train)
    assert missing.code == 5
    follow(missing)
    trained = run(*train)
    assert "F1" in follow(trained).out
    assert (run("runs", "ls", "--runs", "my runs", "--json").json())[0]["evaluated"] == [1]
    untrained = run("extract", "my data/pairs.jsonl", "-o", "o.jsonl", "--fold", "2", "--runs", "my runs")
    assert untrained.code == 4
    assert "cli eval --fold 2" in untrained.err
    bundled = run("bundle", "-o", "my model", "--runs", "my runs")
    follow(bundled, INPUT="my data/pairs.jsonl", OUT="found.jsonl")
    assert (tmp_path / "found.jsonl").exists()


def test_what_is_not_there_is_listed(run: Run, follow: Callable[..., Any], corpus: str) -> None:
    run("featurize", "--encoders", "glove", "--corpus", corpus, "--store", "my store")
    run("train", "--features", "glove", "--corpus", corpus, "--store", "my store", "--runs", "my runs")
    unknown = run("runs", "show", "nowhere", "--runs", "my runs")
    assert unknown.code == 4
    assert "jsonl-glove" in follow(unknown).out
    unknown = run("store", "info", "cse", "--store", "my store")
    assert unknown.code == 5
    assert "glove" in follow(unknown).out


def test_a_view_is_made_by_two_commands(run: Run, follow: Callable[..., Any], corpus: str) -> None:
    train = ("train", "--features", "glove-pca5", "--corpus", corpus, "--store", "my store")
    missing = run(*train)
    assert len(proposals(missing)) == 2
    follow(missing)
    assert run(*train).code == 0


def test_damage_is_mended_by_what_is_printed(run: Run, corpus: str, tmp_path: Path) -> None:
    options = ("--corpus", corpus, "--store", "my store")
    assert run("featurize", "--encoders", "glove", *options).code == 0
    (shard,) = tmp_path.glob("my store/*/shards/*.h5")
    raw = bytearray(shard.read_bytes())
    for place in range(len(raw) // 2, len(raw) - 400):
        raw[place] ^= 255
    shard.write_bytes(raw)
    for result in (
        run("train", "--features", "glove", *options),
        run("store", "verify", "--store", "my store"),
    ):
        assert result.code == 5, result.err
        assert "store repair" in result.err, result.err
        repair = shlex.split(next(p for p in proposals(result) if "repair" in p))
        dry = run(*repair[1:], "--corpus", corpus, "--dry-run")
        assert dry.code == 0, (repair, dry.err)
        assert "my store" in dry.out
    assert run(*repair[1:], "--corpus", corpus).code == 0
    assert run("store", "verify", "--store", "my store").code == 0


def test_runs_and_grids_begin_with_what_is_printed(
    run: Run, follow: Callable[..., Any], corpus: str, tmp_path: Path
) -> None:
    text = f'[defaults]\ncorpus = "{corpus}"\n[featurize]\nencoders = "glove"\n{SHORT}features = "glove"\n'
    (tmp_path / "featstore.toml").write_text(text)
    grid = ("ablate", "--all-subsets", "--store", "features", "--dry-run")
    empty = run(*grid)
    assert empty.code == 2
    follow(empty)
    assert run(*grid).code == 0
    no_run = run("eval", "--runs", "my runs")
    assert no_run.code == 4
    follow(no_run)
    assert run("eval", "--runs", "my runs").code == 0


def test_an_encoder_is_used_as_printed(run: Run, corpus: str) -> None:
    Path("text.txt").write_text("".join(f"Drug G{i % 110} inhibits G{i * 7 % 109}.\n" for i in range(900)))
    trained = run("pretrain", "glove", "--text", "text.txt", "--out", "my model", "--steps", "2", "--least", "1")
    assert trained.code == 0, trained.err
    assert "cli featurize --encoders" in trained.out
    command = next(p for p in proposals(trained))
    assert run(*shlex.split(command)[1:], "--corpus", corpus).code == 0


def test_every_command_in_a_message_exists() -> None:
    """Those that no test above provokes have at least the words and the options of the program."""
    commands = {" ".join(path) for path, _ in leaves(root())}
    options: dict[str, set[str]] = {}
    for option in all_options():
        words = {*option.parameter.opts, *option.parameter.secondary_opts}
        options.setdefault(" ".join(option.path), {"--help"}).update(words)
    found = 0
    for path in [*ROOT.glob("featstore/**/*.py"), *ROOT.glob("classifier/**/*.py"), ROOT / "cli.py"]:
        for text in texts(path):
            for command in re.findall(r"(?<!`)`cli ([^`{]*)[`{]", text):
                words = command.split()
                name = next((c for c in (" ".join(words[:n]) for n in (2, 1)) if c in commands), None)
                assert name or not words, f"{path}: `cli {command}`"
                unknown = {word for word in words if word.startswith("-")} - options.get(name or "", set())
                assert not unknown, f"{path}: `cli {command}` has {unknown}"
                found += 1
    assert found > 20


def texts(path: Path) -> list[str]:
    """The strings in a file, those with values in them as written."""
    source = path.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(source)))
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    strings = [n for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in parts]
    return [str(n.value) for n in strings] + [
        "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in n.values)
        for n in nodes
        if isinstance(n, ast.JoinedStr)
    ]
