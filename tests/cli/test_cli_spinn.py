"""SPINN on the command line: trees are asked for, a table that lacks them is refused, made trees go all the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]
Pairs = Callable[[Path], Path]


def test_spinn_asks_for_trees_and_goes_all_the_way(run: Run, pairs: Pairs, tmp_path: Path) -> None:
    spinn = ("train", "--system", "spinn", "--corpus", f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}")
    bare = run(*spinn)
    assert bare.code == 2
    assert "--trees FILE" in bare.err
    table = tmp_path / "trees.tsv"
    table.write_text("pmid\tchemical\tgene\ttree\n1\tT1\tT2\t( a b )\n")
    lacking = run(*spinn, "--trees", str(table))
    assert lacking.code == 4
    assert "has 1 trees, but none for 36 of 36 instances" in " ".join(lacking.err.split())
    (tmp_path / "vectors.txt").write_text("the 1 0\ninhibits 0 1\n")
    small = ("--word-vectors", str(tmp_path / "vectors.txt"), "--hidden", "4", "--mlp", "4", "--max-epochs", "1")
    trained = run(*spinn, "--trees", "right", *small, "--run", "mine")
    assert trained.code == 0, trained.err
    assert "spinn:right, 36 instances" in " ".join(trained.err.split())
    evaluated = run("eval", "--run", "mine")
    assert evaluated.code == 0, evaluated.err
    assert (tmp_path / "runs/mine/fold-1/model/networks.safetensors").is_file()
