"""A checkpoint comes back as it was, and what is damaged or half there is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from classifier.data.features import FeatureSpec
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import make_head
from classifier.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from classifier.runs.facts import RUN, WEIGHTS, CorpusFacts, PartSizes, TrainingFacts, read_run
from classifier.training.config import TrainConfig
from classifier.training.epoch import Epoch
from featstore.errors import DataError, MismatchError, MissingFileError
from featstore.files import write_file
from featstore.pairing import Pairing


def make_checkpoint(**more: Any) -> Checkpoint:
    return Checkpoint(
        head=make_head(HeadConfig((InputConfig(4, 3),), labels=2, tags=1, hidden=3, standardise=True, **more)),
        features=(FeatureSpec("elmo", "ab" * 32, "float16", "mix", 3, 4),),
        labels=("0", "1"),
        positive=("1",),
        tags=("<gene>",),
        corpus=CorpusFacts("toy", "toy", "d1", "tagged", "tags"),
        fold=3,
        config=TrainConfig(lr=0.5),
        training=TrainingFacts(
            instances=PartSizes(9, 1), best_epoch=1, seconds=2.0, epochs=(Epoch(1, 3, 0.7, 0.6, 0.5, 0.1, True, 2.0),)
        ),
        pairing=Pairing((("gene", "dise"),), {"gene": "@GENE$"}),
    )


@pytest.mark.parametrize("options", [{}, {"members": 2, "project": 2}, {"mention_states": True}])
def test_comes_back(options: dict[str, int], tmp_path: Path) -> None:
    saved = make_checkpoint(**options)
    save_checkpoint(tmp_path / "fold-3", saved)
    loaded = load_checkpoint(tmp_path / "fold-3")
    assert not loaded.head.training
    for name in ("features", "labels", "positive", "tags", "corpus", "fold", "config", "training", "pairing"):
        assert getattr(loaded, name) == getattr(saved, name)
    assert loaded.fingerprint == saved.fingerprint
    assert loaded.head.config == saved.head.config
    for name, tensor in saved.head.state_dict().items():
        assert torch.equal(loaded.head.state_dict()[name], tensor)
    assert sorted(p.name for p in (tmp_path / "fold-3").iterdir()) == [WEIGHTS, RUN]


def test_is_the_same_bytes_for_the_same_head(tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    for folder in ("a", "b"):
        save_checkpoint(tmp_path / folder, checkpoint)
    assert (tmp_path / "a" / WEIGHTS).read_bytes() == (tmp_path / "b" / WEIGHTS).read_bytes()
    assert (tmp_path / "a" / RUN).read_bytes() == (tmp_path / "b" / RUN).read_bytes()


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"run\.json does not exist; `cli train`"):
        load_checkpoint(tmp_path)


def test_damage_is_found(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, make_checkpoint())
    weights, run = (tmp_path / WEIGHTS).read_bytes(), (tmp_path / RUN).read_text()
    (tmp_path / WEIGHTS).write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(MismatchError, match="not the file that"):
        load_checkpoint(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(weights)
    (tmp_path / RUN).write_text(run[:-20])
    with pytest.raises(DataError, match="not JSON"):
        load_checkpoint(tmp_path)
    (tmp_path / RUN).write_text(run.replace('"hidden": 3', '"hidden": 5'))
    with pytest.raises(DataError, match="does not hold a checkpoint as it was written"):
        load_checkpoint(tmp_path)
    (tmp_path / RUN).write_text(json.dumps({**json.loads(run), "format": 99}))
    with pytest.raises(MismatchError, match="format 99"):
        load_checkpoint(tmp_path)
    (tmp_path / RUN).write_text(json.dumps({**json.loads(run), "format": 1}))
    with pytest.raises(MismatchError, match=r"reads heads of format 2\. Train it again"):
        load_checkpoint(tmp_path)
    assert read_run(tmp_path).training == make_checkpoint().training, "what it says of its training can be read still"
    (tmp_path / RUN).write_text("[]")
    with pytest.raises(DataError, match=r"is not as it was written .* it must be a table"):
        load_checkpoint(tmp_path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
