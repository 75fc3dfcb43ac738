"""A new encoder is a file and a line in the table: every command takes it, from featurize to a bundle's extract."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from featstore.encoders import ENCODERS

Run = Callable[..., Any]
Pairs = Callable[[Path], Path]


def test_a_new_encoder_goes_all_the_way(
    run: Run, pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENCODERS, "letters", "letters:load")
    weights = tmp_path / "elsewhere" / "letters.txt"
    weights.parent.mkdir()
    weights.write_text("abehiknstw\n")
    encoder, corpus = f"letters:{weights}", ("--corpus", f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}")
    assert run("featurize", "--encoders", encoder, *corpus).code == 0
    small = ("--features", "letters", "--hidden", "4", "--max-epochs", "1", "--run", "mine")
    assert run("train", *corpus, *small).code == 0
    done = run("bundle", "--run", "mine", "--encoders", encoder, "-o", "MODEL", "--json")
    assert "encoders/letters/letters.txt" in done.json()
    weights.unlink()
    text = "Aspirin inhibits COX-2."
    entities = [
        {"id": "a", "type": "CHEMICAL", "start": 0, "end": 7},
        {"id": "b", "type": "GENE", "start": 17, "end": 22},
    ]
    (tmp_path / "in.jsonl").write_text(json.dumps({"id": "1", "text": text, "entities": entities}) + "\n")
    done = run("extract", "in.jsonl", "-o", "out.jsonl", "--model", "MODEL", "--threshold", "0")
    assert done.code == 0, done.err
    (relation,) = json.loads((tmp_path / "out.jsonl").read_text())["relations"]
    assert relation["label"] == "CPR:4"
