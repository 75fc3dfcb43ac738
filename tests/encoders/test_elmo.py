"""ELMo against a reference put together from allennlp-light's parts, on random weights of odd sizes."""

import json
import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from featstore.bundled import bundled
from featstore.encoders import load_encoder
from featstore.encoders.bilm import BiLM, BiLMConfig, load_elmo, save_elmo
from featstore.encoders.elmo import ELMo
from featstore.errors import DataError, MissingFileError, UsageError
from featstore.pretrain.elmo import ELMoConfig, pretrain_elmo
from featstore.pretrain.schedule import Schedule

SENTENCES = [
    ["Loss", "of", "BRCA1", "in", "α-synuclein", "mice", "."],
    ["x"],
    ["<gene>", "TNF-α", "</gene>", "naïve", "日本語", "🧬", "<S>", ""],
    ["a" * 47, "b" * 48, "c" * 49, "d" * 160, "é" * 24, "é" * 25, "x" + "é" * 24],
    ["lone\ud800surrogate", "end"],
]


def random_lm(seed: int = 0, **changes: object) -> BiLM:
    fields: dict[str, Any] = {
        "char_dim": 5,
        "filters": ((1, 4), (2, 7), (3, 5), (7, 3)),
        "n_highway": 2,
        "activation": "relu",
        "max_characters": 50,
        "dim": 11,
        "projection_dim": 6,
        "n_layers": 2,
        "cell_clip": 3.0,
        "proj_clip": 3.0,
        "use_skip_connections": True,
    }
    config = BiLMConfig(**{**fields, **changes})
    generator = torch.Generator().manual_seed(seed)
    scale = {name: 1.5 / np.sqrt(np.prod(shape[1:])) for name, shape in config.shapes().items()}
    shapes = config.shapes().items()
    return BiLM(config, {name: torch.randn(s, generator=generator) * scale[name] for name, s in shapes})


class Reference:
    """AllenNLP's ``_ElmoBiLm``, from the parts of it that allennlp-light keeps; one sentence at a time."""

    def __init__(self, folder: Path) -> None:
        from allennlp_light.modules.highway import Highway
        from allennlp_light.modules.lstm_cell_with_projection import LstmCellWithProjection

        self.options = json.loads((folder / "options.json").read_text())
        cnn, lstm = self.options["char_cnn"], self.options["lstm"]
        self.activation = {"relu": torch.relu, "tanh": torch.tanh}[cnn["activation"]]
        with h5py.File(folder / "weights.hdf5") as file:
            # Row 0 is AllenNLP's own padding of sentences; here no sentence is padded.
            self.characters = torch.cat(
                [torch.zeros(1, cnn["embedding"]["dim"]), torch.tensor(file["char_embed"][...])]
            )
            self.convolutions = []
            for i, (width, number) in enumerate(cnn["filters"]):
                convolution = torch.nn.Conv1d(cnn["embedding"]["dim"], number, width)
                weight = file[f"CNN/W_cnn_{i}"][...].squeeze(0).transpose(2, 1, 0)
                convolution.weight.data = torch.tensor(weight.astype(np.float32))
                convolution.bias = torch.nn.Parameter(torch.tensor(file[f"CNN/b_cnn_{i}"][...]))
                self.convolutions.append(convolution)
            width = sum(number for _, number in cnn["filters"])
            self.highway = Highway(width, cnn["n_highway"], activation=torch.relu)
            for i, layer in enumerate(self.highway._layers):
                high = file[f"CNN_high_{i}"]
                weight = np.concatenate([high["W_transform"][...].T, -high["W_carry"][...].T])
                layer.weight.data = torch.tensor(weight.astype(np.float32))
                layer.bias.data = torch.tensor(np.concatenate([high["b_transform"][...], -high["b_carry"][...]]))
            self.w_proj = torch.tensor(file["CNN_proj/W_proj"][...].astype(np.float32))
            self.b_proj = torch.tensor(file["CNN_proj/b_proj"][...])
            self.cells: list[list[torch.nn.Module]] = []
            for direction in range(2):
                self.cells.append([])
                for i in range(lstm["n_layers"]):
                    cell = LstmCellWithProjection(
                        lstm["projection_dim"],
                        lstm["projection_dim"],
                        lstm["dim"],
                        go_forward=direction == 0,
                        memory_cell_clip_value=lstm["cell_clip"],
                        state_projection_clip_value=lstm["proj_clip"],
                    )
                    self._load(cell, file[f"RNN_{direction}/RNN/MultiRNNCell/Cell{i}/LSTMCell"], lstm["projection_dim"])
                    self.cells[-1].append(cell)

    @staticmethod
    def _load(cell: Any, dataset: h5py.Group, inputs: int) -> None:
        """The gates are i, g, f, o in the file and i, f, g, o in the cell; the forget gate's 1 is not in the file."""
        i, g, f, o = np.split(dataset["W_0"][...].astype(np.float32).T, 4)
        weight = torch.tensor(np.concatenate([i, f, g, o]))
        cell.input_linearity.weight.data = weight[:, :inputs]
        cell.state_linearity.weight.data = weight[:, inputs:]
        i, g, f, o = np.split(dataset["B"][...], 4)
        cell.state_linearity.bias.data = torch.tensor(np.concatenate([i, f + 1, g, o]))
        cell.state_projection.weight.data = torch.tensor(dataset["W_P_0"][...].astype(np.float32).T)

    def character_ids(self, token: str) -> list[int]:
        room = self.options["char_cnn"]["max_characters_per_token"]
        ids = [260] * room
        content = {"<S>": [256], "</S>": [257]}.get(token, list(token.encode("utf-8", "ignore")[: room - 2]))
        ids[: len(content) + 2] = [258, *content, 259]
        return [i + 1 for i in ids]

    @torch.no_grad()
    def __call__(self, tokens: list[str]) -> np.ndarray:
        """Shape: (T, layers * 2 * P)."""
        ids = torch.tensor([self.character_ids(token) for token in ["<S>", *tokens, "</S>"]])
        characters = self.characters[ids].transpose(1, 2)
        x = torch.cat([self.activation(c(characters).amax(-1)) for c in self.convolutions], dim=-1)
        x = self.highway(x) @ self.w_proj + self.b_proj
        layers = [torch.cat([x, x], -1)]
        sides = [x[None], x[None]]
        for i in range(len(self.cells[0])):
            before = sides
            sides = [self.cells[d][i](sides[d], [len(ids)])[0] for d in range(2)]
            if i:
                sides = [side + b for side, b in zip(sides, before, strict=True)]
            layers.append(torch.cat([side[0] for side in sides], -1))
        return torch.cat(layers, -1)[1:-1].numpy()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="two layers"),
        pytest.param({"n_layers": 1, "activation": "tanh", "n_highway": 1}, id="one layer, tanh"),
        pytest.param({"cell_clip": 0.3, "proj_clip": 0.2}, id="clipping bites"),
        pytest.param(
            {"cell_clip": None, "proj_clip": None, "n_highway": 0, "n_layers": 3}, id="no clipping, three layers"
        ),
        pytest.param({"dim": 40, "projection_dim": 17, "filters": ((1, 32), (4, 31))}, id="wider"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_equal_to_allennlp(tmp_path: Path, changes: dict[str, Any], dtype: str) -> None:
    save_elmo(tmp_path, random_lm(**changes), dtype=dtype)
    encoder = load_encoder(f"elmo:{tmp_path}")
    vectors = encoder.encode(SENTENCES)
    reference = Reference(tmp_path)
    assert vectors.values.dtype == np.float32
    assert vectors.dim == encoder.dim
    for ours, theirs in zip(vectors, map(reference, SENTENCES), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_a_model_that_we_trained_is_equal_to_allennlps(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"Drug G{i % 110} inhibits G{i * 7 % 109}." for i in range(900)), encoding="utf-8")
    sizes: dict[str, Any] = {
        "dim": 8,
        "projection_dim": 6,
        "char_dim": 4,
        "filters": ((1, 4), (3, 8)),
        "tokens": 64,
        "least": 1,
    }
    clips: dict[str, Any] = {"cell_clip": 0.3, "proj_clip": 0.2}  # so that they bite
    schedule = Schedule(steps=6, warmup=2)
    pretrain_elmo(ELMoConfig(text=(text,), out=tmp_path / "elmo", schedule=schedule, **sizes, **clips))
    reference = Reference(tmp_path / "elmo")
    for ours, tokens in zip(load_encoder(f"elmo:{tmp_path / 'elmo'}").encode(SENTENCES), SENTENCES, strict=True):
        np.testing.assert_allclose(ours, reference(tokens), rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_without_skip_connections_the_layers_are_the_cells_own(tmp_path: Path) -> None:
    save_elmo(tmp_path / "with", random_lm())
    save_elmo(tmp_path / "without", random_lm(use_skip_connections=False))
    one, two = (load_encoder(f"elmo:{tmp_path / name}").encode(SENTENCES[:1])[0] for name in ("with", "without"))
    np.testing.assert_allclose(one[:, 24:], two[:, 24:] + one[:, 12:24], rtol=0, atol=1e-6)


def test_cut_tokens_are_counted_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_elmo(tmp_path, random_lm())
    encoder = load_encoder(f"elmo:{tmp_path}")
    assert isinstance(encoder, ELMo)
    with caplog.at_level(logging.WARNING):
        vectors = encoder.encode([["a" * 48, "b" * 49, "é" * 25], ["b" * 49, "b" * 50]])
    assert encoder.cut_tokens == {"b" * 49, "é" * 25, "b" * 50}
    assert "3 longer tokens" in caplog.text
    np.testing.assert_array_equal(vectors[1][0][:12], vectors[1][1][:12])  # the same first 48 bytes


def test_empty_sentences(tmp_path: Path) -> None:
    save_elmo(tmp_path, random_lm())
    encoder = load_encoder(f"elmo:{tmp_path}")
    assert encoder.encode([]).values.shape == (0, encoder.dim)
    assert encoder.encode([[], ["a"], []]).lengths.tolist() == [0, 1, 0]


def test_the_memory_of_tokens_is_bounded_and_changes_nothing(tmp_path: Path) -> None:
    save_elmo(tmp_path, random_lm())
    small, large = (load_encoder(f"elmo:{tmp_path}", cached_tokens=n) for n in (2, 1000))
    for batch in (SENTENCES[:2], SENTENCES[1:], SENTENCES[:2]):
        np.testing.assert_array_equal(small.encode(batch).values, large.encode(batch).values)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_round_trip_of_the_files(tmp_path: Path, dtype: str) -> None:
    lm = random_lm()
    save_elmo(tmp_path, lm, dtype=dtype)
    back = load_elmo(tmp_path)
    assert back.config == lm.config
    for name, tensor in lm.weights.items():
        expected = tensor.half().float() if tensor.ndim > 1 and dtype == "float16" else tensor
        np.testing.assert_allclose(back.weights[name], expected, rtol=0, atol=3e-7)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["options.json", "weights.hdf5"]


def test_equal_models_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_elmo(tmp_path / name, random_lm(), dtype="float16")
    for file in ("options.json", "weights.hdf5"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_files_that_are_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"options.json does not exist"):
        load_encoder(f"elmo:{tmp_path}")
    save_elmo(tmp_path, random_lm())
    whole = (tmp_path / "weights.hdf5").read_bytes()
    (tmp_path / "weights.hdf5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not a whole HDF5 file"):
        load_encoder(f"elmo:{tmp_path}")
    (tmp_path / "weights.hdf5").unlink()
    with pytest.raises(MissingFileError, match=r"weights.hdf5 does not exist"):
        load_encoder(f"elmo:{tmp_path}")


def test_weights_that_do_not_fit_the_options(tmp_path: Path) -> None:
    save_elmo(tmp_path, random_lm())
    options = json.loads((tmp_path / "options.json").read_text())
    options["lstm"]["dim"] = 12
    (tmp_path / "options.json").write_text(json.dumps(options))
    with pytest.raises(DataError, match=r"LSTMCell/W_0' has the shape \[12, 44\] but options.json asks for \[12, 48\]"):
        load_encoder(f"elmo:{tmp_path}")
    options["lstm"]["n_layers"] = 3
    del options["char_cnn"]["filters"]
    (tmp_path / "options.json").write_text(json.dumps(options))
    with pytest.raises(DataError, match="'filters' is missing"):
        load_encoder(f"elmo:{tmp_path}")
    options["char_cnn"]["filters"] = [[60, 4]]
    (tmp_path / "options.json").write_text(json.dumps(options))
    with pytest.raises(DataError, match="do not fit 50 characters"):
        load_encoder(f"elmo:{tmp_path}")


def test_a_dataset_that_is_missing_or_not_finite(tmp_path: Path) -> None:
    save_elmo(tmp_path, random_lm())
    with h5py.File(tmp_path / "weights.hdf5", "r+") as file:
        file["CNN_proj/b_proj"][0] = np.nan
    with pytest.raises(DataError, match=r"'projection.bias' holds NaN"):
        load_encoder(f"elmo:{tmp_path}")
    with h5py.File(tmp_path / "weights.hdf5", "r+") as file:
        del file["CNN_proj/b_proj"]
    with pytest.raises(DataError, match="no numbers under 'CNN_proj/b_proj'"):
        load_encoder(f"elmo:{tmp_path}")


def test_saving_refuses_what_it_cannot_store(tmp_path: Path) -> None:
    lm = random_lm()
    with pytest.raises(UsageError, match="float16 or float32"):
        save_elmo(tmp_path, lm, dtype="int8")
    lm.weights["char_embed"][0, 0] = 1e6
    with pytest.raises(DataError, match="NaN or infinite"):
        save_elmo(tmp_path, lm, dtype="float16")
    assert not list(tmp_path.iterdir())


def test_both_bundled_models() -> None:
    first, second = load_encoder("elmo"), load_encoder("elmo2")
    assert (first.name, second.name) == ("elmo", "elmo2")
    assert first.dim == second.dim == 768
    assert first.identity != second.identity
    given = load_encoder(f"elmo:{bundled('elmo2')}")
    assert (given.name, given.identity) == ("elmo", second.identity), "the same vectors, whatever they are called"
    assert load_encoder(f"elmo2:{bundled('elmo')}").identity == first.identity
    ours, theirs = (encoder.encode([["Aspirin", "inhibits", "COX-2", "."]]).values for encoder in (second, first))
    assert ours.shape == theirs.shape == (4, 768)
    assert not np.allclose(ours, theirs, atol=0.1)
