"""The file forms of a character language model: round trips, flair's pickle read safely, and what is refused."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from featstore.encoders.charlm import CharLM, CharLMConfig
from featstore.encoders.charlm_file import find_charlm, load_charlm, save_charlm
from featstore.errors import DataError, MissingFileError, UsageError


def random_lm(seed: int = 0, decoder: bool = True, **changes: object) -> CharLM:
    fields: dict[str, Any] = {
        "hidden_size": 7,
        "nlayers": 2,
        "embedding_size": 5,
        "nout": 3,
        "is_forward": True,
        "document_delimiter": "\n",
        "dropout": 0.1,
        "items": ("<unk>", *"abcde \nαβ"),
    }
    config = CharLMConfig(**{**fields, **changes})
    generator = torch.Generator().manual_seed(seed)
    shapes = config.shapes() | (config.decoder_shapes() if decoder else {})
    return CharLM(config, {k: torch.randn(v, generator=generator) * 0.3 for k, v in shapes.items()})


def equal(one: CharLM, other: CharLM) -> bool:
    return one.config == other.config and all(
        torch.equal(one.weights[k], other.weights[k]) for k in one.weights.keys() | other.weights.keys()
    )


@pytest.mark.parametrize("decoder", [True, False])
@pytest.mark.parametrize("nout", [None, 3])
def test_safetensors_round_trip(tmp_path: Path, decoder: bool, nout: int | None) -> None:
    lm = random_lm(decoder=decoder, nout=nout)
    save_charlm(tmp_path / "forward.safetensors", lm)
    assert equal(load_charlm(find_charlm(tmp_path, "forward")), lm)
    assert [p.name for p in tmp_path.iterdir()] == ["forward.safetensors"]


@pytest.mark.filterwarnings("ignore")  # flair's imports
@pytest.mark.parametrize("name", ["forward.safetensors", "forward.pt"])
def test_equal_models_are_equal_bytes(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three keys in random order six files in a row come out alike once in 7,776 times."""
    files = set()
    for process in range(6):
        monkeypatch.setattr("os.getpid", lambda number=process: number)
        save_charlm(tmp_path / str(process) / name, random_lm())
        files.add((tmp_path / str(process) / name).read_bytes())
    assert len(files) == 1
    assert equal(load_charlm(tmp_path / "0" / name), random_lm())


def test_metadata_in_any_order_are_read(tmp_path: Path) -> None:
    lm = random_lm()
    save_charlm(tmp_path / "forward.safetensors", lm)
    with safe_open(tmp_path / "forward.safetensors", "pt") as file:
        metadata = file.metadata()
    save_file(dict(lm.weights), tmp_path / "as written before.safetensors", metadata)
    assert equal(load_charlm(tmp_path / "as written before.safetensors"), lm)


def test_float16_storage_is_read_as_float32(tmp_path: Path) -> None:
    lm = random_lm()
    save_charlm(tmp_path / "forward.safetensors", lm, dtype="float16")
    back = load_charlm(tmp_path / "forward.safetensors").weights
    assert load_file(tmp_path / "forward.safetensors")["encoder.weight"].dtype == torch.float16
    assert all(torch.equal(back[k], v.half().float()) for k, v in lm.weights.items())


class Executed:
    """A hostile payload: unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_hostile_pickle_is_refused_and_not_executed(tmp_path: Path, protocol: int, zipped: bool) -> None:
    path, made = tmp_path / "forward.pt", tmp_path / "made"
    torch.save(
        {"state_dict": OrderedDict(), "hidden_size": Executed(made)},
        path,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(DataError, match=r"asks for \w+.mkdir"):
        load_charlm(path)
    assert not made.exists()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not a model at all", id="text"),
        pytest.param(pickle.dumps({"state_dict": 1}), id="bare pickle"),
        pytest.param(b"PK\x03\x04 broken", id="broken zip"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_other_files_are_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    (tmp_path / f"forward{suffix}").write_bytes(content)
    with pytest.raises(DataError, match="forward"):
        load_charlm(tmp_path / f"forward{suffix}")


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "forward.pt")
    with pytest.raises(DataError, match="not a flair language model"):
        load_charlm(tmp_path / "forward.pt")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    save_charlm(tmp_path / "forward.safetensors", random_lm())
    whole = (tmp_path / "forward.safetensors").read_bytes()
    (tmp_path / "forward.safetensors").write_bytes(whole[:-9])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_charlm(tmp_path / "forward.safetensors")


def test_a_safetensors_file_of_something_else_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "forward.safetensors")
    with pytest.raises(DataError, match="format None"):
        load_charlm(tmp_path / "forward.safetensors")


def test_weights_that_do_not_fit_are_refused_with_their_shape(tmp_path: Path) -> None:
    lm = random_lm()
    bad = CharLM(lm.config, {**lm.weights, "rnn.weight_hh_l1": torch.zeros(28, 6)})
    with pytest.raises(DataError, match=r"'rnn.weight_hh_l1' has the shape \[28, 6\].*\[28, 7\]"):
        save_charlm(tmp_path / "forward.safetensors", bad)
    del bad.weights["rnn.weight_hh_l1"]  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"'rnn.weight_hh_l1'.*missing"):
        save_charlm(tmp_path / "forward.safetensors", bad)
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    lm = random_lm()
    lm.weights["encoder.weight"][1, 1] = 1e6  # finite in float32, infinite in float16
    save_charlm(tmp_path / "forward.safetensors", lm)
    with pytest.raises(DataError, match="NaN or infinite"):
        save_charlm(tmp_path / "forward.safetensors", lm, dtype="float16")
    assert equal(load_charlm(tmp_path / "forward.safetensors"), lm)


def test_missing_files_and_wrong_options(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"forward.safetensors or forward.pt"):
        find_charlm(tmp_path, "forward")
    with pytest.raises(MissingFileError, match="does not exist"):
        load_charlm(tmp_path / "forward.pt")
    with pytest.raises(UsageError, match="choose float16 or float32"):
        save_charlm(tmp_path / "forward.safetensors", random_lm(), dtype="bfloat16")
    with pytest.raises(ValueError, match="occurs twice"):
        random_lm(items=("<unk>", "a", "a"))
