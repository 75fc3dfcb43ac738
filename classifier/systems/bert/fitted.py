"""A fine-tuned transformer: at work, and on disk.

In: a network and how it reads. Out: probabilities for instances; ``model.safetensors`` (all weights), ``config.json``
(the transformer's shape, as transformers writes it), ``tokenizer.json`` and ``reading.json``. Nothing else is needed to
read it back: the checkpoint that it was fine-tuned from is not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from tokenizers import Tokenizer
from torch import nn

from classifier.systems.bert.network import PairClassifier, attention_on, takes_positions
from classifier.systems.bert.options import BertOptions
from classifier.systems.bert.reading import PieceReader
from classifier.systems.bert.scoring import probabilities
from featstore.files import write_file
from featstore.plain import from_plain
from featstore.records import Instance
from featstore.stores import FeatureStore

_WEIGHTS, _CONFIG, _TOKENIZER, _READING = "model.safetensors", "config.json", "tokenizer.json", "reading.json"


@dataclass(frozen=True, slots=True)
class _Reading:
    """The content of ``reading.json``; see :class:`PieceReader`."""

    marks: tuple[str, ...]
    vocabulary: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    unknown: int
    longest: int


@dataclass(frozen=True, slots=True, eq=False)
class FineTuned:
    """A fine-tuned transformer; see :class:`classifier.systems.contract.FittedSystem`.

    Attributes:
        network: the network, on ``device``.
        reader: how it reads instances.
        precision: of its matrix products.
        device: that it runs on.
    """

    network: PairClassifier
    reader: PieceReader
    precision: str
    device: str

    @property
    def parameters(self) -> int:
        """How many numbers it has."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def probabilities(self, instances: Sequence[Instance], _stores: Sequence[FeatureStore], /) -> NDArray[np.float32]:
        """Return the probability of each label; Shape: (n, labels)."""
        return probabilities(self.network, self.reader.read(instances), self.precision, self.device)

    def at_precision(self, precision: str, to_bytes: Callable[[nn.Module], None]) -> FineTuned:
        """Return the model at a precision; see :meth:`classifier.systems.contract.ChangeablePrecision.at_precision`.

        With products of bytes, all that is between them is computed in bfloat16.
        """
        if precision == "int8":
            to_bytes(self.network.encoder)  # the output layer costs next to nothing
            precision = "bfloat16"
        return replace(self, precision=precision)

    def save(self, folder: Path) -> None:
        """Write the model; see :meth:`classifier.systems.contract.FittedSystem.save`."""
        weights = {name: tensor.cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        write_file(folder / _WEIGHTS, save(weights))
        config = self.network.encoder.config.to_json_string(use_diff=False)
        write_file(folder / _CONFIG, config.encode("utf-8"))
        write_file(folder / _TOKENIZER, self.reader.tokenizer.to_str(pretty=False).encode("utf-8"))
        facts = {name: getattr(self.reader, name) for name in _Reading.__slots__}
        write_file(folder / _READING, json.dumps(facts, indent=2).encode("utf-8"))


def load_fine_tuned(folder: Path, options: BertOptions, labels: int) -> FineTuned:
    """Read what :meth:`FineTuned.save` wrote.

    Args:
        folder: where it lies.
        options: of the fit.
        labels: number of labels.

    Raises:
        ValueError, KeyError, RuntimeError, ..: a file that is not as it was written.
    """
    from transformers import AutoModel
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    weights = load_file(folder / _WEIGHTS)
    raw = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    config = CONFIG_MAPPING[raw["model_type"]].from_dict(raw)
    if options.readout == "shared" and not takes_positions(config):
        raise ValueError(f"a model of the kind '{config.model_type}' cannot have been read with --readout shared")
    # The shape is compared before anything is made by it: no number in the JSON makes anything large.
    with torch.device("meta"):
        expected = PairClassifier(AutoModel.from_config(config), labels, options.readout, options.dropout).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if shapes != {name: tuple(tensor.shape) for name, tensor in expected.items()}:
        raise ValueError("the weights are not those of the configuration")
    device = "cuda" if options.device == "cuda" and torch.cuda.is_available() else "cpu"
    encoder = AutoModel.from_config(config, attn_implementation=attention_on(device))
    network = PairClassifier(encoder, labels, options.readout, options.dropout)
    network.load_state_dict(weights)
    read = json.loads((folder / _READING).read_text(encoding="utf-8"))
    reading = from_plain(_Reading, read, str(folder / _READING))
    tokenizer = Tokenizer.from_str((folder / _TOKENIZER).read_text(encoding="utf-8"))
    facts = {name: getattr(reading, name) for name in _Reading.__slots__}
    reader = PieceReader(tokenizer, **facts, shared=options.readout == "shared")
    return FineTuned(network.eval().to(device), reader, options.precision, device)
