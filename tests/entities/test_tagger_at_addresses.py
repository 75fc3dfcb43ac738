"""Taggers at addresses: a real S3 protocol, a server on the loopback. What is there is what a folder would hold."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest
from toy_tagger import fill_store, make_config, write_corpus

from classifier.entities.checkpoint import load_tagger
from classifier.entities.config import TaggerConfig
from classifier.entities.corpora import MentionCorpus, load_mentions
from classifier.entities.facts import FACTS, WEIGHTS, TaggerEpoch
from classifier.entities.filter_training import train_filter
from classifier.entities.runs import evaluate_tagger, train_tagger
from classifier.entities.trained import trained_tagger
from classifier.runs import workplace
from classifier.runs.workplace import BEGUN
from classifier.training.epoch import Notice
from classifier.training.resume import UNFINISHED
from featstore.addresses import files_below, spelled, upload
from featstore.copies import on_this_machine
from featstore.errors import MismatchError, MissingFileError, ResourceError, UsageError


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no power fails here


class Toy:
    """A small corpus with its vectors, and how a tagger is trained on it, in a folder or at an address."""

    def __init__(self, place: Path, **options: object) -> None:
        self.config: TaggerConfig = make_config(
            [write_corpus(place / "c", ("CHEMICAL",), count=8)], **{"max_epochs": 2, **options}
        )
        self.corpora: list[MentionCorpus] = [load_mentions(spec) for spec in self.config.corpora]
        self.store = fill_store(place / "features", self.corpora)
        self.epochs: list[int] = []
        self.heard: list[str] = []

    def train(self, run: Path, stop_after: int = 0) -> None:
        def progress(epoch: TaggerEpoch) -> None:
            self.epochs.append(epoch.number)
            if epoch.number == stop_after:
                raise KeyboardInterrupt

        train_tagger(self.corpora, self.store, self.config, run, progress=progress, tell=self.tell)

    def tell(self, notice: Notice) -> None:
        self.heard.append(notice.text)

    def is_trained(self, run: Path) -> bool:
        return trained_tagger(self.corpora, self.store, self.config, run, tell=self.tell) is not None

    def finish(self, run: Path) -> None:
        """Do all that follows a training."""
        train_filter(run, self.corpora, self.store)
        evaluate_tagger(run, self.corpora[0], self.store)


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


@pytest.fixture
def run(s3: str) -> Path:
    """The address of a tagger that is not there yet, beside something that is not its own."""
    fsspec.filesystem("s3").pipe_file(f"{s3}/mine/notes.txt", b"mine")
    return Path(f"{s3}/mine")


def kept_here(tmp_path: Path) -> list[str]:
    return sorted(Path(name).name for name in files_below(tmp_path / "cache" / "featstore-runs"))


def test_it_is_what_a_folder_would_hold(toy: Toy, run: Path, tmp_path: Path) -> None:
    local = tmp_path / "mine"
    for place in (local, run):
        assert not toy.is_trained(place)
        toy.train(place)
        assert toy.is_trained(place)
        toy.finish(place)
        assert toy.is_trained(place)
    assert toy.heard == []
    assert files_below(run).keys() == {*files_below(local), "notes.txt"}
    assert "metrics-files.json" in files_below(run)
    copy = on_this_machine(run)
    for name in (WEIGHTS, "filter.safetensors", "metrics-files.json"):
        assert (copy / name).read_bytes() == (local / name).read_bytes()
    assert load_tagger(copy).fingerprint == load_tagger(local).fingerprint
    assert kept_here(tmp_path) == [], "what is at the address is not kept here too"
    toy.train(run)
    assert files_below(run).keys() == {WEIGHTS, FACTS, "README.md", "notes.txt"}, "the figures were of the one before"
    with pytest.raises(MissingFileError, match=r"^s3://.*/none/tagger.json does not exist"):
        toy.finish(Path(f"{run}/none"))


def test_an_interrupted_training_goes_on_and_gives_the_same(
    toy: Toy, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("classifier.training.saver.SECONDS_BETWEEN_SAVES", 0.0)
    with pytest.raises(KeyboardInterrupt):
        toy.train(run, stop_after=1)
    assert files_below(run).keys() == {"notes.txt"}
    assert UNFINISHED in kept_here(tmp_path)
    assert not toy.is_trained(run)
    toy.train(run)
    toy.train(tmp_path / "mine")
    assert toy.epochs == [1, 2, 1, 2]
    assert (on_this_machine(run) / WEIGHTS).read_bytes() == (tmp_path / "mine" / WEIGHTS).read_bytes()


@pytest.mark.parametrize("at", [WEIGHTS, FACTS])
def test_where_it_cannot_be_put_there_it_is_kept_here(
    at: str, toy: Toy, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(path: Path, address: str) -> None:
        if address.endswith(at):
            raise ResourceError("the line is cut.")
        upload(path, address)

    with monkeypatch.context() as patch:
        patch.setattr(workplace, "upload", cut)
        with pytest.raises(ResourceError, match=r"line is cut. What is finished is kept below .*featstore-runs"):
            toy.train(run)
    assert FACTS not in files_below(run), "whole, or not at all"
    assert BEGUN not in files_below(run)
    assert FACTS in kept_here(tmp_path)
    assert not toy.is_trained(run)
    toy.train(run)
    assert toy.epochs == [1, 2], "it only has to be put there"
    assert toy.heard[-1].startswith("the tagger was finished before, and is now put at s3://")
    assert toy.is_trained(run)


def test_what_cannot_be_worked_on_is_told_with_its_address(toy: Toy, run: Path, tmp_path: Path) -> None:
    toy.train(run)
    with pytest.raises(UsageError, match=r"^s3://.*/mine holds a tagger of another configuration: seed is 1 there"):
        Toy(tmp_path, seed=2).train(run)
    with pytest.raises(UsageError, match="there is no bucket 'no-such-bucket'"):
        toy.train(Path("s3://no-such-bucket/mine"))
    fsspec.filesystem("s3").pipe_file(spelled(run / WEIGHTS), b"")
    with pytest.raises(MismatchError, match=r"^s3://.*/mine/model.safetensors is not the file"):
        toy.finish(run)
    assert not toy.is_trained(run)
    assert "is trained, but its files are damaged or of another version" in toy.heard[-1]


def test_what_somebody_else_has_written_meanwhile_stays(toy: Toy, run: Path, tmp_path: Path) -> None:
    other = Toy(tmp_path / "other", lr=0.5)
    other.train(tmp_path / "theirs")

    def meanwhile(epoch: TaggerEpoch) -> None:
        if epoch.number == 2:
            for name in (WEIGHTS, FACTS):
                upload(tmp_path / "theirs" / name, spelled(run / name))

    with pytest.raises(MismatchError, match=r"^s3://.*/mine was written by somebody else .* is left as it is"):
        train_tagger(toy.corpora, toy.store, toy.config, run, progress=meanwhile)
    assert (on_this_machine(run) / FACTS).read_bytes() == (tmp_path / "theirs" / FACTS).read_bytes()
