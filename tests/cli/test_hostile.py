"""Names and contents that would act on a terminal: a command shows them, on one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from commands import HOSTILE as NOT_UTF8
from commands import is_harmless

HOSTILE = NOT_UTF8[:-1]
Run = Callable[..., Any]


def test_a_whole_way_through_hostile_names(run: Run, tmp_path: Path, pairs: Callable[[Path], Path]) -> None:
    folder = tmp_path / HOSTILE
    folder.mkdir()
    corpus = ("--corpus", f"jsonl:{pairs(folder / f'{HOSTILE}.jsonl')}")
    text = "Aspirin inhibits COX-2."
    entities = [
        {"id": f"T{n}", "type": t, "start": a, "end": b} for n, t, a, b in ((1, "CHEMICAL", 0, 7), (2, "GENE", 17, 22))
    ]
    lines = [{"id": "1", "text": text, "entities": entities}, {"id": HOSTILE, "text": text, "entities": entities}]
    lines.append({"id": "3", "text": text, "entities": [{"id": "T1", "type": HOSTILE, "start": 0, "end": 7}]})
    (folder / "d.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    store, runs = ("--store", str(folder / "s")), ("--runs", str(folder / "r"))
    made = ("--run", str(folder / "r" / HOSTILE))
    training = ("--features", "glove", "--max-epochs", "1", "--hidden", "4")
    for words, code in (
        (("featurize", "--encoders", "glove", *corpus, *store), 0),
        (("train", *training, *corpus, *store, *made), 0),
        (("eval", *store, *made), 0),
        (("eval", *store, *made, "--json"), 0),
        (("runs", "ls", *runs), 0),
        (("runs", "ls", *runs, "--json"), 0),
        (("runs", "show", *made[1:]), 0),
        (("store", "ls", *store), 0),
        (("store", "info", "glove", *store, "--json"), 0),
        (("store", "verify", *store), 0),
        (("store", "gc", "--unreferenced", *store, *runs), 0),
        (("data", "check", corpus[1]), 0),
        (("bundle", *made, "-o", str(folder / "m")), 0),
        (("extract", str(folder / "d.jsonl"), "--model", str(folder / "m"), "-o", str(folder / "o")), 3),
    ):
        done = run(*words)
        assert done.code == code, (words, done.out, done.err)
        if "--json" not in words:
            assert is_harmless(done.out + done.err), (words, done)
