"""The engines that ``benchmarks/encoders.py`` compares: ours, flair's, and AllenNLP's, whole or from its parts.

In: a folder for models of random weights. Out: functions from sentences to one (T, D) matrix each.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
from torch import Tensor

from featstore.encoders import load_encoder
from featstore.encoders.bilm import DIRECTIONS, BiLM, BiLMConfig, load_elmo, save_elmo
from featstore.encoders.charlm import CharLM, CharLMConfig
from featstore.encoders.charlm_file import save_charlm
from featstore.encoders.elmo import character_ids

Sentence = Sequence[str]
Engine = Callable[[Sequence[Sentence]], list[np.ndarray]]
REFERENCE_BATCH = 32
SIZES: dict[str, dict[str, Any]] = {
    "full": {
        "cse": (2048, 100),
        "elmo": (4096, 512, ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))),
    },
    "small": {"cse": (512, 64), "elmo": (512, 128, ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256)))},
}


def random_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {k: torch.randn(v, generator=generator) / max(1.0, float(np.prod(v[1:])) ** 0.5) for k, v in shapes.items()}


def make_models(folder: Path, size: str) -> None:
    hidden, width = SIZES[size]["cse"]
    for direction in DIRECTIONS:
        config = CharLMConfig(
            hidden_size=hidden,
            nlayers=1,
            embedding_size=width,
            nout=None,
            is_forward=direction == "forward",
            document_delimiter="\n",
            dropout=0.1,
            items=("<unk>", "\n", *map(chr, range(32, 127)), *map(chr, range(161, 339))),
        )
        lm = CharLM(config, random_weights(config.shapes() | config.decoder_shapes()))
        save_charlm(folder / "cse" / f"{direction}.pt", lm)
    dim, projected, filters = SIZES[size]["elmo"]
    options = BiLMConfig(
        char_dim=16,
        filters=filters,
        n_highway=2,
        activation="relu",
        max_characters=50,
        dim=dim,
        projection_dim=projected,
        n_layers=2,
        cell_clip=3.0,
        proj_clip=3.0,
        use_skip_connections=True,
    )
    save_elmo(folder / "elmo", BiLM(options, random_weights(options.shapes())))


def ours(name: str, folder: Path, precision: str) -> Engine:
    encoder = load_encoder(f"{name}:{folder / name}", precision=precision)
    return lambda sentences: list(encoder.encode(sentences))


def flair_cse(folder: Path) -> Engine:
    from flair.data import Sentence as Marked
    from flair.embeddings import FlairEmbeddings

    embeddings = [FlairEmbeddings(str(folder / "cse" / f"{direction}.pt")) for direction in DIRECTIONS]

    def encode(sentences: Sequence[Sentence]) -> list[np.ndarray]:
        result = []
        for first in range(0, len(sentences), REFERENCE_BATCH):
            batch = [Marked(list(tokens)) for tokens in sentences[first : first + REFERENCE_BATCH]]
            for embedding in embeddings:
                embedding.embed(batch)
            for marked in batch:  # each model's vectors by themselves: together they come sorted by the models' names
                parts = [torch.stack([t.get_embedding([each.name]) for t in marked]) for each in embeddings]
                result.append(torch.cat(parts, dim=1).cpu().numpy())
        return result

    return encode


class AllenNLP:
    """AllenNLP's ELMo: the character CNN over every token of a batch, then its LSTM cells over the padded batch."""

    def __init__(self, folder: Path) -> None:
        from allennlp_light.modules.highway import Highway
        from allennlp_light.modules.lstm_cell_with_projection import LstmCellWithProjection

        lm = load_elmo(folder / "elmo")
        self.config, self.weights = lm.config, lm.weights
        self.highway = Highway(lm.config.n_filters, lm.config.n_highway, activation=torch.relu)
        for i, layer in enumerate(self.highway._layers):
            transform, carry = (f"highway.{i}.{part}" for part in ("transform", "carry"))
            layer.weight.data = torch.cat([lm.weights[f"{transform}.weight"], -lm.weights[f"{carry}.weight"]])
            layer.bias.data = torch.cat([lm.weights[f"{transform}.bias"], -lm.weights[f"{carry}.bias"]])
        self.cells = []
        for direction in DIRECTIONS:
            for i in range(lm.config.n_layers):
                cell = LstmCellWithProjection(
                    lm.config.projection_dim,
                    lm.config.projection_dim,
                    lm.config.dim,
                    go_forward=direction == "forward",
                    memory_cell_clip_value=lm.config.cell_clip,
                    state_projection_clip_value=lm.config.proj_clip,
                )
                cell.input_linearity.weight.data = lm.weights[f"{direction}.{i}.weight_ih"]
                cell.state_linearity.weight.data = lm.weights[f"{direction}.{i}.weight_hh"]
                cell.state_linearity.bias.data = lm.weights[f"{direction}.{i}.bias"]
                cell.state_projection.weight.data = lm.weights[f"{direction}.{i}.weight_hr"]
                self.cells.append(cell)

    @torch.no_grad()
    def __call__(self, sentences: Sequence[Sentence]) -> list[np.ndarray]:
        result: list[np.ndarray] = [np.empty(0)] * len(sentences)
        order = sorted(range(len(sentences)), key=lambda i: -len(sentences[i]))
        for first in range(0, len(order), REFERENCE_BATCH):
            part = order[first : first + REFERENCE_BATCH]
            layers = self._batch([["<S>", *sentences[i], "</S>"] for i in part])
            for row, i in enumerate(part):
                result[i] = layers[row, 1 : len(sentences[i]) + 1].cpu().numpy()
        return result

    def _batch(self, batch: Sequence[Sentence]) -> Tensor:
        w, lengths = self.weights, [len(tokens) for tokens in batch]
        ids = torch.full((len(batch), lengths[0], self.config.max_characters), 260)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = torch.tensor([character_ids(t, self.config.max_characters) for t in tokens])
        characters = w["char_embed"][ids.flatten(0, 1)].transpose(1, 2)
        convolved = [
            torch.conv1d(characters, w[f"conv.{i}.weight"], w[f"conv.{i}.bias"]).amax(-1)
            for i in range(len(self.config.filters))
        ]
        x = self.highway(torch.relu(torch.cat(convolved, -1)))
        x = torch.nn.functional.linear(x, w["projection.weight"], w["projection.bias"]).view(*ids.shape[:2], -1)
        layers, sides = [torch.cat([x, x], -1)], [x, x]
        for i in range(self.config.n_layers):
            new = [self.cells[d * self.config.n_layers + i](sides[d], lengths)[0] for d in range(2)]
            sides = [n + s for n, s in zip(new, sides, strict=True)] if i else new
            layers.append(torch.cat(sides, -1))
        return torch.cat(layers, -1)


class WholeAllenNLP:
    """AllenNLP 2.10.1's own biLM from its own installation, beside this torch.

    torchvision is left out: the package imports it, but ELMo does not use it.
    """

    def __init__(self, folder: Path) -> None:
        elmo = import_module("allennlp.modules.elmo")
        self.lm = elmo._ElmoBiLm(str(folder / "elmo" / "options.json"), str(folder / "elmo" / "weights.hdf5")).eval()
        self.batch_to_ids = elmo.batch_to_ids

    @torch.no_grad()
    def __call__(self, sentences: Sequence[Sentence]) -> list[np.ndarray]:
        result = []
        for first in range(0, len(sentences), REFERENCE_BATCH):
            batch = sentences[first : first + REFERENCE_BATCH]
            self.lm._elmo_lstm._states = None
            layers = torch.cat(self.lm(self.batch_to_ids(batch))["activations"], dim=-1)
            result += [layers[row, 1 : len(tokens) + 1].numpy() for row, tokens in enumerate(batch)]
        return result


def install_allennlp(folder: Path) -> None:
    """Install AllenNLP 2.10.1 into ``folder`` without the torch that it pins, which does not exist for Python 3.11."""
    if not (folder / "allennlp").exists():
        install = [sys.executable, "-m", "pip", "install", "-q", "-t", str(folder)]
        subprocess.run([*install, "spacy"], check=True)
        packages = ["allennlp==2.10.1", "overrides", "nltk", "tensorboardX", "fairscale"]
        subprocess.run([*install, "--no-deps", *packages], check=True)


def make_engine(name: str, folder: Path, engine: str, allennlp: str) -> Callable[[], Engine]:
    """Import the libraries of an engine and return the function that loads it."""
    if engine == "flair":
        import flair.embeddings  # noqa: F401

        return lambda: flair_cse(folder)
    if engine == "allennlp-light":
        import allennlp_light.modules.lstm_cell_with_projection  # noqa: F401

        return lambda: AllenNLP(folder)
    if engine == "allennlp":
        # transformers looks into the stand-in, so what it wants comes first.
        import_module("transformers.models.auto.modeling_auto")
        sys.modules |= dict.fromkeys(("torchvision", "torchvision.ops", "torchvision.ops.boxes"), MagicMock())
        sys.path.append(allennlp)
        import_module("allennlp.modules.elmo")
        return lambda: WholeAllenNLP(folder)
    return lambda: ours(name, folder, engine)
