"""Extraction in shards: the joined outputs are those of one job, byte for byte, also after kills."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from toy_model import WordEncoder, make_document, make_extractor

from classifier.extract import Extracted, ExtractionJob, extract_files
from classifier.extract.join import join_shards
from classifier.extract.wanted import Wanted
from featstore.documents import Problem
from featstore.errors import DataError, MismatchError, MissingFileError, UsageError
from featstore.formats import writable
from featstore.scale import Shard

DOCUMENTS = 22


pytestmark = pytest.mark.usefixtures("small_blocks")


def line(number: int) -> str:
    document = make_document(number, pairs=1 + number % 3)
    entities = [{"id": e.id, "type": e.type, "start": e.start, "end": e.end} for e in document.entities]
    return json.dumps({"id": document.id, "text": document.text, "entities": entities}) + "\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Documents, of which one in the middle and all of the first block but one are bad."""
    path = tmp_path / "documents.jsonl"
    bad = {0, 1, 2, 9}
    path.write_text("".join(line(n) if n not in bad else '{"id": 3, "text": 4}\n' for n in range(DOCUMENTS)))
    return path


def run(source: Path, target: Path, shard: Shard | None = None, *, stop: str = "", to: str = "jsonl") -> Extracted:
    """Extract; the encoder is interrupted where it meets the word ``stop``."""

    def before(batch: Sequence[Sequence[str]]) -> None:
        if any(stop in tokens for tokens in batch):
            raise KeyboardInterrupt

    job = ExtractionJob([source], target, target_format=to, wanted=Wanted(threshold=0.0), shard=shard)
    return extract_files(make_extractor(WordEncoder(before if stop else lambda _: None)), job)


def run_all(source: Path, target: Path, count: int, to: str = "jsonl") -> list[Extracted]:
    return [run(source, target, Shard(number, count), to=to) for number in range(1, count + 1)]


def figures(done: Extracted) -> tuple[int, int, int, int]:
    return done.documents, done.bad, done.pairs, done.relations


@pytest.mark.parametrize(("to", "count"), [*((to, 3) for to in writable()), ("bioc-json", 1), ("bioc-json", 8)])
def test_joined_shards_are_the_output_of_one_job(source: Path, tmp_path: Path, to: str, count: int) -> None:
    whole, joined = tmp_path / "whole", tmp_path / "joined"
    one = run(source, whole, to=to)
    parts = run_all(source, joined, count, to)
    assert not joined.exists()
    done = join_shards(joined)
    assert joined.read_bytes() == whole.read_bytes()
    assert figures(done) == figures(one) == tuple(map(sum, zip(*map(figures, parts), strict=True)))
    assert done.nothing == one.nothing


def test_shards_without_a_document(tmp_path: Path) -> None:
    source, whole, joined = tmp_path / "in.jsonl", tmp_path / "whole", tmp_path / "joined"
    source.write_text(line(0))
    run(source, whole)
    assert [done.documents for done in run_all(source, joined, 3)] == [1, 0, 0]
    assert join_shards(joined).documents == 1
    assert joined.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("stop", ["drug4", "drug13", "drug14", "drug21"])
def test_an_interrupted_shard_goes_on_at_the_block_where_it_stopped(source: Path, tmp_path: Path, stop: str) -> None:
    shard = Shard(2, 2)  # blocks 1, 3 and 5: documents 4 to 7, 12 to 15, 20 and 21
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "cut", shard, stop=stop)
    done = run(source, tmp_path / "cut", shard)
    assert done.resumed_at == {"drug4": 0, "drug13": 4, "drug14": 4, "drug21": 8}[stop]
    run(source, tmp_path / "whole", shard)
    assert (tmp_path / "cut.2-of-2").read_bytes() == (tmp_path / "whole.2-of-2").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.2-of-2", "documents.jsonl", "whole.2-of-2"]


def test_an_interrupted_shard_does_not_go_on_with_other_documents(source: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out", Shard(2, 2), stop="drug13")
    source.write_text(source.read_text().replace("drug3 ", "drug33 "))  # of another shard
    with pytest.raises(MismatchError, match="first 8 documents are not those"):
        run(source, tmp_path / "out", Shard(2, 2))


def test_windows_end_where_blocks_do_wherever_an_extraction_begins() -> None:
    documents = [make_document(number) for number in range(11)]
    windows = list(make_extractor().windows(documents))
    rest = list(make_extractor().windows(documents[3:], after=3))
    assert [len(window) for window in windows] == [4, 4, 3]
    assert [len(window) for window in rest] == [1, 4, 3]


def test_what_shards_tell_is_of_their_own_documents(source: Path, tmp_path: Path) -> None:
    told: list[tuple[str, Problem]] = []
    job = ExtractionJob([source], tmp_path / "out", shard=Shard(3, 3))  # with the bad document 9
    done = extract_files(make_extractor(), job, report=lambda *each: told.append(each))
    assert (done.documents, done.bad) == (6, 1)
    assert [problem.place for _, problem in told] == [f"{source}, line 10"]


def test_a_shard_that_is_missing_is_named(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(MissingFileError, match="there are none; `cli extract --shard"):
        join_shards(target)
    run_all(source, target, 3)
    (tmp_path / "out.2-of-3").unlink()
    with pytest.raises(MissingFileError, match=r"1 of the 3 shards of .* not there, or not finished: 2/3"):
        join_shards(target)
    run(source, target, Shard(1, 4))
    with pytest.raises(MissingFileError, match="there are shards of 3 and of 4"):
        join_shards(target)


def test_shards_of_different_extractions_are_not_joined(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    run(source, target, Shard(1, 2))
    job = ExtractionJob([source], target, wanted=Wanted(threshold=0.5), shard=Shard(2, 2))
    extract_files(make_extractor(), job)
    with pytest.raises(MismatchError, match="does not extract the same"):
        join_shards(target)
    with source.open("a") as file:
        file.write(line(DOCUMENTS))
    run(source, target, Shard(2, 2))
    with pytest.raises(MismatchError, match="has not read the same documents"):
        join_shards(target)
    assert not target.exists()


DAMAGE: dict[str, Callable[[list[str]], list[str]]] = {
    "no line": lambda lines: lines[:0],
    "no head": lambda lines: lines[1:],
    "no end": lambda lines: lines[:-1],
    "a block less": lambda lines: lines[:1] + lines[2:],
    "the last block less": lambda lines: lines[:-2] + lines[-1:],
    "half a line": lambda lines: [*lines[:-1], lines[-1][:9]],
    "a newer version": lambda lines: [lines[0].replace('"format": 1', '"format": 2'), *lines[1:]],
    "a number for a text": lambda lines: [lines[0], '{"block": {"number": 1, "written": 1, "text": 1}}\n'],
    "neither block nor end": lambda lines: [lines[0], "{}\n", *lines[1:]],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_shard_is_refused(source: Path, tmp_path: Path, damage: Callable[[list[str]], list[str]]) -> None:
    run_all(source, tmp_path / "out", 2)
    damaged = tmp_path / "out.2-of-2"
    damaged.write_text("".join(damage(damaged.read_text().splitlines(keepends=True))))
    with pytest.raises((DataError, MismatchError), match=r"out\.2-of-2"):
        join_shards(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_stream_has_no_place_for_shards(source: Path) -> None:
    with pytest.raises(UsageError, match="name the output of all shards with -o"):
        run(source, Path("-"), Shard(1, 2))
