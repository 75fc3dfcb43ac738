"""Tagging by workers: the output is that of this process alone, byte for byte, whoever tags which block and when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_job import Backwards
from toy_model import WordEncoder
from toy_tagger import toy_tagger

from classifier.entities import windows
from classifier.entities.checkpoint import TaggerCheckpoint
from classifier.extract import blocks, journal
from classifier.extract.tag_files import Tagged, TaggingJob, tag_files
from classifier.extract.workers import LOST, BlockWorkers
from featstore.errors import MismatchError

DOCUMENTS, BLOCK = 11, 4
NAMES = ("aspirin", "zinc oxide", "COX-2", "gout")


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_DOCUMENTS", BLOCK)
    monkeypatch.setattr(windows, "WINDOW_DOCUMENTS", 2)  # so that this process may stop in the middle of a block
    monkeypatch.setattr(journal, "JOURNAL_SECONDS", 0.0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    texts = [f"We saw the {NAMES[n % 4]} inhibits w{n} in cells." for n in range(DOCUMENTS)]
    lines = [json.dumps({"id": str(n), "text": text, "entities": []}) + "\n" for n, text in enumerate(texts)]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(lines) + '{"id": "bad"}\n')
    return path


def run(source: Path, target: Path, checkpoint: TaggerCheckpoint, engine: Any = None, **options: Any) -> Tagged:
    workers = BlockWorkers(engine, partial(toy_tagger, checkpoint)) if engine else None
    return tag_files(toy_tagger(checkpoint), TaggingJob([source], target, **options), workers=workers)


@pytest.mark.parametrize("to", ["jsonl", "bioc-json"])
def test_blocks_are_written_in_the_order_of_the_documents(
    source: Path, tmp_path: Path, toy_checkpoint: TaggerCheckpoint, to: str
) -> None:
    one = run(source, tmp_path / "one", toy_checkpoint, target_format=to)
    many = run(source, tmp_path / "many", toy_checkpoint, Backwards(), target_format=to)
    assert (tmp_path / "many").read_bytes() == (tmp_path / "one").read_bytes()
    assert (many.documents, many.bad, many.mentions) == (one.documents, one.bad, one.mentions)
    assert (one.documents, one.bad) == (DOCUMENTS + 1, 1)
    assert one.mentions >= DOCUMENTS


@pytest.mark.parametrize("begun_by_workers", [False, True])
def test_what_one_has_begun_the_other_finishes(
    source: Path, tmp_path: Path, toy_checkpoint: TaggerCheckpoint, begun_by_workers: bool
) -> None:
    def before(batch: Sequence[Sequence[str]]) -> None:
        if any("w10" in tokens for tokens in batch):
            raise KeyboardInterrupt

    def stopping() -> Any:
        return toy_tagger(toy_checkpoint, WordEncoder(before))

    run(source, tmp_path / "whole", toy_checkpoint)
    workers = BlockWorkers(Backwards(), stopping) if begun_by_workers else None
    with pytest.raises(KeyboardInterrupt):
        tag_files(stopping(), TaggingJob([source], tmp_path / "cut"), workers=workers)
    done = run(source, tmp_path / "cut", toy_checkpoint, None if begun_by_workers else Backwards())
    assert done.resumed_at == (8 if begun_by_workers else 10)
    assert (tmp_path / "cut").read_bytes() == (tmp_path / "whole").read_bytes()


def test_the_documents_of_a_block_that_no_worker_could_do_are_named(
    source: Path, tmp_path: Path, toy_checkpoint: TaggerCheckpoint
) -> None:
    told: dict[str, str] = {}
    done = tag_files(
        toy_tagger(toy_checkpoint),
        TaggingJob([source], tmp_path / "out"),
        workers=BlockWorkers(Backwards(lost=[1]), partial(toy_tagger, toy_checkpoint)),
        report=lambda id_, problem: told.update({id_: problem.why}),
    )
    assert {id_ for id_, why in told.items() if why == LOST} == {"4", "5", "6", "7"}
    assert done.bad == BLOCK + 1


def test_a_worker_with_another_tagger_is_refused(
    source: Path, tmp_path: Path, toy_checkpoint: TaggerCheckpoint
) -> None:
    other = replace(toy_checkpoint, network=deepcopy(toy_checkpoint.network))
    with torch.no_grad():
        next(other.network.parameters()).add_(1)
    workers = BlockWorkers(Backwards(), partial(toy_tagger, other))
    with pytest.raises(MismatchError, match="all machines need the same files"):
        tag_files(toy_tagger(toy_checkpoint), TaggingJob([source], tmp_path / "out"), workers=workers)
