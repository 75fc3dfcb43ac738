"""Extraction by workers: the output is that of this process alone, byte for byte, whoever does which block and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from toy_job import Backwards
from toy_model import WordEncoder, make_document, make_extractor, write_documents

from classifier.extract import ExtractionJob, Extractor, extract_files
from classifier.extract.join import join_shards
from classifier.extract.wanted import Wanted
from classifier.extract.workers import LOST, BlockWorkers
from featstore.documents import Problem
from featstore.errors import MismatchError
from featstore.scale import LocalEngine, Shard

DOCUMENTS = 22


pytestmark = pytest.mark.usefixtures("small_blocks")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_documents(tmp_path / "in.jsonl", [make_document(n, pairs=1 + n % 3) for n in range(DOCUMENTS)])


def run(
    source: Path, target: Path, engine: Any = None, load: Callable[[], Extractor] = make_extractor, **options: Any
) -> Any:
    told: list[tuple[str, Problem]] = []
    workers = BlockWorkers(engine, load) if engine else None
    job = ExtractionJob([source], target, wanted=Wanted(threshold=0.0), **options)
    return extract_files(make_extractor(), job, workers=workers, report=lambda *each: told.append(each)), told


@pytest.mark.parametrize("to", ["jsonl", "bioc-json"])
def test_blocks_are_written_in_the_order_of_the_documents(source: Path, tmp_path: Path, to: str) -> None:
    one, _ = run(source, tmp_path / "one", target_format=to)
    many, _ = run(source, tmp_path / "many", Backwards(), target_format=to)
    assert (tmp_path / "many").read_bytes() == (tmp_path / "one").read_bytes()
    assert (many.documents, many.pairs, many.relations) == (one.documents, one.pairs, one.relations)


def test_a_process_of_this_machine_extracts_what_this_one_does(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "one")
    run(source, tmp_path / "many", LocalEngine(1))
    assert (tmp_path / "many").read_bytes() == (tmp_path / "one").read_bytes()


def stopping(word: str) -> Extractor:
    """A model that is interrupted where it meets a word."""

    def before(batch: Sequence[Sequence[str]]) -> None:
        if any(word in tokens for tokens in batch):
            raise KeyboardInterrupt

    return make_extractor(WordEncoder(before))


@pytest.mark.parametrize("begun_by_workers", [False, True])
def test_what_one_has_begun_the_other_finishes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun_by_workers: bool
) -> None:
    from classifier.extract import work

    run(source, tmp_path / "whole")
    monkeypatch.setattr(work, "WINDOW_DOCUMENTS", 1)  # this process may stop in the middle of a block
    monkeypatch.setattr(work, "WINDOW_TOKENS", 1)
    job = ExtractionJob([source], tmp_path / "cut", wanted=Wanted(threshold=0.0))
    workers = BlockWorkers(Backwards(), partial(stopping, "drug14")) if begun_by_workers else None
    with pytest.raises(KeyboardInterrupt):
        extract_files(stopping("drug14"), job, workers=workers)
    done, _ = run(source, tmp_path / "cut", None if begun_by_workers else Backwards())
    assert done.resumed_at == (8 if begun_by_workers else 14)
    assert (tmp_path / "cut").read_bytes() == (tmp_path / "whole").read_bytes()


def test_workers_do_the_blocks_of_a_shard(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "whole")
    for number in (1, 2):
        run(source, tmp_path / "out", Backwards(), shard=Shard(number, 2))
    join_shards(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


def test_the_documents_of_a_block_that_no_worker_could_do_are_named(source: Path, tmp_path: Path) -> None:
    done, told = run(source, tmp_path / "out", Backwards(lost=[1, 5]))
    assert [(id_, problem.why) for id_, problem in told] == [(str(n), LOST) for n in (4, 5, 6, 7, 20, 21)]
    assert (done.documents, done.bad) == (DOCUMENTS, 6)
    assert len((tmp_path / "out").read_text().splitlines()) == DOCUMENTS - 6


def test_a_worker_with_another_model_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match="all machines need the same files"):
        run(source, tmp_path / "out", Backwards(), partial(make_extractor, context="tagged"))
