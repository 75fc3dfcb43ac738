"""Windows: an extraction is written down in small steps, and tells where it stands, whatever its documents are like."""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from toy_model import WordEncoder, make_checkpoint, make_document, make_extractor, write_documents

from classifier.extract import ExtractionJob, extract_files, journal, standing, work
from classifier.extract.journal import Figures, PartFile
from classifier.extract.scorer import Scorer
from classifier.extract.wanted import Wanted
from classifier.extract.work import Chunk, windows
from featstore.documents import Document, Entity
from featstore.errors import ResourceError
from featstore.formats import BadDocument


def crowded(mentions: int) -> Document:
    """A document of one sentence with ``mentions`` chemicals and as many genes."""
    text, entities = "", []
    for number in range(2 * mentions):
        type_, name = ("CHEMICAL", f"drug{number}") if number % 2 else ("GENE", f"GEN{number}")
        entities.append(Entity(f"T{number}", type_, len(text), len(text) + len(name), name))
        text += f"{name} and "
    return Document("crowd", text + "others", tuple(entities))


def sizes(documents: Sequence[Document]) -> Iterator[int]:
    return (len(window) for window in make_extractor().windows(documents))


def test_a_window_ends_soon_after_enough_tokens_whatever_the_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the limit is passed in the middle of a document, every time."""
    monkeypatch.setattr(work, "WINDOW_TOKENS", 30)
    for pairs in (1, 2, 3, 7):  # about nine tokens each
        found = list(sizes([make_document(number, pairs=pairs) for number in range(40)]))
        assert sum(found) == 40
        assert max(found) <= 4


def test_a_window_ends_after_many_documents_without_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "WINDOW_DOCUMENTS", 10)
    assert list(sizes([Document(str(n), "Nothing.", ()) for n in range(25)])) == [10, 10, 5]
    bad = [BadDocument(str(n), "", "it is bad") for n in range(25)]
    assert [len(window) for window in make_extractor().windows(bad)] == [10, 10, 5]


def test_pairs_of_one_sentence_are_scored_a_bounded_number_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "WINDOW_STEPS", 1000)
    scorer, seen = Scorer(make_checkpoint(), threads=1), list[int]()
    pairs = list(scorer.pairs(scorer.begin(crowded(12), Wanted())))
    assert len(pairs) == 144

    def score(chunk: Chunk) -> None:
        seen.append(len(chunk.pairs))
        chunk.clear()

    list(windows([[pairs[0].work]], lambda _: pairs, score))
    assert sum(seen) == 144
    assert max(seen) <= 1 + 1000 // len(pairs[0].instance.layout)


def test_one_crowded_sentence_tells_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(work, "WINDOW_STEPS", 1000)
    monkeypatch.setattr(standing, "_SECONDS_BETWEEN_LINES", 0.0)
    source = write_documents(tmp_path / "in.jsonl", [make_document(0), crowded(12), make_document(1)])
    told: list[tuple[int, int | None]] = []
    with caplog.at_level(logging.INFO, "featstore"):
        extract_files(make_extractor(), ExtractionJob([source], tmp_path / "out"), progress=lambda *p: told.append(p))
    assert len(told) > 4
    assert told == sorted(told)
    assert {total for _, total in told} == {3}
    assert told[-1] == (3, 3)
    assert "document crowd: " in caplog.text
    assert " of 144 pairs are scored" in caplog.text


def test_what_is_told_after_an_interrupt_is_of_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "WINDOW_DOCUMENTS", 4)
    source, out = write_documents(tmp_path / "in.jsonl", [make_document(n) for n in range(20)]), tmp_path / "out"

    def stop(batch: Sequence[Sequence[str]]) -> None:
        if any("drug13" in tokens for tokens in batch):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_files(make_extractor(WordEncoder(stop)), ExtractionJob([source], out))
    told: list[tuple[int, int | None]] = []
    done = extract_files(make_extractor(), ExtractionJob([source], out), progress=lambda *p: told.append(p))
    assert done.resumed_at == 12
    assert told == [(4, 8), (8, 8)]


def test_the_journal_is_written_at_intervals_and_holds_all_at_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    part = PartFile(tmp_path / "out", {})
    part.begin("")

    def kept() -> int:
        path = tmp_path / "out.part.json"
        return int(json.loads(path.read_text())["figures"]["documents"]) if path.exists() else 0

    seen = []
    for number in range(1, 11):
        clock[0] += journal.JOURNAL_SECONDS / 4
        part.add("x", Figures(documents=number))
        seen.append(kept())
    assert seen == [0, 0, 0, 4, 4, 4, 4, 8, 8, 8]
    part.close()
    assert kept() == 10
    assert (tmp_path / "out.part").read_text() == "x" * 10


def test_a_disk_that_fills_up_keeps_what_the_journal_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "JOURNAL_SECONDS", 0.0)
    part = PartFile(tmp_path / "out", {})
    part.begin("header ")
    part.add("one ", Figures(documents=1))
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(journal, "flush", full)
        with pytest.raises(ResourceError, match="no room to write"):
            part.add("two ", Figures(documents=2))
        with pytest.raises(ResourceError, match="no room to write"):
            part.close()
    again = PartFile(tmp_path / "out", {})
    assert again.figures == Figures(documents=1)
    again.begin("header ")
    again.add("two", Figures(documents=2))
    again.finish("")
    assert (tmp_path / "out").read_text() == "header one two"
