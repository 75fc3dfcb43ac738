"""Extraction from and to addresses: a real S3 protocol, a server on the loopback."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import fsspec
import pytest
from toy_model import WordEncoder, make_document, make_extractor, write_toy_bundle

from classifier.extract import ExtractionJob, extract_files, journal, work
from classifier.extract.blocks import BLOCK_DOCUMENTS
from classifier.extract.join import join_shards
from classifier.extract.manifest import read_manifest
from classifier.extract.models import model_folder
from featstore.copies import on_this_machine
from featstore.errors import MissingFileError, ResourceError, UsageError
from featstore.scale.shard import Shard

DOCUMENTS = 24


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(work, "WINDOW_DOCUMENTS", 8)
    monkeypatch.setattr(journal, "JOURNAL_SECONDS", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def lines(number: int) -> bytes:
    documents = [make_document(n, pairs=1 + n % 3) for n in range(number)]
    return "".join(
        json.dumps(
            {
                "id": d.id,
                "text": d.text,
                "entities": [{"id": e.id, "type": e.type, "start": e.start, "end": e.end} for e in d.entities],
            }
        )
        + "\n"
        for d in documents
    ).encode()


@pytest.fixture
def bucket(s3: str) -> str:
    """A bucket with documents."""
    fsspec.filesystem("s3").pipe_file(f"{s3}/in.jsonl", lines(DOCUMENTS))
    return s3


@pytest.fixture
def expected(tmp_path: Path) -> bytes:
    """What extraction from the same documents on this machine writes."""
    (tmp_path / "in.jsonl").write_bytes(lines(DOCUMENTS))
    extract_files(make_extractor(), ExtractionJob([tmp_path / "in.jsonl"], tmp_path / "out.jsonl"))
    return (tmp_path / "out.jsonl").read_bytes()


def stop_at(sentence: str) -> WordEncoder:
    def before(batch: Sequence[Sequence[str]]) -> None:
        if any(sentence in tokens for tokens in batch):
            raise KeyboardInterrupt

    return WordEncoder(before)


def content(address: str) -> bytes:
    return bytes(fsspec.filesystem("s3").cat_file(address))


def test_it_is_what_is_written_on_this_machine(bucket: str, expected: bytes) -> None:
    job = ExtractionJob([Path(f"{bucket}/in.jsonl")], Path(f"{bucket}/out/relations.jsonl"))
    assert extract_files(make_extractor(), job).documents == DOCUMENTS
    assert content(f"{bucket}/out/relations.jsonl") == expected
    assert list(Path().iterdir()) == [], "the part and its journal have gone"


def test_an_interrupted_one_goes_on_from_the_current_folder(bucket: str, expected: bytes) -> None:
    job = ExtractionJob([Path(f"{bucket}/in.jsonl")], Path(f"{bucket}/out.jsonl"))
    with pytest.raises(KeyboardInterrupt):
        extract_files(make_extractor(stop_at("drug17")), job)
    assert fsspec.filesystem("s3").find(bucket) == [f"{bucket}/in.jsonl".removeprefix("s3://")], "nothing half-written"
    assert sorted(path.name for path in Path().iterdir()) == ["out.jsonl.part", "out.jsonl.part.json"]
    with pytest.raises(UsageError, match=r"output is 's3://.*/out.jsonl' there and 's3://.*/other/out.jsonl' now"):
        extract_files(make_extractor(), ExtractionJob(job.sources, Path(f"{bucket}/other/out.jsonl")))
    assert extract_files(make_extractor(), job).resumed_at > 0
    assert content(f"{bucket}/out.jsonl") == expected


def test_where_it_cannot_be_put_there_the_part_stays(
    bucket: str, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ExtractionJob([Path(f"{bucket}/in.jsonl")], Path(f"{bucket}/out.jsonl"))

    def refuse(*_: object) -> None:
        raise ResourceError("the line is cut")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "upload", refuse)
        with pytest.raises(ResourceError, match="the line is cut"):
            extract_files(make_extractor(), job)
    assert extract_files(make_extractor(), job).resumed_at > 0
    assert content(f"{bucket}/out.jsonl") == expected


def test_shards_are_joined_there(s3: str, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(lines(BLOCK_DOCUMENTS + 10))
    fsspec.filesystem("s3").pipe_file(f"{s3}/in.jsonl", lines(BLOCK_DOCUMENTS + 10))
    extract_files(make_extractor(), ExtractionJob([tmp_path / "in.jsonl"], tmp_path / "out.jsonl"))
    target = Path(f"{s3}/out.jsonl")
    for number in (1, 2):
        extract_files(make_extractor(), ExtractionJob([Path(f"{s3}/in.jsonl")], target, shard=Shard(number, 2)))
        if number == 1:
            with pytest.raises(MissingFileError, match=r"1 of the 2 shards .*: 2/2"):
                join_shards(target)
    assert join_shards(target).documents == BLOCK_DOCUMENTS + 10
    assert content(f"{s3}/out.jsonl") == (tmp_path / "out.jsonl").read_bytes()


def test_input_is_not_output(bucket: str) -> None:
    with pytest.raises(UsageError, match="is input and output"):
        extract_files(make_extractor(), ExtractionJob([Path(f"{bucket}/in.jsonl")], Path(f"{bucket}/in.jsonl")))


def test_a_model_at_an_address_is_fetched(s3: str, tmp_path: Path) -> None:
    write_toy_bundle(tmp_path / "toy")
    fsspec.filesystem("s3").put(str(tmp_path / "toy"), f"{s3}/models/", recursive=True)
    for given in (f"{s3}/models/toy", Path(f"{s3}/models/toy")):
        folder = model_folder(given)
        assert folder.name == "toy"
        assert read_manifest(folder) == read_manifest(tmp_path / "toy")


def test_a_model_that_is_not_there(s3: str, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no file below it"):
        model_folder(f"{s3}/none")
    assert on_this_machine(tmp_path) == tmp_path
