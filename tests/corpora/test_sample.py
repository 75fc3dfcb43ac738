"""The bundled sample is what its generator makes, and what a sample should be."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from featstore.corpora import load_corpus
from featstore.corpora.audit import check_corpus
from featstore.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


def test_it_is_generated(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "benchmarks" / "make_sample.py", tmp_path], check=True)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.tsv")}
    shipped = ROOT / "data" / "sample"
    assert made == {path.relative_to(shipped): path.read_bytes() for path in shipped.rglob("*.tsv")}


def test_gad_layout_is_the_default() -> None:
    corpus = load_corpus("sample")
    assert (corpus.spec, corpus.name, corpus.labels) == ("sample", "gad", ("0", "1"))
    assert len(corpus.instances) >= 400
    assert 3 in corpus.folds
    shares = Counter(i.label for i in corpus.instances)
    assert 0.4 < shares["1"] / len(corpus.instances) < 0.6
    assert all(not leak.near for leak in check_corpus("sample").leakage)


def test_chemprot_layout_has_the_hard_cases() -> None:
    corpus = load_corpus("sample:chemprot")
    assert len(corpus.instances) >= 300
    assert {i.label for i in corpus.instances if i.split == "test"} == set(corpus.labels)
    for note in ("pairs across sentences", "candidates not listed", "pairs with two gold labels"):
        assert corpus.notes[note] > 0
    assert corpus.notes["mentions"] == corpus.notes["mentions agreeing"]
    assert any(i.head[0] <= i.tail[0] and i.tail[1] <= i.head[1] for i in corpus.instances) or any(
        i.tail[0] <= i.head[0] and i.head[1] <= i.tail[1] for i in corpus.instances
    ), "no mention lies inside another"


def test_an_unknown_layout() -> None:
    with pytest.raises(UsageError, match="choose from gad, chemprot"):
        load_corpus("sample:brat")
