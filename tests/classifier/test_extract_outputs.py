"""Where an extraction writes: through links, into pipes, on file systems without locks, and where it cannot."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import threading
from pathlib import Path

import pytest
from toy_model import WordEncoder, make_document, make_extractor

from classifier.extract import ExtractionJob, extract_files, journal
from classifier.extract.journal import Figures, PartFile
from featstore.errors import ResourceError, UsageError


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "JOURNAL_SECONDS", 0.0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "documents.jsonl"
    lines = []
    for number in range(6):
        document = make_document(number)
        entities = [{"id": e.id, "type": e.type, "start": e.start, "end": e.end} for e in document.entities]
        lines.append(json.dumps({"id": document.id, "text": document.text, "entities": entities}) + "\n")
    path.write_text("".join(lines))
    return path


@pytest.fixture
def expected(source: Path, tmp_path: Path) -> bytes:
    """What a plain file gets."""
    plain = tmp_path / "plain"
    extract_files(make_extractor(), ExtractionJob([source], plain))
    content = plain.read_bytes()
    plain.unlink()
    return content


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_written_through(source: Path, tmp_path: Path, expected: bytes, dangling: bool) -> None:
    (tmp_path / "data").mkdir()
    real, link = tmp_path / "data" / "real", tmp_path / "link"
    link.symlink_to("data/real")
    if not dangling:
        real.write_text("old")
        real.chmod(0o640)
    extract_files(make_extractor(), ExtractionJob([source], link))
    assert link.is_symlink()
    assert real.read_bytes() == expected
    assert [path.name for path in real.parent.iterdir()] == ["real"]
    if not dangling:
        assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_an_interrupted_one_behind_a_link_goes_on(source: Path, tmp_path: Path, expected: bytes) -> None:
    (tmp_path / "data").mkdir()
    link = tmp_path / "link"
    link.symlink_to("data/real")
    part = PartFile(tmp_path / "data" / "real", {"what": "else"})
    part.begin("")
    part.add("x", Figures(documents=1))
    part.close()
    with pytest.raises(UsageError, match="is the beginning of another extraction"):
        extract_files(make_extractor(), ExtractionJob([source], link))
    extract_files(make_extractor(), ExtractionJob([source], link, fresh=True))
    assert (tmp_path / "data" / "real").read_bytes() == expected


def test_a_pipe_gets_each_window_as_it_comes(source: Path, tmp_path: Path, expected: bytes) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    extract_files(make_extractor(), ExtractionJob([source], pipe))
    reader.join()
    assert got == [expected]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["documents.jsonl", "pipe"]


def test_a_dash_is_standard_output(source: Path, expected: bytes, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    extract_files(make_extractor(), ExtractionJob([source], Path("-")))
    assert capfdbinary.readouterr().out == expected


def test_a_full_device(source: Path) -> None:
    with pytest.raises(ResourceError, match="no room to write /dev/full"):
        extract_files(make_extractor(), ExtractionJob([source], Path("/dev/full")))


def test_a_file_system_without_locks(
    source: Path, tmp_path: Path, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    extract_files(make_extractor(), ExtractionJob([source], tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["documents.jsonl", "out"]


def test_two_at_one_output(tmp_path: Path) -> None:
    first = PartFile(tmp_path / "out", {})
    with pytest.raises(UsageError, match=r"another process is writing .*out\.part"):
        PartFile(tmp_path / "out", {})
    first.begin("")
    first.add("whole", Figures(documents=1))
    first.finish("")
    PartFile(tmp_path / "out", {}).close()
    assert (tmp_path / "out").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_one_that_was_killed_as_it_finished(tmp_path: Path) -> None:
    """The journal of a part that has become the file is no reason to refuse the next extraction."""
    part = PartFile(tmp_path / "out", {})
    part.begin("header")
    part.add("text", Figures(documents=1))
    journal = (tmp_path / "out.part.json").read_bytes()
    part.finish("")
    (tmp_path / "out.part.json").write_bytes(journal)
    again = PartFile(tmp_path / "out", {})
    assert again.figures == Figures()
    again.close()


def test_places_that_cannot_be_written_are_told_before_the_work(source: Path, tmp_path: Path) -> None:
    def never(_: object) -> None:
        raise AssertionError("nothing should be encoded")

    extractor = make_extractor(WordEncoder(never))
    cases = {tmp_path: "is a folder", tmp_path / "nowhere" / "out": "does not exist", source / "out": "is a file"}
    for target, says in cases.items():
        with pytest.raises(UsageError, match=says):
            extract_files(extractor, ExtractionJob([source], target))
    assert [path.name for path in tmp_path.iterdir()] == ["documents.jsonl"]
