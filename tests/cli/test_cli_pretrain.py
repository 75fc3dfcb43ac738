"""``cli pretrain``: from text to an encoder that ``cli featurize`` takes, and what is said of bad input."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_checkpoint import write_checkpoint

Run = Callable[..., Any]
SMALL = {
    "cse": ["--hidden", "16", "--streams", "8", "--length", "20", "--least", "2"],
    "elmo": ["--cells", "16", "--projection", "8", "--least", "1", "--tokens", "64"],
    "glove": ["--dim", "5", "--least", "1"],
    "bert": ["--from", "tiny", "--length", "16", "--tokens", "64"],
}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt.gz"
    lines = "".join(f"Drug G{i % 110} inhibits G{i * 7 % 109}.\n" for i in range(900))
    path.write_bytes(gzip.compress(lines.encode("utf-8")))
    return path


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("name", "spec"),
    [("cse", "cse:out"), ("elmo", "elmo:out"), ("glove", "glove:out/glove.txt"), ("bert", "bert:out")],
)
def test_what_is_trained_is_an_encoder(run: Run, text: Path, name: str, spec: str) -> None:
    if name == "bert":
        write_checkpoint(Path("tiny"))
    command = ["pretrain", name, "--text", str(text), "--out", "out", "--steps", "4", *SMALL[name]]
    first = run(*command)
    assert first.code == 0, first.err
    assert f"--encoders {spec}" in first.out
    assert "step 4/4" in first.err
    assert "held-out" in first.err
    assert f"| {text.name} |" in Path("out/README.md").read_text(encoding="utf-8")
    stored = run("featurize", "--encoders", spec, "--dry-run", "--json")
    assert stored.json()[0]["encoder"] == name


@pytest.mark.parametrize("name", ["cse", "elmo", "glove"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no text in it"),
        (b"\x7fELF\x00\x00\n" * 200, "text.bin, line 1: a zero byte"),
        (b"caf\xe9\n" * 200, "text.bin, line 1: not UTF-8"),
        (b"aaa bbb\n" * 200, "occur"),
    ],
    ids=["empty", "binary", "latin1", "too few"],
)
def test_bad_text_is_one_message(run: Run, tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / "text.bin").write_bytes(content)
    result = run("pretrain", name, "--text", "text.bin", "--out", "out")
    assert result.code == 4, result.err
    assert says in result.err
    assert "Traceback" not in result.err
    assert not list((tmp_path / "out").rglob("*.txt")) + list((tmp_path / "out").rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["cse", "--text", "nowhere.txt"], 4, "nowhere.txt does not exist"),
        (["elmo", "--text", "nowhere.txt"], 4, "nowhere.txt does not exist"),
        (["glove", "--text", "nowhere.txt"], 4, "nowhere.txt does not exist"),
        (["cse", "--text", "a", "--direction", "forwards"], 2, "Did you mean 'forward'"),
        (["cse", "--text", "a", "--precision", "float8"], 2, "float32"),
        (["cse", "--text", "a", "--processes", "3"], 2, "cannot be shared evenly"),
        (["elmo", "--text", "a", "--anneal", "cosin"], 2, "Did you mean 'cosine'"),
        (["glove", "--text", "a", "--window", "0"], 2, "'0' was given"),
        (["glove", "--out", "o"], 2, "Missing option '--text'"),
        (["bert", "--text", "a"], 2, "Missing option '--from'"),
        (["cse", "--text", "a.txt", "--from", "nowhere"], 4, "nowhere holds no forward.safetensors or forward.pt"),
        (["elmo", "--text", "a.txt", "--from", "nowhere"], 4, "nowhere/options.json does not exist"),
        (
            ["elmo", "--text", "a.txt", "--from", "x", "--cells", "8", "--least", "2"],
            2,
            "leave --cells and --least out",
        ),
        (["bert", "--text", "a.txt", "--from", "nowhere"], 4, "nowhere/config.json does not exist"),
    ],
)
def test_what_cannot_be_trained(run: Run, words: list[str], code: int, says: str) -> None:
    Path("a.txt").write_text("a\n")
    result = run("pretrain", *words, *([] if "--out" in words else ["--out", "out"]))
    assert result.code == code, result.err
    assert says in result.err


@pytest.mark.usefixtures("in_this_process")
def test_a_checkpoint_of_another_training_is_refused(run: Run, text: Path) -> None:
    command = ["pretrain", "glove", "--text", str(text), "--out", "out", "--steps", "2", *SMALL["glove"]]
    assert run(*command, "--json").json()["encoder"] == "glove:out/glove.txt"
    vectors = Path("out/glove.txt").read_bytes()
    refused = run(*command, "--dim", "6")
    assert refused.code == 5
    assert "dim is 5 there and 6 here" in refused.err
    assert Path("out/glove.txt").read_bytes() == vectors
