"""The models that come with featstore."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_model import LABELS, write_toy_bundle

from classifier.entities.facts import MeasuredType, TaggerMetrics, metrics_file, read_tagger
from classifier.entities.scores import MentionScore
from classifier.extract import models
from classifier.extract.manifest import read_manifest
from classifier.extract.models import installed_model, installed_models, model_folder
from classifier.runs.card import bundle_card
from classifier.runs.facts import read_metrics, read_run, to_json
from classifier.scores.metrics import score
from featstore.bundled import bundled
from featstore.errors import DataError, MissingFileError
from featstore.labels import meaning_of


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models: one for relations, one for mentions, and something else."""
    root = tmp_path / "models"
    write_toy_bundle(root / "chemprot", "Apache-2.0")
    metrics = score(np.array([1, 2]), np.array([1, 1]), LABELS, LABELS[1:])
    (root / "chemprot/metrics.json").write_bytes(to_json(metrics))
    (root / "chemprot/README.md").write_text("# A card\n")
    (root / "atagger").mkdir()
    (root / "atagger/tagger.json").write_bytes(to_json(read_tagger(bundled("models/tagger"))))
    for part, right in (("test", 1), ("dev", 4)):
        found = {"all": MeasuredType.of(MentionScore(annotated=4, found=4, right=right, recalled=right))}
        measured = to_json(TaggerMetrics("one", part, found, found))
        (root / "atagger" / metrics_file("one", part)).write_bytes(measured)
    (root / "notes").mkdir()
    monkeypatch.setattr(models, "bundled", lambda _: root)
    return root


def test_models_are_listed_with_what_a_user_asks_of_them(shipped: Path) -> None:
    relations, mentions = installed_models()
    assert (relations.name, relations.task, relations.finds) == ("chemprot", "relations", ("CHEMICAL with GENE",))
    assert relations.labels[1].startswith("CPR:4 down-regulation")
    assert (relations.scores, relations.licence, relations.card) == ({"toy": 0.5}, "Apache-2.0", "# A card\n")
    assert relations.size == sum(path.stat().st_size for path in (shipped / "chemprot").iterdir())
    assert (mentions.name, mentions.task, mentions.finds) == ("atagger", "mentions", ("CHEMICAL", "GENE", "DISEASE"))
    assert (mentions.scores, mentions.corpora, mentions.encoders) == (
        {"one": 0.25},
        ("bc5cdr", "chemprot", "biored"),
        ("glove", "bioglove", "elmo"),
    )


def test_a_model_is_a_folder_or_a_name_or_the_default(shipped: Path, tmp_path: Path) -> None:
    assert model_folder(None) == shipped / "chemprot"
    assert model_folder(Path("chemprot")) == shipped / "chemprot"
    assert model_folder(tmp_path) == tmp_path
    with pytest.raises(MissingFileError, match=r"no model 'chemprt'.*installed are chemprot, atagger.*Did you mean"):
        model_folder(Path("chemprt"))


def test_what_is_not_as_it_was_written_is_told(shipped: Path) -> None:
    for damage in ("{", "[]", "{}"):
        (shipped / "chemprot/run.json").write_text(damage)
        with pytest.raises(DataError, match=r"chemprot/run.json is not"):
            installed_model("chemprot")


def test_none_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: str) -> Path:
        raise MissingFileError("not there.")

    monkeypatch.setattr(models, "bundled", nothing)
    assert installed_models() == []
    with pytest.raises(MissingFileError, match="installed are none"):
        model_folder(None)


@pytest.mark.parametrize("name", ["chemprot", "gad"])
def test_the_cards_that_ship_are_those_of_this_version(name: str) -> None:
    folder = bundled(f"models/{name}")
    run, bundle = read_run(folder), read_manifest(folder)
    places = {encoder: placed.path for encoder, placed in bundle.encoders.items()}
    text = bundle_card(run, read_metrics(folder), places, bundle.licence)
    assert (folder / "README.md").read_text(encoding="utf-8") == text
    for label in run.positive:
        assert f"| {label} | {meaning_of(label, run.corpus.name)} |" in text
    assert "| none of these |" in text


def test_a_card_says_how_to_make_the_vectors_again() -> None:
    run = read_run(bundled("models/chemprot"))
    bert = replace(run.features[0], name="bert", layers=2)
    encoders = {"bert": {"layers": [2, 6], "precision": "int8"}}
    text = bundle_card(replace(run, features=(*run.features[:2], bert), encoders=encoders), None, {}, "other")
    assert "cli featurize --encoders 'glove,bioglove,bert[2,6]:DIR' --corpus" in text
    assert "--precision int8" in text


@pytest.mark.parametrize("name", ["chemprot", "gad"])
def test_a_model_that_ships_tells_its_own_name(name: str) -> None:
    bundle = json.loads((bundled("models") / name / "bundle.json").read_text(encoding="utf-8"))
    assert (bundle["name"], bundle["licence"]) == (name, "Apache-2.0")
