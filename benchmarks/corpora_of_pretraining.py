"""Which text a character model should read: Table 4 of the paper, with your own text, corpus and budget.

In: groups of text files, the first of them the base. Out: one row for the base alone, the base with each other group,
and all of them. For each row a pair of small character models is trained on as many characters as for every other
row, drawn from the row's files in proportion to their size; the corpus is featurized with GloVe and that pair, each
sentence once (``--context sentence``); a head is trained, and the F1 of its best epoch on the dev part printed. The
test part is not looked at.

Every stage is a ``cli`` command of one thread whose result is kept, so that a second run does only what is missing.
``--launcher`` puts words before each of these commands, such as ``"nice -n 10"`` or a batch system's ``"srun -n 1"``.

    python benchmarks/corpora_of_pretraining.py --text pubmed=FILE --text chemistry=FILE --text pmc=FILE \\
        --valid FILES --corpus chemprot:DIR --out FOLDER
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# F1 on the test part of ChemProt, Hiai et al. 2021, Table 4.
PAPER = {
    frozenset({"pubmed"}): "69.57",
    frozenset({"pubmed", "chemistry"}): "69.31",
    frozenset({"pubmed", "pmc"}): "70.19",
    frozenset({"pubmed", "chemistry", "pmc"}): "70.77",
}
# Batches are small, because the number of steps limits a model that reads little.
STREAMS, LENGTH = 32, 64
HEAD = ["--optimizer", "adamw", "--lr", "1e-3", "--dropout", "0.4", "--standardise", "--precision", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The comparison.

    Attributes:
        texts: the files of each group; the first group is the base.
        valid: held-out files, the same for every row.
        corpus: spec of the labelled corpus.
        out: folder for everything that is made.
        hidden: units of each direction's LSTM.
        steps: optimiser steps of each direction, of ``STREAMS`` times ``LENGTH`` characters.
        epochs: largest number of epochs of the head.
        launcher: words that are put before each command.
    """

    texts: Mapping[str, Sequence[str]]
    valid: Sequence[str]
    corpus: str
    out: Path
    hidden: int
    steps: int
    epochs: int
    launcher: Sequence[str]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the groups of each row; those of two groups have no more than three rows."""
        base, *others = self.texts
        rows = [(base,), *((base, other) for other in others), (base, *others)]
        return list(dict.fromkeys(rows))


def run(plan: Plan, folder: Path, stage: str, words: Sequence[str]) -> Any:
    """Return the output of ``cli WORDS --json``, which is kept in ``folder`` and used again for the same command.

    Raises:
        SystemExit: the command failed; the message names its log.
    """
    kept = folder / f"{stage}.json"
    if kept.exists():
        before = json.loads(kept.read_text(encoding="utf-8"))
        if before["command"] == list(words):
            return before["printed"]
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{stage}.log"
    print(f"{folder.name}: {stage} (log: {log})", file=sys.stderr, flush=True)
    with log.open("w", encoding="utf-8") as errors:
        command = [*plan.launcher, sys.executable, "-m", "cli", *words, "--json"]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
        )
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} ended with code {done.returncode}; its log is {log}.")
    printed = json.loads(done.stdout)
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps({"command": list(words), "printed": printed}), encoding="utf-8")
    partial.replace(kept)
    return printed


def measure(plan: Plan, groups: tuple[str, ...]) -> tuple[dict[str, float], float]:
    """Return the held-out bits per character of each direction and the head's best F1 on the dev part."""
    folder = plan.out / "+".join(groups)
    cse, store = str(folder / "cse"), str(folder / "features")
    texts = [word for group in groups for file in plan.texts[group] for word in ("--text", file)]
    texts += [word for file in plan.valid for word in ("--valid", file)]
    sizes = ["--hidden", str(plan.hidden), "--streams", str(STREAMS), "--length", str(LENGTH)]
    sizes += ["--steps", str(plan.steps)]
    bits = {}
    for direction in ("forward", "backward"):
        words = ["pretrain", "cse", *texts, "--out", cse, *sizes, "--direction", direction]
        log = run(plan, folder, direction, words)[direction]["log"]
        bits[direction] = min(entry["held_out"] for entry in log)
    corpus = ["--corpus", plan.corpus, "--context", "sentence", "--store", store]
    encoders = ["--encoders", f"glove,cse:{cse}", "--workers", "1"]
    run(plan, folder, "featurize", ["featurize", *encoders, *corpus])
    limits = ["--max-epochs", str(plan.epochs), "--patience", "1", "--run", str(folder / "run")]
    head = run(plan, folder, "train", ["train", "--features", "glove+cse", *corpus, *HEAD, *limits])
    return bits, head["best"]["dev_f1"]


def table(plan: Plan) -> Iterator[str]:
    characters = plan.steps * STREAMS * LENGTH
    yield f"Hidden {plan.hidden}, {characters:,} characters read by each direction; head: at most {plan.epochs} epochs."
    yield "| text | held-out bits, forward | backward | dev F1 | paper, test F1 |"
    yield "| --- | --- | --- | --- | --- |"
    for groups in plan.rows():
        bits, f1 = measure(plan, groups)
        paper = PAPER.get(frozenset(groups), "-")
        yield f"| {' + '.join(groups)} | {bits['forward']:.3f} | {bits['backward']:.3f} | {100 * f1:.2f} | {paper} |"


def read_plan() -> Plan:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", action="append", required=True, metavar="GROUP=FILE", help="repeat; the base first")
    parser.add_argument("--valid", nargs="+", required=True, metavar="FILE", help="held-out files, of all groups")
    parser.add_argument("--corpus", default="chemprot")
    parser.add_argument("--out", type=Path, required=True, help="folder for models, vectors and heads")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--steps", type=int, default=3200, help=f"of each direction, {STREAMS} x {LENGTH} characters")
    parser.add_argument("--epochs", type=int, default=5, help="of the head at most")
    parser.add_argument("--launcher", default="", help="words before each command")
    given = parser.parse_args()
    texts: dict[str, list[str]] = {}
    for each in given.text:
        group, _, file = each.partition("=")
        if not file:
            parser.error(f"--text takes GROUP=FILE, for instance pubmed=abstracts.txt.gz; got {each}")
        texts.setdefault(group, []).append(file)
    launcher = shlex.split(given.launcher)
    return Plan(texts, given.valid, given.corpus, given.out, given.hidden, given.steps, given.epochs, launcher)


if __name__ == "__main__":
    for line in table(read_plan()):
        print(line, flush=True)
