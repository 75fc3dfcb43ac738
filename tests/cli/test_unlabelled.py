"""From plain text to a head that learnt from it: documents with mentions, their vectors, a teacher and its pupil."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def taught(
    run: Run, pairs: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Return the words of a training on a corpus, whose teacher is trained."""
    monkeypatch.setenv("FEATSTORE_CORPUS", f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}")
    monkeypatch.setenv("FEATSTORE_CONTEXT", "sentence")
    short = ["--features", "glove", "--max-epochs", "2", "--hidden", "8"]
    assert run("featurize", "--encoders", "glove").code == 0
    assert run("train", *short, "--run", "teacher").code == 0
    return lambda *more: ["train", *short, "--run", "pupil", "--teacher", "teacher", *more]


def documents(path: Path, *verbs: str) -> str:
    lines = []
    for number, verb in enumerate(verbs):
        text = f"In mice ethanol {verb} the kinase TP53 at once."
        entities = [
            {"id": f"T{n}", "type": type_, "start": text.index(word), "end": text.index(word) + len(word)}
            for n, (word, type_) in enumerate((("ethanol", "CHEMICAL"), ("TP53", "GENE")))
        ]
        lines.append(json.dumps({"id": f"d{number}", "text": text, "entities": entities}))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_a_head_learns_from_pairs_without_labels(run: Run, taught: Callable[..., list[str]], tmp_path: Path) -> None:
    more = documents(tmp_path / "more.jsonl", "inhibits", "blocks", "raises")
    missing = run(*taught("--unlabelled", more))
    assert missing.code == 5
    assert f"--unlabelled {more}" in " ".join(missing.err.split()), "the command that encodes them"
    featurized = run("featurize", "--encoders", "glove", "--unlabelled", more, "--json")
    assert "3 pairs without labels in 3 documents" in featurized.err
    assert featurized.json()[0]["encoded"] == 3
    assert "3 pairs without labels, 36 instances" in run(*taught("--unlabelled", more, "--dry-run")).out

    trained = run(*taught("--unlabelled", more, "--json"))
    assert trained.json()["training"]["instances"] == {"train": 36, "dev": 12, "unlabelled": 3}
    assert "the teacher judges 39 pairs" in trained.err
    assert "pairs without labels" in (tmp_path / "runs" / "pupil" / "fold-1" / "README.md").read_text()
    assert run(*taught("--unlabelled", more, "--json")).json()["kept"]
    documents(tmp_path / "more.jsonl", "inhibits", "blocks")
    changed = run(*taught("--unlabelled", more))
    assert "its teacher or the pairs without labels have changed since" in changed.err
    assert run("eval", "--run", "pupil").code == 0
    (tmp_path / "more.jsonl").unlink()
    assert run("eval", "--run", "pupil").code == 0, "the documents are needed to train alone"
    assert run(*taught("--unlabelled", more, "--json")).json()["kept"], "and a trained fold stays what it is"


def test_what_cannot_be_learnt_from_is_refused(run: Run, taught: Callable[..., list[str]], tmp_path: Path) -> None:
    words = taught()
    plain = [word for word in words if word not in ("--teacher", "teacher")]
    more = documents(tmp_path / "more.jsonl", "inhibits")
    refused = run(*plain, "--unlabelled", more)
    assert refused.code == 2
    assert "needs a teacher" in refused.err
    unknown = run("ablate", "--features", "glove", "--teacher", "techer", "--dry-run")
    assert unknown.code == 4
    assert "there is no run 'techer'" in unknown.err
    assert "teacher" in unknown.err.rpartition("Did you mean")[2]
    (tmp_path / "empty.jsonl").write_text('{"id": "d", "text": "Nothing.", "entities": []}\n')
    for command in (["featurize", "--encoders", "glove"], words):
        refused = run(*command, "--unlabelled", "empty.jsonl")
        assert refused.code == 4
        assert "`cli entities tag`" in refused.err
        assert run(*command, "--unlabelled", "nowhere.jsonl").code == 4
    assert not (tmp_path / "runs" / "pupil").exists()
