"""Run folders and model bundles that a released version wrote open for good.

``archive`` keeps one of each, as 0.1 wrote them: a tiny head, trained on GloVe vectors of the bundled sample. They are
never written anew; a new version adds its own.
"""

from __future__ import annotations

from pathlib import Path

import torch

from classifier.extract.bundle import read_bundle
from classifier.runs.checkpoint import load_checkpoint
from classifier.runs.config import RunConfig, read_config
from classifier.runs.results import read_predictions, read_result
from classifier.training.config import recipe

ARCHIVE = Path(__file__).resolve().parent / "archive"


def test_an_archived_run_opens() -> None:
    wanted = RunConfig(train=recipe("paper", features="glove", hidden=2, project=2, max_epochs=2))
    assert read_config(ARCHIVE / "run") == wanted
    result = read_result(ARCHIVE / "run" / "fold-1")
    assert result.config == wanted
    assert (result.best_epoch, len(result.epochs), result.metrics.micro.gold) == (2, 2, 72)
    assert len(read_predictions(result).ids) == 160
    checkpoint = load_checkpoint(ARCHIVE / "run" / "fold-1")
    assert (checkpoint.labels, checkpoint.positive, checkpoint.fold) == (("0", "1"), ("1",), 1)
    assert [spec.name for spec in checkpoint.features] == ["glove"]
    assert torch.isfinite(torch.cat([p.flatten() for p in checkpoint.head.parameters()])).all()


def test_an_archived_bundle_is_the_model_that_it_was() -> None:
    bundle = read_bundle(ARCHIVE / "bundle")  # which holds the digest of weights, labels and marking against today's
    assert bundle.name == "sample-glove-tagged-tags-paper-seed1-9637c6"
    assert bundle.checkpoint.fingerprint == load_checkpoint(ARCHIVE / "run" / "fold-1").fingerprint
