"""The sentence filter: what it passes over is counted, what it keeps is tagged as ever, and nobody loses mentions."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_model import WordEncoder, make_checkpoint
from toy_tagger import fill_store, toy_tagger, train_toy, write_corpus

from classifier.commands.extract import _print_done
from classifier.commands.extract_model import MentionOptions
from classifier.entities.checkpoint import TaggerCheckpoint
from classifier.entities.corpora import load_mentions
from classifier.entities.filter_facts import FILTER_FACTS, FILTER_WEIGHTS
from classifier.entities.filter_model import FilterNetwork
from classifier.entities.filter_training import train_filter
from classifier.entities.sentence_filter import SentenceFilter, load_filter
from classifier.entities.sentences import tag_names
from classifier.entities.tagger import Tagger
from classifier.extract.extractor import Extractor
from classifier.extract.files import Extracted, ExtractionJob, extract_files
from classifier.extract.tagging import Tagging, found_pairs
from classifier.extract.wanted import Extraction, Wanted
from featstore.documents import Document, Entity
from featstore.errors import DataError, MismatchError, UsageError
from featstore.pairing import Pairing

TEXT = "We saw the aspirin inhibits COX-2 in cells. The zinc oxide was seen in gout of rats."
EVERY = Wanted(threshold=0.0)
TYPES = ("CHEMICAL", "GENE", "DISEASE")


@pytest.fixture(scope="module")
def folder(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tagger with a filter that has learnt to keep each pair of its dev part."""
    place = tmp_path_factory.mktemp("filter")
    shutil.copytree(toy_folder / "model", place / "model")
    corpus = load_mentions(f"files:{write_corpus(place / 'every', TYPES, count=96, seed=3)}")
    train_filter(place / "model", [corpus], fill_store(place / "features", [corpus]), keep=1.0)
    return place / "model"


@pytest.fixture(scope="module")
def trained(folder: Path, toy_checkpoint: TaggerCheckpoint) -> SentenceFilter:
    """Return that filter."""
    return load_filter(folder, toy_checkpoint.features)


def at(trained: SentenceFilter, threshold: float) -> SentenceFilter:
    """Return a filter with one threshold for all pairs."""
    pairs = tuple(replace(pair, threshold=threshold) for pair in trained.facts.pairs)
    return SentenceFilter(trained.network, replace(trained.facts, pairs=pairs))


def extractor(tagger: Tagger, sentences: str = "likely", mode: str = "missing") -> Extractor:
    tagging = Tagging.by(tagger, mode, sentences)
    return Extractor(make_checkpoint(), {"words": WordEncoder()}, tagging=tagging)


def found(tagger: Tagger, documents: list[Document], **options: str) -> list[Extraction]:
    results = extractor(tagger, **options).extract_documents(documents, EVERY)
    return [result for result in results if isinstance(result, Extraction)]


def test_a_filter_that_keeps_every_sentence_changes_nothing(
    toy_checkpoint: TaggerCheckpoint, trained: SentenceFilter
) -> None:
    documents = [Document(str(n), f"Akt {n} was seen. {TEXT}", ()) for n in range(3)]
    filtered = found(toy_tagger(toy_checkpoint, sentence_filter=at(trained, -1e9)), documents)
    assert filtered == found(toy_tagger(toy_checkpoint), documents)
    assert [result.document.unread for result in filtered] == [0, 0, 0]


def test_what_is_kept_is_tagged_as_ever_and_the_rest_is_counted(
    toy_checkpoint: TaggerCheckpoint, trained: SentenceFilter
) -> None:
    text = f"Nothing was seen. {TEXT} Akt in gout. The cells of the rats was seen."
    spans: list[set[tuple[int, int]]] = []
    unread: list[int] = []
    for threshold in (-1e9, -8.0, -4.0, -3.0, -2.6, -2.4, -2.2, -2.0, -1.0, 1.0):
        tagger = toy_tagger(toy_checkpoint, sentence_filter=at(trained, threshold))
        (result,) = found(tagger, [Document("1", text, ())])
        spans.append({(e.start, e.end) for e in result.document.entities})
        unread.append(result.document.unread)
    assert unread == sorted(unread)
    assert (unread[0], unread[-1]) == (0, 5)
    assert len(set(unread)) > 2
    assert all(later <= earlier for earlier, later in pairwise(spans))
    assert (len(spans[0]) > 4, spans[-1]) == (True, set())


def test_what_is_not_read_is_not_encoded_and_the_reason_says_so(
    toy_checkpoint: TaggerCheckpoint, trained: SentenceFilter
) -> None:
    seen: list[object] = []
    tagger = toy_tagger(toy_checkpoint, WordEncoder(seen.extend), sentence_filter=at(trained, 1.0))
    (result,) = found(tagger, [Document("1", TEXT, ())])
    assert (seen, result.document.unread, result.relations) == ([], 2, ())
    assert result.nothing is not None
    assert result.nothing.why.endswith("no mentions, and 2 sentences can hardly hold a pair and were not read.")


def test_documents_with_mentions_are_read_whole(toy_checkpoint: TaggerCheckpoint, trained: SentenceFilter) -> None:
    marked = Document("m", TEXT, (Entity("T1", "CHEMICAL", 7, 10, "the"),))
    tagger = toy_tagger(toy_checkpoint, sentence_filter=at(trained, 1.0))
    first, second = found(tagger, [marked, Document("1", TEXT, ())], mode="always")
    assert (len(first.document.entities), first.document.unread) == (5, 0)
    assert (len(second.document.entities), second.document.unread) == (0, 2)


def test_tagging_alone_and_extraction_by_default_read_every_sentence(
    toy_checkpoint: TaggerCheckpoint, trained: SentenceFilter
) -> None:
    tagger = toy_tagger(toy_checkpoint, sentence_filter=at(trained, 1.0))
    assert len(tagger.tag_text(TEXT)) == 4
    (result,) = found(tagger, [Document("1", TEXT, ())], sentences="all")
    assert (len(result.document.entities), result.document.unread) == (4, 0)
    (((one,),)) = extractor(tagger, "all").extract_together([([Document("1", TEXT, ())], EVERY)])
    assert isinstance(one, Extraction)
    assert len(one.document.entities) == 4


def test_a_pair_without_a_threshold_and_a_tagger_without_a_filter_read_every_sentence(
    toy_checkpoint: TaggerCheckpoint, trained: SentenceFilter, toy_folder: Path
) -> None:
    ignorant = SentenceFilter(trained.network, replace(trained.facts, pairs=()))
    documents = [Document("1", TEXT, ())]
    whole = found(toy_tagger(toy_checkpoint), documents)
    assert found(toy_tagger(toy_checkpoint, sentence_filter=ignorant), documents) == whole
    assert not (toy_folder / "model" / FILTER_FACTS).exists()
    old = Tagger.load(toy_folder / "model", loaded={"words": WordEncoder()})
    assert old.sentence_filter is None
    assert found(old, documents) == whole


def test_the_pairs_are_those_of_the_model_in_the_user_s_names() -> None:
    pairing = Pairing((("chem", "gene"),), {})
    assert found_pairs(pairing, TYPES, [()]) == {("CHEMICAL", "GENE")}
    renamed = (("DISEASE", "GENE"),)
    assert found_pairs(pairing, TYPES, [(), renamed]) == {("CHEMICAL", "GENE"), ("CHEMICAL", "DISEASE")}
    assert found_pairs(Pairing((("gene", "gene"), ("drug", "drug")), {}), TYPES, [()]) == {
        ("GENE", "GENE"),
        ("CHEMICAL", "CHEMICAL"),
    }


def test_what_another_filter_began_is_not_gone_on_with(
    folder: Path, toy_checkpoint: TaggerCheckpoint, trained: SentenceFilter, tmp_path: Path
) -> None:
    tagger = toy_tagger(toy_checkpoint, sentence_filter=trained)
    own = {"filter": trained.facts.fingerprint}
    usual = {"mode": "missing", "tagger": toy_checkpoint.fingerprint}
    assert (
        Tagging.by(tagger, sentences="likely").facts
        == usual | own
        == Tagging("missing", folder, 1, "cpu", "likely").facts
    )
    assert Tagging.by(tagger).facts == usual == Tagging("missing", folder).facts
    with pytest.raises(UsageError, match="choice of sentences"):
        Tagging(sentences="some")

    source = tmp_path / "in.jsonl"
    source.write_text("".join(f'{{"id": "{n}", "text": "{TEXT}", "entities": []}}\n' for n in range(300)))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    job = ExtractionJob([source], tmp_path / "out.tsv", target_format="tsv", wanted=EVERY)
    passing = toy_tagger(toy_checkpoint, sentence_filter=at(trained, 1.0))
    with pytest.raises(KeyboardInterrupt):
        extract_files(extractor(passing), job, progress=stop)
    with pytest.raises(UsageError, match="is the beginning of another extraction: tag is"):
        extract_files(extractor(passing, "all"), job)
    done = extract_files(extractor(passing), job)
    assert (done.resumed_at > 0, done.unread, done.documents) == (True, 600, 300)


def test_what_is_not_annotated_is_no_negative() -> None:
    network, types = FilterNetwork(0, 3, 1), len(TYPES)
    tags = len(tag_names(TYPES))
    lengths = torch.tensor([2, 1])
    possible = torch.zeros(2, 2, tags, dtype=torch.bool)
    possible[1, 1] = True  # padding
    possible[..., 0] = True
    possible[0, 0, 0], possible[0, 0, 1] = False, True  # the first token of the first sentence is a chemical

    def loss(disease: float) -> float:
        scores = torch.zeros(2, 2, types, dtype=torch.float64)
        scores[..., 2] = disease
        scores[0, 0, 0] = 9.0
        logs = torch.nn.functional.pad(scores, (1, 0)).log_softmax(2)
        return float(network.loss(logs, lengths, possible))

    assert loss(3.0) > loss(0.0) + 0.1
    possible[..., 9:] |= possible[..., :1]  # diseases are not annotated: none may as well be one
    assert loss(3.0) < loss(0.0)


def test_a_filter_that_shall_keep_all_reads_all_pairs_and_its_card_says_what_it_does(
    folder: Path, trained: SentenceFilter
) -> None:
    assert len(trained.facts.pairs) == 3  # no sentence has two mentions of a type
    assert all(pair.kept == 1.0 and pair.holding == 24 for pair in trained.facts.pairs)
    card = (folder / "README.md").read_text()
    assert "| CHEMICAL and GENE | 24 | 24 |" in card
    assert "    cli entities filter --corpus files:FILES,files:FILES --keep 1.0" in card


def test_a_filter_is_read_as_it_was_written_or_refused(
    folder: Path, toy_checkpoint: TaggerCheckpoint, trained: SentenceFilter, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    facts = json.loads((tmp_path / FILTER_FACTS).read_text())
    other = {**asdict(toy_checkpoint.features[0]), "dim": 9}
    (tmp_path / FILTER_FACTS).write_text(json.dumps(facts | {"features": [other]}))
    with pytest.raises(MismatchError, match="reads other vectors"):
        load_filter(tmp_path, toy_checkpoint.features)
    (tmp_path / FILTER_FACTS).write_text(json.dumps(facts | {"reach": 900}))
    with pytest.raises(DataError, match="intact sentence filter"):
        load_filter(tmp_path, toy_checkpoint.features)
    (tmp_path / FILTER_FACTS).write_text(json.dumps(facts))
    assert load_filter(tmp_path, toy_checkpoint.features).facts == trained.facts
    (tmp_path / FILTER_WEIGHTS).write_bytes(b"x")
    with pytest.raises(MismatchError, match="is not the file"):
        Tagger.load(tmp_path, loaded={"words": WordEncoder()})


def test_a_filter_reads_word_vectors_and_a_new_tagger_has_no_old_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def facts(_: WordEncoder) -> Mapping[str, Any]:
        return {"encoder": "words", "weights": {}, "lookup": "exact"}

    monkeypatch.setattr(WordEncoder, "facts", property(facts))
    place = write_corpus(tmp_path / "c", TYPES, count=80)
    train_toy(tmp_path / "model", [place], tmp_path / "features", max_epochs=1)
    made = train_filter(tmp_path / "model", [load_mentions(f"files:{place}")], tmp_path / "features", keep=0.9)
    assert [spec.name for spec in made.facts.features] == ["words"]
    assert all(0.9 <= pair.kept < 1.0 for pair in made.facts.pairs)
    tagger = Tagger.load(tmp_path / "model", loaded={"words": WordEncoder()})
    assert tagger.sentence_filter is not None
    assert tagger.sentence_filter.facts == made.facts
    (result,) = found_by(tagger)
    assert result.document.unread == 1
    train_toy(tmp_path / "model", [place], tmp_path / "features", max_epochs=1)
    assert not list((tmp_path / "model").glob("filter.*"))


def found_by(tagger: Tagger) -> list[Extraction]:
    model = Extractor(make_checkpoint(), {"words": WordEncoder()}, tagging=Tagging.by(tagger, sentences="likely"))
    text = "We saw aspirin in the cells COX-2 of gout. The cells of rats."
    return [r for r in model.extract_documents([Document("1", text, ())], EVERY) if isinstance(r, Extraction)]


def test_where_the_output_has_room_for_mentions_every_sentence_is_read() -> None:
    written = {
        to: MentionOptions().sentences_for(to) for to in ("table", "tsv", "chemprot", "jsonl", "html", "bioc-xml")
    }
    assert written == {
        "table": "likely",
        "tsv": "likely",
        "chemprot": "likely",
        "jsonl": "all",
        "html": "all",
        "bioc-xml": "all",
    }
    assert MentionOptions(sentences="likely").sentences_for("jsonl") == "likely"


@pytest.mark.parametrize(
    ("unread", "told"), [(0, None), (1, "not read: 1 sentence,"), (1200, "not read: 1,200 sentences,")]
)
def test_the_report_counts_the_sentences_that_were_not_read(
    unread: int, told: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    _print_done(Extracted(1, 0, 0, 0, 0, 1.0, unread=unread), Path("out.tsv"))
    said = " ".join(capsys.readouterr().err.split())
    assert (told or "not read") in said if told else "not read" not in said
