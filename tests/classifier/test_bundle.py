"""A bundle is whole, holds no pickle, and what was tampered with is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from toy_model import WordEncoder, make_checkpoint

from classifier.data.features import FeatureSpec
from classifier.extract import bundle
from classifier.extract.bundle import is_bundle, read_bundle, write_bundle
from classifier.extract.extractor import Extractor
from classifier.extract.manifest import MANIFEST
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import Head
from classifier.runs.checkpoint import Checkpoint, save_checkpoint
from classifier.runs.facts import RUN, to_json
from classifier.scores.metrics import Metrics, Scores
from featstore import addresses
from featstore.addresses import files_below
from featstore.encoders import load_encoder
from featstore.encoders.contract import weights_of
from featstore.errors import DataError, FeatstoreError, MismatchError, MissingFileError, ResourceError, UsageError

TEXT, ENTITIES = "Aspirin blocks COX-2.", [(0, 7, "CHEMICAL"), (15, 20, "GENE")]
METRICS = Metrics(
    micro=Scores(precision=0.5, recall=0.25, f1=1 / 3, gold=4, predicted=2, tp=1),
    macro_f1=None,
    accuracy=0.5,
    per_class={"NONE": Scores(precision=None, recall=0.0, f1=None, gold=9, predicted=0, tp=0)},
    labels=("NONE",),
    positive=("CPR:3", "CPR:4"),
    confusion=((9,),),
    missed=0,
    missed_as_negative=None,
)


def checkpoint_of(spec: str) -> Checkpoint:
    encoder = load_encoder(spec)
    toy = make_checkpoint()
    feature = FeatureSpec(encoder.name, encoder.identity, "float16", "mix", 1, encoder.dim)
    head = Head(HeadConfig((InputConfig(encoder.dim),), labels=3, tags=4, hidden=4)).eval()
    config = replace(toy.config, teacher="/home/someone/runs/teacher", unlabelled="/home/someone/more.jsonl")
    return replace(toy, head=head, features=(feature,), config=config)


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "vectors.txt"
    path.parent.mkdir()
    path.write_text("aspirin 1 0\nblocks 0 1\n")
    return path


@pytest.fixture
def fold(tmp_path: Path, vectors: Path) -> Path:
    folder = tmp_path / "runs" / "mine" / "fold-1"
    save_checkpoint(folder, checkpoint_of(f"glove:{vectors}"))
    (folder / "metrics.json").write_bytes(to_json(METRICS))
    return folder


@pytest.fixture
def model(fold: Path, vectors: Path, tmp_path: Path) -> Path:
    write_bundle(fold, tmp_path / "MODEL", encoders=[f"glove:{vectors}"], licence="CC-BY-4.0")
    return tmp_path / "MODEL"


def test_a_bundle_at_an_address(
    fold: Path, vectors: Path, model: Path, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    target, whole = Path(f"{s3}/models/mine"), addresses.upload

    def upload(path: Path, address: str) -> None:
        if path.name == MANIFEST:
            raise ResourceError("the line is cut")
        whole(path, address)

    with monkeypatch.context() as patch:
        patch.setattr(bundle, "upload", upload)
        with pytest.raises(ResourceError, match="the line is cut"):
            write_bundle(fold, target, encoders=[f"glove:{vectors}"])
    assert files_below(target), "something was left there"
    assert MANIFEST not in files_below(target)

    files = write_bundle(fold, target, encoders=[f"glove:{vectors}"], licence="CC-BY-4.0")
    assert files == {path.relative_to(model).as_posix(): path.stat().st_size for path in model.rglob("*.*")}
    assert files.keys() == files_below(target).keys()
    found = [Extractor.load(place).extract(TEXT, ENTITIES, threshold=0) for place in (target, model)]
    assert found[0] == found[1]
    with pytest.raises(UsageError, match=f"{s3}/models/mine is there already"):
        write_bundle(fold, target, encoders=[f"glove:{vectors}"])
    whole(vectors, f"{s3}/other/vectors.txt")
    with pytest.raises(UsageError, match="choose another address"):
        write_bundle(fold, Path(f"{s3}/other"), encoders=[f"glove:{vectors}"])
    assert files_below(f"{s3}/other").keys() == {"vectors.txt"}


def test_a_bundle_needs_no_other_file(model: Path, fold: Path, vectors: Path, tmp_path: Path) -> None:
    expected = Extractor.load(fold, encoders=[f"glove:{vectors}"]).extract(TEXT, ENTITIES, threshold=0)
    moved = model.rename(tmp_path / "moved")
    vectors.unlink()
    files = sorted(path.relative_to(moved).as_posix() for path in moved.rglob("*") if path.is_file())
    assert files == [
        "README.md", "bundle.json", "encoders/glove/vectors.txt", "metrics.json", "model.safetensors", "run.json"
    ]  # fmt: skip
    extractor = Extractor.load(moved)
    assert extractor.extract(TEXT, ENTITIES, threshold=0) == expected
    assert extractor.facts.name == "mine"
    assert "someone" not in (moved / RUN).read_text(), "where the corpus lay is told"
    card = (moved / "README.md").read_text()
    assert card.count("--unlabelled more.jsonl") == 2, "to encode the pairs without labels, and to learn from them"
    for said in (
        'license: "cc-by-4.0"',
        "| micro over CPR:3, CPR:4 | 50.00 | 25.00 | 33.33 | 4 |",
        "chem with gene",
        "toy",
    ):
        assert said in card


def test_encoders_may_stay_out(fold: Path, vectors: Path, tmp_path: Path) -> None:
    write_bundle(fold, tmp_path / "M", encoders=[f"glove:{vectors}"], with_encoders=False)
    assert not (tmp_path / "M" / "encoders").exists()
    with pytest.raises(MismatchError, match="name the right weights with --encoders glove:PATH"):
        Extractor.load(tmp_path / "M")
    assert Extractor.load(tmp_path / "M", encoders=[f"glove:{vectors}"]).extract(TEXT, ENTITIES, threshold=0)


def test_encoders_that_come_with_featstore(tmp_path: Path) -> None:
    for name, place in (("glove", None), ("bioglove", "encoders/bioglove"), ("cse", "encoders/cse")):
        save_checkpoint(tmp_path / name / "fold-1", checkpoint_of(name))
        write_bundle(tmp_path / name / "fold-1", tmp_path / f"M-{name}")
        manifest = json.loads((tmp_path / f"M-{name}" / MANIFEST).read_text())
        assert manifest["encoders"][name]["path"] == place
        assert read_bundle(tmp_path / f"M-{name}").encoders == (
            {name: f"{name}:{tmp_path}/M-{name}/{place}"} if place else {}
        )
    for name in ("bioglove", "cse"):
        assert (tmp_path / f"M-{name}" / "encoders" / name / "README.md").exists(), "the licence of the encoder"
        assert Extractor.load(tmp_path / f"M-{name}").extract(TEXT, ENTITIES, threshold=0)


def test_what_is_there_is_not_overwritten(model: Path, fold: Path, vectors: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="is there already"):
        write_bundle(fold, model, encoders=[f"glove:{vectors}"])
    with pytest.raises(MismatchError, match="trained on glove"):
        write_bundle(fold, tmp_path / "other")
    with pytest.raises(MissingFileError, match="cli train"):
        write_bundle(tmp_path / "runs", tmp_path / "other")
    assert sorted(tmp_path.rglob("*")) == before
    assert not is_bundle(fold)


def test_no_pickle_goes_in(tmp_path: Path) -> None:
    from featstore.bundled import bundled
    from featstore.encoders.charlm_file import load_charlm, save_charlm
    from featstore.encoders.cse import load

    folder = tmp_path / "cse"
    folder.mkdir()
    for direction in ("forward", "backward"):
        save_charlm(folder / f"{direction}.pt", load_charlm(bundled("cse") / f"{direction}.safetensors"))
    assert load(str(folder)).dim
    save_checkpoint(tmp_path / "run" / "fold-1", checkpoint_of(f"cse:{folder}"))
    with pytest.raises(UsageError, match="holds no pickle"):
        write_bundle(tmp_path / "run" / "fold-1", tmp_path / "M", encoders=[f"cse:{folder}"])
    assert not (tmp_path / "M").exists()


@pytest.mark.parametrize(
    ("keys", "value", "says"),
    [
        (("files",), {"../runs/mine/fold-1/run.json": {"bytes": 1, "sha256": "0" * 64}}, "plain names"),
        (("files",), {"/etc/passwd.txt": {"bytes": 1, "sha256": "0" * 64}}, "plain names"),
        (("files",), {"encoders/cse/forward.pt": {"bytes": 1, "sha256": "0" * 64}}, "plain names"),
        (("files", "nowhere.txt"), {"bytes": 1, "sha256": "0" * 64}, "does not exist"),
        (("files", "model.safetensors", "sha256"), "0" * 64, "is not the file"),
        (("files", "model.safetensors", "bytes"), 10**30, "is not the file"),
        (("files", "model.safetensors", "sha256"), ["x"], "sha256"),
        (("files",), {}, "does not list"),
        (("files",), "all", "not as it was written"),
        (("encoders", "glove", "path"), "../elsewhere/vectors.txt", "lists no file there"),
        (("encoders", "glove", "path"), 7, "must be a text, not 7"),
        (("encoders",), {"pickle": 3}, "not as it was written"),
        (("format",), 2, "format 2"),
        (("fingerprint",), "ab", "another model"),
    ],
)
def test_a_hostile_manifest_is_refused(model: Path, keys: tuple[str, ...], value: Any, says: str) -> None:
    manifest = json.loads((model / MANIFEST).read_text())
    place = manifest
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (model / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(FeatstoreError, match=says):
        Extractor.load(model)


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "null", "[1]", '{"format": 1}', " " * (5 << 20), "\x00", "{"])
def test_an_absurd_manifest_is_refused(model: Path, text: str) -> None:
    (model / MANIFEST).write_text(text)
    with pytest.raises((DataError, MismatchError)):
        Extractor.load(model)


def test_what_lies_beside_the_listed_files(model: Path, tmp_path: Path) -> None:
    extra = model / "encoders" / "glove" / "forward.pt"
    extra.write_bytes(b"pickle")
    with pytest.raises(DataError, match=r"forward\.pt is not listed"):
        read_bundle(model)
    extra.unlink()
    listed = model / "encoders" / "glove" / "vectors.txt"
    listed.rename(tmp_path / "aside.txt")
    listed.symlink_to(tmp_path / "aside.txt")
    with pytest.raises(DataError, match="symbolic link"):
        read_bundle(model)


def _reseal(model: Path) -> None:
    """Make the manifest fit the files, as somebody who means harm would."""
    from featstore.fingerprint import file_sha256

    manifest = json.loads((model / MANIFEST).read_text())
    for name in manifest["files"]:
        path = model / name
        manifest["files"][name] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
    (model / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("head", {"inputs": [{"dim": 2}], "labels": 3, "tags": 4, "hidden": 10**12}),
        ("head", {"inputs": [{"dim": 10**15}], "labels": 3, "tags": 4, "hidden": 4}),
        ("head", {"inputs": "many", "labels": 3, "tags": 4, "hidden": 4}),
        ("head", {"inputs": [{"dim": 2}], "labels": 3, "tags": 4, "hidden": "4"}),
        ("labels", ["a", "b"]),
        ("labels", "abc"),
        ("labels", [1, 2, 3]),
        ("positive", ["other"]),
        ("tags", ["<x>"]),
        ("features", [{"name": "glove"}]),
        ("features", []),
        ("pairing", {"kinds": [["chem"]], "words": {}}),
        ("pairing", {"kinds": 3, "words": {}}),
        ("corpus", 3),
    ],
)
def test_absurd_facts_are_refused(model: Path, key: str, value: Any) -> None:
    facts = json.loads((model / RUN).read_text())
    (model / RUN).write_text(json.dumps({**facts, key: value}))
    _reseal(model)
    with pytest.raises(DataError, match=r"does not hold a checkpoint|run\.json is not as it was written"):
        Extractor.load(model)


def test_weights_of_another_kind_are_refused(model: Path) -> None:
    from hashlib import sha256

    from safetensors.torch import load_file

    weights = {name: tensor.half() for name, tensor in load_file(model / "model.safetensors").items()}
    save_file(weights, model / "model.safetensors")
    facts = json.loads((model / RUN).read_text())
    facts["weights_sha256"] = sha256((model / "model.safetensors").read_bytes()).hexdigest()
    (model / RUN).write_text(json.dumps(facts))
    _reseal(model)
    with pytest.raises(DataError, match=r"torch\.float16, not float32"):
        Extractor.load(model)


def test_an_encoder_must_state_its_weights() -> None:
    class Silent(WordEncoder):
        facts = {"encoder": "words"}  # noqa: RUF012

    with pytest.raises(UsageError, match="'words' does not state its weights"):
        weights_of(Silent())
