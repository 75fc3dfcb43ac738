"""The models that come with featstore: small, whole, on the encoders that come with it, and of use right away."""

from pathlib import Path

import pytest

from classifier.entities.checkpoint import load_tagger
from classifier.extract.bundle import read_bundle
from classifier.extract.extractor import Extractor
from classifier.extract.wanted import Extraction
from featstore.bundled import bundled
from featstore.documents import Document
from featstore.encoders import load_encoder

ROOT = bundled("models")


def test_they_take_at_most_15_mb_and_hold_no_encoder() -> None:
    files = [path for path in ROOT.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 15e6
    assert {path.name for path in files if path.stat().st_size > 100_000} == {"model.safetensors", "filter.safetensors"}


@pytest.mark.parametrize(("name", "kinds"), [("chemprot", ("chem", "gene")), ("gad", ("gene", "dise"))])
def test_relations_are_bundles_in_the_context_that_the_tagger_reads(name: str, kinds: tuple[str, str]) -> None:
    bundle = read_bundle(ROOT / name)
    assert bundle.checkpoint.pairing is not None
    assert bundle.checkpoint.pairing.kinds == (kinds,)
    assert bundle.checkpoint.corpus.context == "sentence"
    assert bundle.checkpoint.features == load_tagger(ROOT / "tagger").features  # so that a sentence is encoded once


@pytest.mark.parametrize("name", ["chemprot", "gad", "tagger"])
def test_each_card_says_how_the_model_is_made(name: str) -> None:
    card = Path(ROOT / name / "README.md").read_text(encoding="utf-8")
    assert "## Again\n\n    cli " in card
    assert "license:" in card
    assert "| P | R | F1 |" in card


def test_the_encoders_are_those_that_come_with_featstore() -> None:
    for spec in load_tagger(ROOT / "tagger").features:
        assert load_encoder(spec.name).identity == spec.identity


def test_plain_text_gives_a_relation() -> None:
    text = "Aspirin inhibits COX-2 in human platelets. The authors thank the editors."
    model = Extractor.load(ROOT / "chemprot", sentences="likely")
    (result,) = model.extract_documents([Document("1", text, ())])
    assert isinstance(result, Extraction)
    assert result.document.unread == 1
    (relation,) = result.relations
    assert (relation.head.text, relation.label, relation.tail.text) == ("Aspirin", "CPR:4", "COX-2")
