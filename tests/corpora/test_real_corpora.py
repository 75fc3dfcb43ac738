"""The real corpora, where they are at hand: the paper's Table 1, offsets, and what the readers promise of them."""

from collections import Counter
from pathlib import Path

import pytest

from featstore.corpora import load_corpus
from featstore.corpora.audit import check_corpus
from featstore.corpora.chemprot_files import read_release
from featstore.corpora.text import split_sentences
from featstore.records import Corpus


@pytest.fixture(scope="module")
def chemprot_folder() -> Path:
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "chemprot"
    if not folder.is_dir():
        pytest.skip("the real corpora are not here")
    return folder


@pytest.fixture(scope="module")
def chemprot(chemprot_folder: Path) -> Corpus:
    return load_corpus(f"chemprot:{chemprot_folder}")


def test_chemprot_is_table_1(chemprot: Corpus) -> None:
    counts = Counter(i.label for i in chemprot.instances)
    assert counts == {"CPR:3": 1973, "CPR:4": 5002, "CPR:5": 471, "CPR:6": 726, "CPR:9": 1814, "NONE": 31295}
    assert len({i.id for i in chemprot.instances}) == len(chemprot.instances) == 41281
    assert Counter(i.split for i in chemprot.instances) == {"train": 16522, "dev": 10362, "test": 14397}


def test_every_mention_is_its_characters(chemprot_folder: Path) -> None:
    documents = read_release(chemprot_folder).documents.values()
    assert sum(len(d.entities) for d in documents) == 62147
    assert all(d.text[e.start : e.end] == e.text for d in documents for e in d.entities)


def test_no_boundary_cuts_a_mention(chemprot_folder: Path) -> None:
    for document in read_release(chemprot_folder).documents.values():
        sentences = split_sentences(document.text, [(e.start, e.end) for e in document.entities]).spans
        for entity in document.entities:
            assert any(a <= entity.start and entity.end <= b for a, b in sentences), (document.id, entity)


def test_every_instance_leads_back_to_its_mentions(chemprot: Corpus, chemprot_folder: Path) -> None:
    release = read_release(chemprot_folder)
    for instance in chemprot.instances:
        pmid = instance.source["pmid"]
        text = release.documents[pmid].text
        for name, span in (("head", instance.head), ("tail", instance.tail)):
            entity = release.entities[pmid][instance.source[name]]
            inside = [o for o in instance.offsets[slice(*span)] if o[0] >= 0]
            assert (inside[0][0], inside[-1][1]) == (entity.start, entity.end)
        for token, (start, end) in zip(instance.tokens, instance.offsets, strict=True):
            assert start == -1 or text[start:end] == token


def test_gold_standard_and_unreachable_gold(chemprot: Corpus) -> None:
    def total(prefix: str) -> int:
        return sum(count for note, count in chemprot.notes.items() if note.startswith(prefix))

    assert [total(f"gold {split} ") for split in ("train", "dev", "test")] == [4157, 2416, 3458]
    for split in ("train", "dev", "test"):
        reachable = sum(i.label != "NONE" for i in chemprot.instances if i.split == split)
        assert total(f"gold {split} ") - total(f"gold unreachable {split} ") == reachable


def test_sentence_context_encodes_once(chemprot_folder: Path, chemprot: Corpus) -> None:
    plain = load_corpus(f"chemprot:{chemprot_folder}", context="sentence")
    assert len({i.key for i in plain.instances}) < 9000
    assert [i.id for i in plain.instances] == [i.id for i in chemprot.instances]
    for one, other in zip(plain.instances[::50], chemprot.instances[::50], strict=True):
        assert tuple(one.tokens[r] if r >= 0 else one.tags[-1 - r] for r in one.layout) == other.tokens


@pytest.mark.parametrize(("name", "positive", "negative"), [("gad", 2801, 2529), ("euadr", 262, 93)])
def test_folds_are_the_released_ones(real: Path, name: str, positive: int, negative: int) -> None:
    report = check_corpus(f"{name}:{real / name}")
    assert report.counts["all"] == {"0": negative, "1": positive, "total": positive + negative}
    assert len(report.leakage) == 10
    assert all(leak.train + leak.test == report.instances for leak in report.leakage)
    if name == "gad":
        assert report.sentences == 5122
        assert sum(leak.exact for leak in report.leakage) > 0
