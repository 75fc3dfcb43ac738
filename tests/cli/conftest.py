"""Running the command line in an empty folder, and a small corpus to run it on."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import cli


@dataclass
class Result:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``cli`` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))

    def call(*words: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["cli", *words])
        with pytest.raises(SystemExit) as left:
            cli.main()
        captured = capsys.readouterr()
        return Result(int(left.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def pairs() -> Callable[[Path], Path]:
    """A function that writes a JSONL corpus with splits: inhibition is a relation, presence is not."""
    return write_pairs


def write_pairs(path: Path, count: int = 60) -> Path:
    lines = []
    for i in range(count):
        verb, label = [("inhibits", "CPR:4"), ("was measured with", "NONE")][i % 2]
        text = f"Compound{i} {verb} the kinase AKT{i} in cells ."
        head = {"start": 0, "end": len(f"Compound{i}"), "type": "CHEMICAL"}
        start = text.index("AKT")
        tail = {"start": start, "end": start + len(f"AKT{i}"), "type": "GENE"}
        split = ("train", "train", "train", "dev", "test")[i // 2 % 5]
        lines.append(json.dumps({"text": text, "head": head, "tail": tail, "label": label, "split": split}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
