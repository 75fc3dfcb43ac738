"""A tagger at work: what it adds to documents, what it leaves alone, and that sentences are encoded once."""

from collections.abc import Sequence

import pytest
from toy_model import WordEncoder
from toy_tagger import toy_tagger

from classifier.entities import tagger, windows
from classifier.entities.checkpoint import TaggerCheckpoint
from featstore.documents import Document, Entity
from featstore.errors import MismatchError, UsageError
from featstore.formats import BadDocument
from featstore.formats.bioc import document_of

TEXT = "We saw the aspirin inhibits COX-2 in cells.\nThe zinc oxide was seen in gout of rats."
FOUND = [("aspirin", "CHEMICAL"), ("COX-2", "GENE"), ("zinc oxide", "CHEMICAL"), ("gout", "DISEASE")]


def test_mentions_are_found_with_their_characters(toy_checkpoint: TaggerCheckpoint) -> None:
    entities = toy_tagger(toy_checkpoint).tag_text(TEXT)
    assert [(e.text, e.type) for e in entities] == FOUND
    assert all(TEXT[e.start : e.end] == e.text for e in entities)
    assert [e.id for e in entities] == ["T1", "T2", "T3", "T4"]


def test_mentions_that_are_there_stay(toy_checkpoint: TaggerCheckpoint) -> None:
    tagger, own = toy_tagger(toy_checkpoint), Entity("T1", "DRUG", 10, 19, TEXT[10:19])
    document = Document("1", TEXT, (own,))
    for mode in ("missing", "never"):
        assert list(tagger.tag([document], mode)) == [document]
    (always,) = tagger.tag([document], "always")
    assert isinstance(always, Document)
    assert always.entities[0] == own
    assert [(e.id, e.text) for e in always.entities[1:]] == [("T2", "COX-2"), ("T3", "zinc oxide"), ("T4", "gout")]
    with pytest.raises(UsageError, match="mode of tagging"):
        list(tagger.tag([document], "sometimes"))


def test_documents_keep_their_order_and_bad_ones_stay(toy_checkpoint: TaggerCheckpoint) -> None:
    bad = BadDocument("2", "a file", "it is broken.")
    documents: list[Document | BadDocument] = [
        Document("1", TEXT, ()),
        bad,
        Document("3", "", ()),
        Document("4", " \n ", ()),
        Document("5", TEXT, ()),
    ]
    tagged = list(toy_tagger(toy_checkpoint).tag(documents))
    assert [d.id for d in tagged] == ["1", "2", "3", "4", "5"]
    assert tagged[1] is bad
    assert [len(d.entities) for d in tagged if isinstance(d, Document)] == [4, 0, 0, 4]


def test_windows_and_chunks_change_nothing(toy_checkpoint: TaggerCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    documents: list[Document | BadDocument] = [Document(str(n), f"Akt {n} was seen.\n{TEXT}", ()) for n in range(9)]
    whole = list(toy_tagger(toy_checkpoint).tag(documents))
    monkeypatch.setattr(windows, "WINDOW_CHARACTERS", 150)
    monkeypatch.setattr(tagger, "CHUNK_TOKENS", 10)
    assert list(toy_tagger(toy_checkpoint).tag(documents)) == whole


def test_what_memory_has_no_room_for_is_told(toy_checkpoint: TaggerCheckpoint) -> None:
    def fail(batch: Sequence[Sequence[str]]) -> None:
        if any("rats" in tokens for tokens in batch):
            raise MemoryError

    documents: list[Document | BadDocument] = [Document("1", "We saw aspirin.", ()), Document("2", TEXT, ())]
    first, second = toy_tagger(toy_checkpoint, WordEncoder(fail)).tag(documents)
    assert isinstance(first, Document)
    assert [e.text for e in first.entities] == ["aspirin"]
    assert isinstance(second, BadDocument)
    assert "memory" in second.why


def test_found_mentions_are_annotations_of_their_bioc_passages(toy_checkpoint: TaggerCheckpoint) -> None:
    title, abstract = TEXT.split("\n")
    passages = [{"offset": 0, "text": title}, {"offset": len(title) + 1, "sentences": []}]
    passages[1]["sentences"] = [{"offset": len(title) + 1, "text": abstract}]
    given = document_of({"id": "1", "passages": passages})
    (tagged,) = toy_tagger(toy_checkpoint).tag([given])
    assert isinstance(tagged, Document)
    assert tagged.bioc is not None
    first, second = tagged.bioc["passages"]
    assert [a["text"] for a in first["annotations"]] == ["aspirin", "COX-2"]
    assert [a["text"] for a in second["sentences"][0]["annotations"]] == ["zinc oxide", "gout"]
    assert given.bioc == {"id": "1", "passages": passages}  # what was read is not changed
    assert [e.text for e in document_of(tagged.bioc).entities] == [text for text, _ in FOUND]


def test_a_sentence_is_encoded_once_in_a_window_and_through_a_store_once_for_all(
    toy_checkpoint: TaggerCheckpoint, tmp_path: object
) -> None:
    seen: list[tuple[str, ...]] = []
    encoder = WordEncoder(lambda batch: seen.extend(map(tuple, batch)))
    tagger = toy_tagger(toy_checkpoint, encoder)
    with tagger.encoding() as encoding:
        for _ in range(2):
            tagger.tag_window([Document("1", TEXT, ())], encoding)
        assert len(seen) == 2
        encoding.forget()
        tagger.tag_window([Document("1", TEXT, ())], encoding)
    assert len(seen) == 4
    kept = toy_tagger(toy_checkpoint, encoder, store=str(tmp_path))
    for _ in range(2):
        assert len(kept.tag_text(TEXT)) == 4
    assert len(seen) == 6


def test_another_encoder_is_refused(toy_checkpoint: TaggerCheckpoint) -> None:
    class Other(WordEncoder):
        identity = "0" * 64

    with pytest.raises(MismatchError, match="the model was trained on words"):
        toy_tagger(toy_checkpoint, Other())
