"""From plain text to relations: the tagger and the relation head on the same vectors."""

from collections import Counter
from pathlib import Path

import fsspec
import pytest
from toy_model import WordEncoder, make_checkpoint
from toy_tagger import toy_tagger

from classifier.entities import windows
from classifier.entities.checkpoint import TaggerCheckpoint
from classifier.entities.facts import read_tagger
from classifier.extract.extractor import Extractor
from classifier.extract.files import ExtractionJob, extract_files
from classifier.extract.tagging import Tagging
from classifier.extract.wanted import Extraction, Wanted
from classifier.runs.checkpoint import save_checkpoint
from featstore import copies
from featstore.documents import Document, Entity
from featstore.encoders import table
from featstore.errors import UsageError

TEXT = "We saw the aspirin inhibits COX-2 in cells. The zinc oxide was seen in gout of rats."
EVERY = Wanted(threshold=0.0)


def plain(count: int) -> list[Document]:
    return [Document(str(n), f"Akt {n} was seen. {TEXT}", ()) for n in range(count)]


def test_a_sentence_is_encoded_once_for_tagger_and_head(toy_checkpoint: TaggerCheckpoint) -> None:
    seen: Counter[tuple[str, ...]] = Counter()
    encoder = WordEncoder(lambda batch: seen.update(map(tuple, batch)))
    tagging = Tagging.by(toy_tagger(toy_checkpoint, encoder))
    extractor = Extractor(make_checkpoint("sentence"), {"words": encoder}, tagging=tagging)
    results = list(extractor.extract_documents(plain(3), EVERY))
    assert set(seen.values()) == {1}
    for result in results:
        assert isinstance(result, Extraction)
        assert [(r.head.text, r.tail.text) for r in result.relations] == [("aspirin", "COX-2")]


@pytest.mark.parametrize("context", ["sentence", "tagged"])
def test_found_mentions_give_what_the_same_mentions_given_give(toy_checkpoint: TaggerCheckpoint, context: str) -> None:
    tagger = toy_tagger(toy_checkpoint)
    encoders = {"words": WordEncoder()}
    from_text = Extractor(make_checkpoint(context), encoders, tagging=Tagging.by(tagger)).extract(TEXT, threshold=0.0)
    given = Extractor(make_checkpoint(context), encoders).extract(TEXT, tagger.tag_text(TEXT), threshold=0.0)
    assert from_text == given
    assert len(given) == 1


def test_the_mode_says_which_documents_are_tagged(toy_checkpoint: TaggerCheckpoint) -> None:
    marked = Document("m", TEXT, (Entity("T1", "CHEMICAL", 7, 10, "the"), Entity("T2", "GENE", 37, 42, "cells")))

    def pairs(mode: str) -> list[int]:
        tagging = Tagging.by(toy_tagger(toy_checkpoint), mode)
        extractor = Extractor(make_checkpoint(), {"words": WordEncoder()}, tagging=tagging)
        return [r.pairs for r in extractor.extract_documents([marked, *plain(1)], EVERY) if isinstance(r, Extraction)]

    assert pairs("never") == [1, 0]
    assert pairs("missing") == [1, 1]
    assert pairs("always") == [4, 1]
    with pytest.raises(UsageError, match="mode of tagging"):
        Tagging("perhaps")


def test_an_extraction_of_plain_text_resumes(
    toy_checkpoint: TaggerCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "WINDOW_CHARACTERS", 300)
    source = tmp_path / "in.jsonl"
    lines = [f'{{"id": "{d.id}", "text": "{d.text}", "entities": []}}\n' for d in plain(12)]
    source.write_text("".join(lines))

    def run(target: Path, stop_after: int | None = None) -> int:
        def progress(done: int, _: int | None) -> None:
            if done == stop_after:
                raise KeyboardInterrupt

        tagging = Tagging.by(toy_tagger(toy_checkpoint))
        extractor = Extractor(make_checkpoint(), {"words": WordEncoder()}, tagging=tagging)
        return extract_files(extractor, ExtractionJob([source], target, wanted=EVERY), progress=progress).resumed_at

    assert run(tmp_path / "whole.jsonl") == 0
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut.jsonl", stop_after=6)
    assert run(tmp_path / "cut.jsonl") == 6
    assert (tmp_path / "cut.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert '"text": "aspirin"' in (tmp_path / "cut.jsonl").read_text()


def test_a_tagger_at_an_address_is_looked_up_once(
    toy_folder: Path, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(table.ENCODERS, "words", "toy_model:load_words")
    fsspec.filesystem("s3").put(str(toy_folder / "model"), f"{s3}/tagger", recursive=True)
    save_checkpoint(tmp_path / "toy" / "fold-1", make_checkpoint())
    asked: list[str] = []
    fetched = copies.fetched

    def counted(address: str) -> Path:
        asked.append(address)
        return fetched(address)

    monkeypatch.setattr(copies, "fetched", counted)
    extractor = Extractor.load(tmp_path / "toy" / "fold-1", tagger=f"{s3}/tagger")
    assert extractor.tagging["tagger"] == read_tagger(toy_folder / "model").fingerprint
    assert [(r.head.text, r.tail.text) for r in extractor.extract(TEXT, threshold=0.0)] == [("aspirin", "COX-2")]
    assert asked == [f"{s3}/tagger"]


def test_what_another_tagger_began_is_not_gone_on_with(toy_checkpoint: TaggerCheckpoint) -> None:
    facts = Extractor(
        make_checkpoint(), {"words": WordEncoder()}, tagging=Tagging.by(toy_tagger(toy_checkpoint))
    ).tagging
    assert facts == {"mode": "missing", "tagger": toy_checkpoint.fingerprint}
    assert Extractor(make_checkpoint(), {"words": WordEncoder()}).tagging == {"mode": "never"}
