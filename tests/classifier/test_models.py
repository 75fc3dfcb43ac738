"""The models that come with featstore."""

import json
from pathlib import Path

import pytest
from toy_model import make_checkpoint

from classifier.extract import models
from classifier.extract.models import installed_model, installed_models, model_folder
from classifier.runs.checkpoint import save_checkpoint
from featstore.errors import DataError, MissingFileError


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models: one for relations, one for mentions, and something else."""
    root = tmp_path / "models"
    save_checkpoint(root / "chemprot", make_checkpoint())
    (root / "chemprot/bundle.json").write_text('{"licence": "Apache-2.0"}')
    (root / "chemprot/metrics.json").write_text('{"micro": {"f1": 0.5}}')
    (root / "chemprot/README.md").write_text("# A card\n")
    tagger = {"network": {"types": ["CHEMICAL", "GENE"]}, "corpora": [{"name": "one"}], "features": [{"name": "words"}]}
    (root / "atagger").mkdir()
    (root / "atagger/tagger.json").write_text(json.dumps(tagger))
    for name, part in (("one", "test"), ("one-dev", "dev")):
        scores = {"corpus": "one", "part": part, "exact": {"all": {"f1": 0.25}}}
        (root / f"atagger/metrics-{name}.json").write_text(json.dumps(scores))
    (root / "notes").mkdir()
    monkeypatch.setattr(models, "bundled", lambda _: root)
    return root


def test_models_are_listed_with_what_a_user_asks_of_them(shipped: Path) -> None:
    relations, mentions = installed_models()
    assert (relations.name, relations.task, relations.finds) == ("chemprot", "relations", ("CHEMICAL with GENE",))
    assert relations.labels[1].startswith("CPR:4 down-regulation")
    assert (relations.scores, relations.licence, relations.card) == ({"toy": 0.5}, "Apache-2.0", "# A card\n")
    assert relations.size == sum(path.stat().st_size for path in (shipped / "chemprot").iterdir())
    assert (mentions.name, mentions.task, mentions.finds) == ("atagger", "mentions", ("CHEMICAL", "GENE"))
    assert (mentions.scores, mentions.corpora, mentions.encoders) == ({"one": 0.25}, ("one",), ("words",))


def test_a_model_is_a_folder_or_a_name_or_the_default(shipped: Path, tmp_path: Path) -> None:
    assert model_folder(None) == shipped / "chemprot"
    assert model_folder(Path("chemprot")) == shipped / "chemprot"
    assert model_folder(tmp_path) == tmp_path
    with pytest.raises(MissingFileError, match=r"no model 'chemprt'.*installed are chemprot, atagger.*Did you mean"):
        model_folder(Path("chemprt"))


def test_what_is_not_as_it_was_written_is_told(shipped: Path) -> None:
    for damage in ("{", "[]", "{}"):
        (shipped / "chemprot/run.json").write_text(damage)
        with pytest.raises(DataError, match=r"chemprot is not an intact model"):
            installed_model("chemprot")


def test_none_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: str) -> Path:
        raise MissingFileError("not there.")

    monkeypatch.setattr(models, "bundled", nothing)
    assert installed_models() == []
    with pytest.raises(MissingFileError, match="installed are none"):
        model_folder(None)
