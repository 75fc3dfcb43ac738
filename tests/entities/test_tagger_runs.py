"""Training into a folder: what is learnt, resumed, refused, stored and evaluated."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from toy_tagger import fill_store, make_config, train_toy, write_corpus

from classifier.entities.checkpoint import TaggerCheckpoint, load_tagger
from classifier.entities.corpora import load_mentions
from classifier.entities.estimate import TaggerPlan
from classifier.entities.facts import FACTS, WEIGHTS, TaggerEpoch, read_tagger, read_tested
from classifier.entities.parts import training_parts
from classifier.entities.runs import evaluate_tagger, plan_tagger, train_tagger
from featstore.errors import DataError, MismatchError, MissingFeatureError, MissingFileError, UsageError


def test_each_corpus_teaches_its_types_and_unteaches_no_other(toy_folder: Path) -> None:
    """Each corpus names all three types and annotates some; a tagger of both must find all in either."""
    for name, types in (("chemicals", {"CHEMICAL"}), ("others", {"GENE", "DISEASE"})):
        scores = evaluate_tagger(
            toy_folder / "model", load_mentions(f"files:{toy_folder / name}"), toy_folder / "features"
        )
        assert set(scores.exact) == types | {"all"}
        assert scores.exact["all"].f1 == pytest.approx(1.0)
    every = write_corpus(toy_folder / "every", ("CHEMICAL", "GENE", "DISEASE"), seed=3)
    corpus = load_mentions(f"files:{every}")
    fill_store(toy_folder / "features", [corpus])
    scores = evaluate_tagger(toy_folder / "model", corpus, toy_folder / "features")
    assert all(score.f1 == pytest.approx(1.0) for score in scores.exact.values())


def test_an_interrupted_training_ends_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpora, store = [write_corpus(tmp_path / "c", ("CHEMICAL",), count=8)], tmp_path / "features"
    config = make_config(corpora, max_epochs=3)
    loaded = [load_mentions(spec) for spec in config.corpora]
    fill_store(store, loaded)
    train_tagger(loaded, store, config, tmp_path / "whole")

    monkeypatch.setattr("classifier.training.saver.SECONDS_BETWEEN_SAVES", 0.0)

    def stop(epoch: TaggerEpoch) -> None:
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_tagger(loaded, store, config, tmp_path / "cut", progress=stop)
    assert not (tmp_path / "cut" / FACTS).exists()
    seen: list[int] = []
    planned = plan_tagger(loaded, store, config, tmp_path / "cut")
    assert (planned.epochs, planned.done) == (3, 2)
    told: list[TaggerPlan] = []
    train_tagger(
        loaded, store, config, tmp_path / "cut", announce=told.append, progress=lambda epoch: seen.append(epoch.number)
    )
    assert [replace(plan, seconds=planned.seconds) for plan in told] == [planned]
    assert seen == [3]
    assert (tmp_path / "cut" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert not (tmp_path / "cut" / "unfinished.safetensors").exists()


def test_a_folder_of_another_configuration_is_refused(toy_folder: Path) -> None:
    config = make_config([toy_folder / "chemicals", toy_folder / "others"], seed=2)
    with pytest.raises(UsageError, match="seed is 1 there and 2 now"):
        train_tagger([load_mentions(s) for s in config.corpora], toy_folder / "features", config, toy_folder / "model")


def test_what_is_missing_is_told_with_the_command(tmp_path: Path) -> None:
    config = make_config([write_corpus(tmp_path / "c", ("GENE",), count=8)])
    with pytest.raises(MissingFeatureError, match="cli entities featurize --encoders words --corpus files:"):
        train_tagger([load_mentions(s) for s in config.corpora], tmp_path / "none", config, tmp_path / "model")


def test_a_tagger_is_read_as_it_was_written(toy_folder: Path, toy_checkpoint: TaggerCheckpoint, tmp_path: Path) -> None:
    facts = json.loads((toy_folder / "model" / FACTS).read_text())
    assert facts["fingerprint"] == toy_checkpoint.fingerprint
    assert str(toy_folder) not in json.dumps(facts)  # where the corpora lay is nobody's business
    (tmp_path / FACTS).write_text(json.dumps(facts))
    with pytest.raises(MissingFileError):
        load_tagger(tmp_path)
    (tmp_path / WEIGHTS).write_bytes((toy_folder / "model" / WEIGHTS).read_bytes() + b"x")
    with pytest.raises(MismatchError, match="is not the file"):
        load_tagger(tmp_path)
    (tmp_path / WEIGHTS).write_bytes((toy_folder / "model" / WEIGHTS).read_bytes())
    facts["network"]["hidden"] = 10**9
    (tmp_path / FACTS).write_text(json.dumps(facts))
    with pytest.raises(DataError, match="does not hold an intact tagger"):
        load_tagger(tmp_path)


def test_the_card_says_how_to_make_it_again(toy_folder: Path) -> None:
    evaluate_tagger(toy_folder / "model", load_mentions(f"files:{toy_folder / 'others'}"), toy_folder / "features")
    card = (toy_folder / "model" / "README.md").read_text()
    assert "cli entities train --corpus files:FILES,files:FILES --features words --lr 0.02" in card
    assert "| files | GENE | 100.00 | 100.00 | 100.00 |" in card


def test_a_document_that_is_held_out_anywhere_is_not_trained_on(tmp_path: Path) -> None:
    first = load_mentions(f"files:{write_corpus(tmp_path / 'a', ('GENE',), count=8)}")
    second = load_mentions(f"files:{write_corpus(tmp_path / 'b', ('CHEMICAL',), count=8)}")
    tested, chosen = first.part("test")[0], first.part("dev")[0]
    also = [replace(d, split="train") for d in (tested, chosen)]
    second = replace(second, documents=(*second.documents, *also))
    assert training_parts([first, second], with_dev=False).left_out == 2
    parts = training_parts([first, second], with_dev=True)
    assert parts.left_out == 1
    assert parts.dev == ()
    assert tested.id not in {d.id for part in parts.train for d in part.documents}
    assert parts.types == ("CHEMICAL", "GENE")


def test_with_dev_the_last_epoch_is_kept(tmp_path: Path) -> None:
    corpora = [write_corpus(tmp_path / "c", ("CHEMICAL",), count=8)]
    checkpoint = train_toy(tmp_path / "model", corpora, tmp_path / "features", with_dev=True, max_epochs=2)
    assert checkpoint.training.best_epoch == 2
    assert [epoch.dev_f1 for epoch in checkpoint.training.epochs] == [None, None]
    assert checkpoint.corpora[0].documents == 10


def test_the_bundled_sample_can_be_trained_on() -> None:
    corpus = load_mentions("sample")
    assert corpus.types == ("CHEMICAL", "GENE")
    parts = training_parts([corpus], with_dev=False)
    assert sum(len(s.mentions) for s in parts.train[0].sentences) > 100
    lengths = np.array([len(s.tokens) for s in parts.sentences])
    assert lengths.min() > 0


def test_corpora_that_are_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'bc5cdr'"):
        load_mentions("bc5cdrr:x")
    with pytest.raises(MissingFileError, match="holds no file"):
        load_mentions(f"files:{tmp_path}")
    (tmp_path / "train.jsonl").write_text('{"id": "1", "text": "Mice.", "entities": []}\n')
    with pytest.raises(DataError, match="no mention of the training part"):
        load_mentions(f"files:{tmp_path}")
    (tmp_path / "train.jsonl").write_text('{"id": "1", "text": 5}\n')
    with pytest.raises(DataError, match="line 1"):
        load_mentions(f"files:{tmp_path}")


REAL = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.skipif(not (REAL / "bc5cdr").is_dir(), reason="the real corpora are not here")
def test_real_corpora_have_the_published_numbers_of_documents_and_mentions() -> None:
    cdr, biored = load_mentions(f"bc5cdr:{REAL / 'bc5cdr'}"), load_mentions(f"biored:{REAL / 'biored' / 'BIORED.zip'}")
    assert [len(cdr.part(split)) for split in ("train", "dev", "test")] == [500, 500, 500]
    assert sum(len(d.entities) for d in cdr.part("test")) == 9809
    assert [len(biored.part(split)) for split in ("train", "dev", "test")] == [400, 100, 100]
    assert (cdr.types, biored.types) == (("CHEMICAL", "DISEASE"), ("CHEMICAL", "GENE", "DISEASE"))


def test_what_a_tagger_says_of_itself_is_read_back_as_it_was_written(toy_folder: Path, tmp_path: Path) -> None:
    model = toy_folder / "model"
    facts, raw = read_tagger(model), json.loads((model / FACTS).read_text())
    assert json.loads(json.dumps(asdict(facts))) == raw
    assert (facts.training.best.number, facts.training.best.best) == (facts.training.best_epoch, True)
    evaluate_tagger(model, load_mentions(f"files:{toy_folder / 'others'}"), toy_folder / "features")
    (tested,) = read_tested(model)
    assert (tested.part, tested.exact["GENE"].f1) == ("test", 1.0)
    for wrong, where in (({"hidden": "many"}, "network.hidden"), ({"layers": 3}, "network.layers")):
        (tmp_path / FACTS).write_text(json.dumps({**raw, "network": {**raw["network"], **wrong}}))
        with pytest.raises(DataError, match=where):
            read_tagger(tmp_path)
    (tmp_path / FACTS).write_text(json.dumps({**raw, "format": 99}))
    with pytest.raises(MismatchError, match="format 99"):
        read_tagger(tmp_path)
