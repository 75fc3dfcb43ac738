"""From files of plain text to relations: in constant memory, and on after a kill."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from formats_of_text import PLAIN
from toy_model import WordEncoder
from toy_tagging import make_text_extractor

from classifier.extract import ExtractionJob, extract_files
from classifier.extract import extractor as engine
from classifier.extract.wanted import Wanted
from featstore.documents import Document
from featstore.formats import Reading, read_documents
from featstore.formats.plain import plain_document

EVERY = Wanted(threshold=0.0)
SENTENCE = "We saw that drug{0} inhibits the kinase GEN{0} in cells."


def write(folder: Path, format_: str, count: int) -> Path:
    before, each, after = PLAIN[format_]
    path = folder / f"{count}.{format_}"
    # The texts repeat: the keys of some thousand distinct sentences are kept, and would count.
    documents = (each.format(n, f"Of drug{n % 10}.", SENTENCE.format(n % 10)) for n in range(count))
    path.write_text(before + "".join(documents) + after)
    return path


@pytest.mark.parametrize("format_", ["csv", "medline", "pubmed-xml", "jats"])
def test_texts_of_every_format_give_their_relations_in_bioc_with_passages(tmp_path: Path, format_: str) -> None:
    out = tmp_path / "out.xml"
    job = ExtractionJob([write(tmp_path, format_, 3)], out, format_, "bioc-xml", EVERY)
    done = extract_files(make_text_extractor(), job)
    assert (done.documents, done.bad, done.relations) == (3, 0, 3)
    for n, found in enumerate(read_documents(out)):
        assert isinstance(found, Document)
        assert found.bioc is not None
        assert [p["infons"]["type"] for p in found.bioc["passages"]][:1] == ["title"]
        assert [len(p["annotations"]) for p in found.bioc["passages"]][:1] == [1]
        assert {e.text for e in found.entities} == {f"drug{n}", f"GEN{n}"}


def test_lines_go_on_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toy_tagging.WINDOW_DOCUMENTS", 8)
    monkeypatch.setattr(engine, "WINDOW_DOCUMENTS", 8, raising=False)
    source = tmp_path / "in.txt"
    source.write_text("".join(SENTENCE.format(n) + "\n" for n in range(40)))

    def stop(batch: Sequence[Sequence[str]]) -> None:
        if any("drug20" in tokens for tokens in batch):
            raise KeyboardInterrupt

    def job(target: str) -> ExtractionJob:
        return ExtractionJob([source], tmp_path / target, wanted=EVERY, reading=Reading(lines=True))

    extract_files(make_text_extractor(), job("whole"))
    with pytest.raises(KeyboardInterrupt):
        extract_files(make_text_extractor(WordEncoder(stop)), job("cut"))
    assert extract_files(make_text_extractor(), job("cut")).resumed_at == 16
    assert (tmp_path / "cut").read_bytes() == (tmp_path / "whole").read_bytes()


def test_memory_does_not_grow_with_the_number_of_texts(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        source = write(tmp_path, "medline", count)
        job = ExtractionJob([source], tmp_path / "out", "medline", wanted=EVERY)
        tracemalloc.start()
        try:
            assert extract_files(make_text_extractor(), job).relations == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = peak(1200)
    assert any(peak(2400) < few + 600_000 for _ in range(2))


def test_given_texts_come_before_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = [plain_document("text", "Aspirin inhibits COX-2.")]
    extract_files(make_text_extractor(), ExtractionJob([write(tmp_path, "csv", 1)], out, given=given, wanted=EVERY))
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(w["id"], len(w["relations"])) for w in written] == [("text", 1), ("0", 1)]
