"""Places where no run, report, model or training can be: the library says so before the work, in its own errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_model import make_checkpoint

from classifier.ablate import ablate
from classifier.ablate.grid import Grid
from classifier.extract import Extractor
from classifier.extract.bundle import write_bundle
from classifier.runs.checkpoint import save_checkpoint
from classifier.runs.config import run_corpus
from classifier.runs.folds import train_fold
from classifier.systems.folds import evaluate_fold
from featstore.errors import FeatstoreError, UsageError
from featstore.featurize import featurize
from featstore.pretrain.cse import CSEConfig, pretrain_cse
from featstore.pretrain.elmo import ELMoConfig, pretrain_elmo
from featstore.pretrain.glove import GloVeConfig, pretrain_glove

MakeSet = Callable[..., Path]


@pytest.fixture(params=["file", "below a file", "long", "dangling", "circle"])
def wrong(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A place where no folder can be."""
    (tmp_path / "file").write_text("kept")
    (tmp_path / "dangling").symlink_to("nowhere/else")
    (tmp_path / "circle").symlink_to("circle")
    places = {"below a file": tmp_path / "file" / "deep" / "er", "long": tmp_path / ("n" * 300)}
    return places.get(request.param, tmp_path / str(request.param))


def test_runs(wrong: Path, folded_pairs: Path, make_set: MakeSet) -> None:
    grid = Grid(features=("glove",), corpus=f"jsonl:{folded_pairs}")
    config = grid.cells()[0].config
    corpus = run_corpus(config)
    store = make_set(corpus.instances, "glove", 8)
    calls: list[Callable[[], object]] = [
        lambda: train_fold(corpus, store, config, 1, wrong),
        lambda: evaluate_fold(corpus, store, config, 1, wrong),
        lambda: ablate(grid, store, wrong),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="name another place"):
            call()


def test_models(wrong: Path, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model", make_checkpoint())
    with pytest.raises(UsageError):
        write_bundle(tmp_path / "model", wrong)
    with pytest.raises(FeatstoreError):
        Extractor.load(wrong, tag="never")


def test_vectors_and_trainings(wrong: Path, tmp_path: Path) -> None:
    vectors, text = tmp_path / "vectors.txt", tmp_path / "text.txt"
    vectors.write_text("aspirin 1 0\n")
    text.write_text("Aspirin.\n")
    store: dict[str, Any] = {"root": wrong, "dtype": "float32", "backend": "hdf5", "workers": 1}
    calls: list[Callable[[], object]] = [
        lambda: featurize({bytes(16): ("aspirin",)}, f"glove:{vectors}", **store),
        lambda: pretrain_cse(CSEConfig(text=(text,), out=wrong)),
        lambda: pretrain_elmo(ELMoConfig(text=(text,), out=wrong)),
        lambda: pretrain_glove(GloVeConfig(text=(text,), out=wrong)),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="name another place"):
            call()
    assert (tmp_path / "file").read_text() == "kept"
