"""The bidirectional language model behind ELMo (Peters et al. 2018) as files: ``options.json`` and ``weights.hdf5``.

In: settings and weights, from our trainer or from a folder. Out: an :class:`BiLM` in float32 with the names and
the gate order of torch. The files keep, name by name, the layout of bilm-tf that AllenNLP reads, so a published
model works here and ours works there. This module alone handles the differences between TensorFlow and torch:
transposed matrices, gates in the order i, g, f, o instead of i, f, g, o, and the 1 that TensorFlow adds to the forget
gate while running.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.encoders.weights import checked
from featstore.errors import DataError, MissingFileError, UsageError
from featstore.files import make_folder, write_file

# Rows of the character table: 256 bytes, begin and end of sentence, begin and end of word, padding.
CHARACTERS = 261
Array = NDArray[np.float32]
DIRECTIONS = ("forward", "backward")
OPTIONS, WEIGHTS = "options.json", "weights.hdf5"


@dataclass(frozen=True, slots=True, kw_only=True)
class BiLMConfig:
    """The settings in ``options.json``.

    Attributes:
        char_dim: width of a character's embedding (``char_cnn.embedding.dim``).
        filters: (width, number) of each convolution (``char_cnn.filters``).
        n_highway: highway layers above the convolutions.
        activation: ``relu`` or ``tanh``, after the convolutions; the highway's is always relu.
        max_characters: number of characters of a token that are read, including its two markers.
        dim: units of each LSTM (``lstm.dim``).
        projection_dim: width of the token layer and of each LSTM's projected output.
        n_layers: LSTM layers in each direction.
        cell_clip: bound of the LSTM's cell state; None if it is not clipped.
        proj_clip: bound of the projected output; None if it is not clipped.
        use_skip_connections: whether each LSTM layer after the first adds its input to its output.

    Raises:
        ValueError: a setting that no model can have.
    """

    char_dim: int
    filters: tuple[tuple[int, int], ...]
    n_highway: int
    activation: str
    max_characters: int
    dim: int
    projection_dim: int
    n_layers: int
    cell_clip: float | None
    proj_clip: float | None
    use_skip_connections: bool

    def __post_init__(self) -> None:
        if self.activation not in ("relu", "tanh"):
            raise ValueError(f"char_cnn.activation is {self.activation!r}, allowed are 'relu' and 'tanh'")
        widths = [width for width, _ in self.filters]
        if not widths or min(widths) < 1 or max(widths) > self.max_characters or self.max_characters < 3:
            raise ValueError(f"char_cnn.filters {self.filters} do not fit {self.max_characters} characters per token")
        if min(self.char_dim, self.dim, self.projection_dim, self.n_layers, self.n_filters) < 1 or self.n_highway < 0:
            raise ValueError("the sizes must be at least 1")

    @property
    def n_filters(self) -> int:
        """Width of the convolutions' joint output."""
        return sum(number for _, number in self.filters)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name and shape of the weights in torch's terms; the gates of an LSTM are i, f, g, o."""
        shapes: dict[str, tuple[int, ...]] = {"char_embed": (CHARACTERS, self.char_dim)}
        for i, (width, number) in enumerate(self.filters):
            shapes |= {f"conv.{i}.weight": (number, self.char_dim, width), f"conv.{i}.bias": (number,)}
        wide = self.n_filters
        for i in range(self.n_highway):
            shapes |= {f"highway.{i}.transform.weight": (wide, wide), f"highway.{i}.transform.bias": (wide,)}
            shapes |= {f"highway.{i}.carry.weight": (wide, wide), f"highway.{i}.carry.bias": (wide,)}
        shapes |= {"projection.weight": (self.projection_dim, wide), "projection.bias": (self.projection_dim,)}
        for name in (f"{direction}.{i}" for direction in DIRECTIONS for i in range(self.n_layers)):
            shapes |= {f"{name}.weight_ih": (4 * self.dim, self.projection_dim), f"{name}.bias": (4 * self.dim,)}
            shapes |= {f"{name}.weight_hh": (4 * self.dim, self.projection_dim)}
            shapes |= {f"{name}.weight_hr": (self.projection_dim, self.dim)}
        return shapes


@dataclass(frozen=True, slots=True, eq=False)
class BiLM:
    """A bidirectional language model.

    Attributes:
        config: its settings.
        weights: tensors by the names of :meth:`BiLMConfig.shapes`, float32. A highway layer gives
            ``c * relu(transform(x)) + (1 - c) * x`` with ``c = sigmoid(carry(x))``; an LSTM's state is
            ``weight_hr @ (o * tanh(cell))``, and ``bias`` is the whole bias, the forget gate's 1 included.
    """

    config: BiLMConfig
    weights: Mapping[str, Tensor]


def load_elmo(folder: str | Path) -> BiLM:
    """Read ``options.json`` and ``weights.hdf5`` of ``folder``.

    Raises:
        MissingFileError: one of the two is not there.
        DataError: one is damaged, or the weights do not fit the options.
    """
    options, weights = Path(folder) / OPTIONS, Path(folder) / WEIGHTS
    for path in (options, weights):
        if not path.is_file():
            raise MissingFileError(f"{path} does not exist; an ELMo folder holds {OPTIONS} and {WEIGHTS}.")
    config = _read_options(options)
    shapes = config.shapes()
    state: dict[str, Tensor] = {}
    try:
        with h5py.File(weights, "r") as file:
            for name, ours, kind in _layout(config):
                dataset = file.get(name)
                if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
                    raise DataError(f"{weights} holds no numbers under '{name}', which {options.name} asks for.")
                array = np.asarray(dataset, dtype=np.float32)
                expected = kind.file_shape(*(shapes[o] for o in ours))
                if array.shape != expected:
                    raise DataError(
                        f"{weights}: '{name}' has the shape {list(array.shape)} but {options.name} asks for"
                        f" {list(expected)}; weights and options are not of one model."
                    )
                state |= {o: torch.from_numpy(a.copy()) for o, a in zip(ours, kind.from_file(array), strict=True)}
    except (OSError, TypeError, RuntimeError) as error:
        raise DataError(f"{weights} is not a whole HDF5 file of weights ({error}).") from error
    return BiLM(config, checked(weights, state, shapes))


def save_elmo(folder: str | Path, lm: BiLM, *, dtype: str = "float32") -> None:
    """Write ``lm`` to ``folder`` as AllenNLP reads it, the matrices in float16 or float32.

    Biases stay float32: AllenNLP adds the forget gate's 1 in the file's own precision.

    Raises:
        UsageError: another ``dtype``.
        DataError: weights that do not fit the settings or are not finite in ``dtype``; nothing is written.
    """
    if dtype not in ("float16", "float32"):
        raise UsageError(f"ELMo weights can be saved as float16 or float32, not as {dtype}.")
    folder = Path(folder)
    state = checked(folder / WEIGHTS, lm.weights, lm.config.shapes())
    if dtype == "float16":
        checked(folder / WEIGHTS, {name: tensor.half() for name, tensor in state.items()}, lm.config.shapes())

    make_folder(folder)
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        for name, ours, kind in _layout(lm.config):
            array = kind.to_file(*(state[o].numpy() for o in ours))
            file.create_dataset(name, data=array.astype("float32" if array.ndim == 1 else dtype))
    write_file(folder / WEIGHTS, image.getbuffer())
    write_file(folder / OPTIONS, (json.dumps(_options(lm.config), indent=1) + "\n").encode("utf-8"))


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a dataset of the file and our tensors are converted into each other."""

    file_shape: Callable[..., tuple[int, ...]]
    to_file: Callable[..., Array]
    from_file: Callable[[Array], tuple[Array, ...]]


def _swap(gates: Array) -> Array:
    """Exchange the second and third quarter of the rows: i, f, g, o to i, g, f, o and back."""
    return gates.reshape(4, -1, *gates.shape[1:])[[0, 2, 1, 3]].reshape(gates.shape)


def _forget(bias: Array, by: float) -> Array:
    """Add ``by`` to the forget gate's quarter of a bias in the file's order i, g, f, o."""
    quarter = len(bias) // 4
    return bias + np.repeat(np.array([0, 0, by, 0], dtype=np.float32), quarter)


_SAME = _Kind(lambda s: s, lambda a: a, lambda a: (a,))
_TRANSPOSED = _Kind(lambda s: s[::-1], lambda a: a.T, lambda a: (a.T,))
_CONVOLUTION = _Kind(lambda s: (1, *s[::-1]), lambda a: a.T[None], lambda a: (a[0].T,))
_GATES = _Kind(
    lambda ih, hh: (ih[1] + hh[1], ih[0]),
    lambda ih, hh: _swap(np.concatenate([ih, hh], axis=1)).T,
    lambda a: tuple(np.split(_swap(a.T), 2, axis=1)),
)
_BIAS = _Kind(lambda s: s, lambda a: _forget(_swap(a), -1), lambda a: (_swap(_forget(a, 1)),))


def _layout(config: BiLMConfig) -> Iterator[tuple[str, tuple[str, ...], _Kind]]:
    """Yield each dataset of the file with the tensors that it holds and how it holds them."""
    yield "char_embed", ("char_embed",), _SAME
    for i in range(len(config.filters)):
        yield f"CNN/W_cnn_{i}", (f"conv.{i}.weight",), _CONVOLUTION
        yield f"CNN/b_cnn_{i}", (f"conv.{i}.bias",), _SAME
    for i in range(config.n_highway):
        for part in ("transform", "carry"):
            yield f"CNN_high_{i}/W_{part}", (f"highway.{i}.{part}.weight",), _TRANSPOSED
            yield f"CNN_high_{i}/b_{part}", (f"highway.{i}.{part}.bias",), _SAME
    yield "CNN_proj/W_proj", ("projection.weight",), _TRANSPOSED
    yield "CNN_proj/b_proj", ("projection.bias",), _SAME
    for number, direction in enumerate(DIRECTIONS):
        for i in range(config.n_layers):
            cell, ours = f"RNN_{number}/RNN/MultiRNNCell/Cell{i}/LSTMCell", f"{direction}.{i}"
            yield f"{cell}/W_0", (f"{ours}.weight_ih", f"{ours}.weight_hh"), _GATES
            yield f"{cell}/B", (f"{ours}.bias",), _BIAS
            yield f"{cell}/W_P_0", (f"{ours}.weight_hr",), _TRANSPOSED


def _read_options(path: Path) -> BiLMConfig:
    try:
        options = json.loads(path.read_text(encoding="utf-8"))
        cnn, lstm = options["char_cnn"], options["lstm"]
        return BiLMConfig(
            char_dim=int(cnn["embedding"]["dim"]),
            filters=tuple((int(width), int(number)) for width, number in cnn["filters"]),
            n_highway=int(cnn["n_highway"]),
            activation=cnn["activation"],
            max_characters=int(cnn["max_characters_per_token"]),
            dim=int(lstm["dim"]),
            projection_dim=int(lstm["projection_dim"]),
            n_layers=int(lstm["n_layers"]),
            cell_clip=lstm["cell_clip"] and float(lstm["cell_clip"]),
            proj_clip=lstm["proj_clip"] and float(lstm["proj_clip"]),
            use_skip_connections=bool(lstm["use_skip_connections"]),
        )
    except KeyError as error:
        raise DataError(f"{path}: the option {error} is missing; it must be ELMo's options.json.") from error
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is not ELMo's options.json: {error}.") from error


def _options(config: BiLMConfig) -> dict[str, object]:
    return {
        "lstm": {
            "use_skip_connections": config.use_skip_connections,
            "projection_dim": config.projection_dim,
            "cell_clip": config.cell_clip,
            "proj_clip": config.proj_clip,
            "dim": config.dim,
            "n_layers": config.n_layers,
        },
        "char_cnn": {
            "activation": config.activation,
            "filters": [list(pair) for pair in config.filters],
            "n_highway": config.n_highway,
            "embedding": {"dim": config.char_dim},
            "n_characters": CHARACTERS + 1,  # AllenNLP counts its own padding row
            "max_characters_per_token": config.max_characters,
        },
    }
