"""Every command that a message proposes works as it is printed."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import all_options, leaves, proposed, root

import cli

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
SHORT = "[train]\nmax-epochs = 1\nhidden = 4\n"


def proposals(result: Any) -> list[str]:
    """The commands in what a command printed."""
    return proposed(result.err + result.out)


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


def test_a_fold_that_is_not_trained(run: Run, follow: Callable[..., Any], corpus: str) -> None:
    data = ("--corpus", corpus, "--store", "my store")
    assert run("featurize", "--encoders", "glove", *data).code == 0
    assert run("train", "--features", "glove", *data, "--run", "my run").code == 0
    for command in (
        ("extract", "my data/pairs.jsonl", "--format", "pairs", "-o", "o", "--run", "my run", "--store", "my store"),
        ("bundle", "-o", "my model", "--run", "my run"),
    ):
        shutil.rmtree("runs/my run/fold-1")
        untrained = run(*command)
        assert untrained.code == 4, untrained.err
        if "--store" not in command:
            assert "add --store" in untrained.err
            os.rename("my store", "features")
        follow(untrained)
        assert run(*command).code == 0


def test_a_card_says_how_to_train_again(run: Run, corpus: str) -> None:
    data = ("--corpus", corpus, "--store", "my store")
    assert run("featurize", "--encoders", "glove", *data).code == 0
    assert run("train", "--features", "glove", *data, "--run", "one").code == 0
    assert run("eval", "--run", "one", "--store", "my store").code == 0
    instead = {"RUN": "two", "STORE": "my store", "config.toml": "runs/one/config.toml"}
    commands = [
        line for line in Path("runs/one/fold-1/README.md").read_text().splitlines() if line.startswith("    cli ")
    ]
    assert len(commands) == 2
    for line in commands:
        done = run(*(instead.get(word, word) for word in shlex.split(line)[1:]))
        assert done.code == 0, (line, done.err)
    one, two = (Path("runs", name, "fold-1/metrics.json").read_text() for name in ("one", "two"))
    assert one == two


def test_a_bundles_card_says_how_to_make_and_use_it(run: Run, corpus: str) -> None:
    assert run("featurize", "--encoders", "glove", "--corpus", corpus).code == 0
    assert run("train", "--features", "glove", "--corpus", corpus, "--batch-size", "16", "--run", "one").code == 0
    assert run("bundle", "--run", "one", "-o", "my model").code == 0
    documents = '{"id": "1", "text": "A inhibits B.", "entities": []}\n'
    Path("documents.jsonl").write_text(documents)
    instead = {"RUN": "two", "MODEL": "made again", "MODEL/": "my model", "jsonl": corpus}
    commands = [line for line in Path("my model/README.md").read_text().splitlines() if line.startswith("    cli ")]
    assert [line.split()[1] for line in commands] == ["featurize", "train", "eval", "bundle", "extract"]
    for line in commands:
        never = ["--tag", "never"] if "extract" in line else []
        done = run(*(instead.get(word, word) for word in shlex.split(line)[1:]), *never)
        assert done.code == 0, (line, done.err)
    assert Path("relations.jsonl").exists()
    one, two = (Path(name, "model.safetensors").read_bytes() for name in ("my model", "made again"))
    assert one == two


def test_what_was_left_out_of_a_corpus_is_named(run: Run) -> None:
    entities = [
        {"id": "T1", "type": "CHEMICAL", "start": 0, "end": 1},
        {"id": "T2", "type": "GENE", "start": 11, "end": 12},
    ]
    relations = [{"head": "T1", "tail": "T2", "label": "CPR:4"}]
    good = {"id": "1", "text": "A inhibits B.", "entities": entities, "relations": relations}
    bad = [{**good, "id": str(n), "entities": []} for n in range(2, 20)]
    Path("my documents.jsonl").write_text("".join(json.dumps(each) + "\n" for each in [good, *bad]))
    told = run("featurize", "--encoders", "glove", "--corpus", "documents:my documents.jsonl", "--dry-run")
    assert told.code == 0, told.err
    assert "line 19" not in told.err
    (check,) = proposals(told)
    checked = run(*shlex.split(check)[1:])
    assert checked.code == 3
    assert "line 19" in checked.err


def test_installed_models_are_shown_as_printed(run: Run) -> None:
    listed = run("models", "ls")
    use, show = proposals(listed)
    assert use == "cli extract --model NAME --text TEXT", "tests/cli/test_extract_text.py runs it"
    assert run(*(word.replace("NAME", "chemprot") for word in shlex.split(show)[1:])).code == 0


def test_a_view_whose_source_has_changed_is_made_anew(run: Run, corpus: str, tmp_path: Path) -> None:
    assert run("featurize", "--encoders", "glove", "--corpus", corpus).code == 0
    assert run("store", "view", "glove", "--dims", "3").code == 0
    (shard,) = tmp_path.glob("features/glove-pca3*/shards/*.h5")
    shard.write_bytes(shard.read_bytes()[:-600] + bytes(600))
    assert run("featurize", "--encoders", "glove", "--corpus", "sample").code == 0
    changed = run("store", "repair", "glove-pca3")
    assert changed.code == 5, changed.err
    (make,) = proposals(changed)
    assert "store view" in make
    assert run(*shlex.split(make)[1:]).code == 0


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
    commands = {" ".join(path) for path, _ in leaves(root())} | set(cli.GROUPS)
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
