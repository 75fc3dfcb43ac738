"""Any system writes the run folder of a head, resumes, and is read by all that reads runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import get_type_hints

import pytest

from classifier.runs.checkpoint import load_checkpoint
from classifier.runs.compare import compare
from classifier.runs.config import RunConfig, config_toml, read_config, trained_folds
from classifier.runs.folds import train_fold as train_head
from classifier.runs.overview import overview
from classifier.runs.results import FoldResult, facts_of, read_result, results_of
from classifier.systems.choice import choose, options_of, run_config, run_name
from classifier.systems.contract import SystemOptions
from classifier.systems.fitting import SystemPlan
from classifier.systems.folds import evaluate_fold, plan_fold, train_fold
from classifier.systems.saved import load_fitted
from classifier.systems.table import SYSTEMS, find_system
from classifier.training.config import TrainConfig
from classifier.training.epoch import Epoch, Notice
from classifier.training.resume import UNFINISHED
from featstore.corpora import CorpusChoice
from featstore.errors import DataError, MismatchError, MissingFileError, UsageError
from featstore.records import Corpus

Make = Callable[..., Corpus]
FILES = ["README.md", "config.toml", "metrics.json", "model", "predictions.tsv", "run.json"]


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "words", "toy_system:WORDS")


def config_of(corpus: Corpus, **given: object) -> RunConfig:
    return run_config(CorpusChoice(corpus.spec, corpus.indicators, corpus.context), "words", given)


def test_a_system_is_trained_and_evaluated(make_corpus: Make, make_store: Callable[..., Path], tmp_path: Path) -> None:
    corpus = make_corpus()
    config = config_of(corpus)
    run = tmp_path / run_name(config)
    heard: list[object] = []
    found = evaluate_fold(corpus, "no-store", config, 2, run, progress=heard.append)
    assert found.metrics.micro.f1 == 1.0
    assert [type(event) for event in heard] == [Notice, Epoch, Epoch]
    assert sorted(path.name for path in (run / "fold-2").iterdir()) == FILES
    assert read_config(run) == config
    assert trained_folds(run) == (2,)
    result = read_result(run / "fold-2")
    assert (result.config.label, result.config.system_name, result.best_epoch) == ("words", "words", 1)
    assert facts_of(result)["rounds"] == "2"
    card = (run / "fold-2" / "README.md").read_text()
    assert "# words on toy, fold 2" in card
    assert "| rounds | `2` |" in card

    head = RunConfig(config.corpus, TrainConfig(features="glove", optimizer="adamw", hidden=4, max_epochs=1))
    evaluate_fold(corpus, make_store(corpus), head, 2, tmp_path / "head")
    head_result, sentences = results_of(tmp_path / "head"), {i.id: i.group for i in corpus.instances}
    assert compare([result], head_result, sentences).difference == 1.0 - (head_result[0].metrics.micro.f1 or 0)
    assert [r.config.label for r in overview(tmp_path)] == ["glove", "words"]


def test_again_gives_the_same_bytes_also_after_an_interrupt(make_corpus: Make, tmp_path: Path) -> None:
    corpus = make_corpus()
    config = config_of(corpus, rounds=3)
    train_fold(corpus, "", config, 1, tmp_path / "whole")
    cut = tmp_path / "cut"
    heard: list[Epoch | Notice] = []

    def interrupt(_: Epoch | Notice) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_fold(corpus, "", config, 1, cut, progress=interrupt)
    assert [path.name for path in (cut / "fold-1").iterdir()] == [UNFINISHED]
    plan = plan_fold(corpus, "", config, 1, cut)
    assert isinstance(plan, SystemPlan)
    assert (plan.epochs, plan.done) == (3, 1)
    train_fold(corpus, "", config, 1, cut, progress=heard.append)
    assert len(heard) == 2
    files = [Path("model/counts.json"), Path("config.toml")]
    assert all((cut / "fold-1" / f).read_bytes() == (tmp_path / "whole" / "fold-1" / f).read_bytes() for f in files)


def test_a_changed_file_or_a_name_that_leads_away_is_refused(make_corpus: Make, tmp_path: Path) -> None:
    corpus = make_corpus()
    train_fold(corpus, "", config_of(corpus), 1, tmp_path)
    folder = tmp_path / "fold-1"
    with pytest.raises(UsageError, match=r"fold-1: .* system 'words'"):
        load_checkpoint(folder)
    counts = folder / "model" / "counts.json"
    before = counts.read_bytes()
    counts.write_bytes(before.replace(b"2", b"3"))
    with pytest.raises(MismatchError, match=r"counts.json is not the file"):
        load_fitted(folder)
    counts.unlink()
    with pytest.raises(MissingFileError, match=r"counts.json does not exist"):
        load_fitted(folder)
    counts.write_bytes(before)
    facts = json.loads((folder / "run.json").read_text())
    for name in ("../counts.json", "counts.pkl", ".json"):
        facts["system"]["files"] = {name: "0" * 64}
        (folder / "run.json").write_text(json.dumps(facts))
        with pytest.raises(DataError, match="no name of a file"):
            load_fitted(folder)
    facts["system"] = None
    (folder / "run.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match=r"of a head.*or of another 'system'"):
        load_fitted(folder)


def test_what_was_fitted_from_another_file_is_another_model(make_corpus: Make, tmp_path: Path) -> None:
    corpus = make_corpus()
    stops = tmp_path / "stops.txt"
    stops.write_text("the of")
    config = config_of(corpus, stops=str(stops))
    train_fold(corpus, "", config, 1, tmp_path / "run")
    assert "sha256 of stops.txt" in facts_of(_evaluated(corpus, config, tmp_path / "run"))
    with pytest.raises(UsageError, match="is no file"):
        train_fold(corpus, "", config_of(corpus, stops="nowhere"), 1, tmp_path / "other")
    with pytest.raises(UsageError, match="belongs to another configuration"):
        train_fold(corpus, "", config_of(corpus), 1, tmp_path / "run")


def _evaluated(corpus: Corpus, config: RunConfig, run: Path) -> FoldResult:
    evaluate_fold(corpus, "", config, 1, run)
    return read_result(run / "fold-1")


def test_names_and_options(make_corpus: Make, tmp_path: Path) -> None:
    corpus = make_corpus()
    plain = config_of(corpus)
    assert run_name(plain) == "toy-words-tagged-tags-seed1"
    assert run_name(config_of(corpus, seed=3)) == "toy-words-tagged-tags-seed3"
    other = run_name(config_of(corpus, rounds=3, stops="a/few.txt"))
    assert other.startswith("toy-words-few-tagged-tags-seed1-")
    with pytest.raises(UsageError, match="--hidden is no option of the system 'words'"):
        config_of(corpus, hidden=4)
    with pytest.raises(UsageError, match="rounds is 0, but must be at least 1"):
        config_of(corpus, rounds=0)
    with pytest.raises(UsageError, match="system 'word' is unknown"):
        choose("word", {})
    wrong = replace(choose("words", {}), options=(("rounds", "two"),))
    with pytest.raises(DataError, match="the options of the system 'words': 'rounds' must be a whole number"):
        options_of(wrong)
    (tmp_path / "config.toml").write_text(config_toml(plain))
    assert read_config(tmp_path) == plain
    with pytest.raises(UsageError, match="belongs to the system 'words', not to 'head'"):
        train_head(corpus, "", RunConfig(plain.corpus, TrainConfig(features="glove")), 1, tmp_path)


def test_an_option_of_several_systems_has_one_type() -> None:
    types = dict(get_type_hints(TrainConfig))
    for name in SYSTEMS:
        options: type[SystemOptions] = find_system(name).options
        hints = get_type_hints(options)
        for field in fields(options):
            assert field.metadata["help"].endswith("."), (name, field.name)
            assert types.setdefault(field.name, hints[field.name]) is hints[field.name], (name, field.name)
