"""SPINN, fitted: how it scores instances, and how it lies on disk.

In: fitted networks, or a folder. Out: a :class:`FittedSpinn`. Its folder holds ``networks.safetensors`` (the weights of
the members), ``vectors.safetensors`` (the fixed word vectors) and ``words.json`` (the words and the shift).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from classifier.systems.spinn.examples import Examples
from classifier.systems.spinn.network import Spinn, SpinnShape
from classifier.systems.spinn.options import SpinnOptions
from classifier.systems.spinn.sources import TreeSource, parse_choice
from classifier.systems.spinn.training import Weights, predict
from classifier.systems.spinn.words import UNKNOWN, Vocabulary
from featstore.errors import DataError, MismatchError
from featstore.files import read_text, write_file
from featstore.fingerprint import file_sha256
from featstore.plain import from_plain
from featstore.records import Instance
from featstore.stores import FeatureStore

NETWORKS, VECTORS, WORDS = "networks.safetensors", "vectors.safetensors", "words.json"


@dataclass(frozen=True, slots=True)
class SpinnFacts:
    """The content of ``words.json``.

    Attributes:
        fixed: the words with a fixed vector, in the order of the vectors.
        learned: the words with a learned vector, in the order of the networks.
        favoured: numbers of the labels whose scores are raised.
        shift: by how much.
        table: sha256 of the table of trees; None if there was none.
    """

    fixed: tuple[str, ...]
    learned: tuple[str, ...]
    favoured: tuple[int, ...]
    shift: float
    table: str | None


class FittedSpinn:
    """SPINN, fitted; see :class:`~classifier.systems.contract.FittedSystem`."""

    def __init__(
        self, options: SpinnOptions, networks: Sequence[Spinn], vectors: Vocabulary, facts: SpinnFacts
    ) -> None:
        self._options, self._networks, self._vocabulary, self._facts = options, networks, vectors, facts
        self._source: TreeSource | None = None

    @property
    def parameters(self) -> int:
        """How many numbers were fitted; the fixed word vectors are not among them."""
        return sum(weight.numel() for network in self._networks for weight in network.parameters())

    def probabilities(self, instances: Sequence[Instance], _stores: Sequence[FeatureStore], /) -> NDArray[np.float32]:
        """Return the probability of each label, averaged over the networks. Shape: (n, labels).

        Raises:
            MissingFileError, DataError: the table of trees is missing, or an instance has no tree in it.
            MismatchError: it is another table than the one of the fit.
        """
        if self._source is None:
            table = parse_choice(self._options.trees).table
            if table is not None and self._facts.table != file_sha256(table):
                raise MismatchError(
                    f"{table} is not the table of trees that the system was fitted with; put that one in its place, or "
                    "train again."
                )
            self._source = TreeSource(self._options.trees)
        examples = Examples(instances, self._source.trees(instances), self._vocabulary)
        favoured = np.ones(self._networks[0].config.labels, np.float32)
        favoured[list(self._facts.favoured)] = np.exp(self._facts.shift)
        each = np.stack([predict(network, examples) for network in self._networks]) * favoured
        averaged: NDArray[np.float32] = (each / each.sum(2, keepdims=True)).mean(0)
        return averaged

    def save(self, folder: Path) -> None:
        """Write the three files."""
        tensors = {
            f"{number}/{name}": value
            for number, network in enumerate(self._networks)
            for name, value in network.state_dict().items()
        }
        write_file(folder / NETWORKS, save(tensors))
        write_file(folder / VECTORS, save({"vectors": torch.from_numpy(self._vocabulary.vectors)}))
        write_file(folder / WORDS, json.dumps(asdict(self._facts), ensure_ascii=False).encode("utf-8"))


def load_spinn(folder: Path, options: SpinnOptions, labels: tuple[str, ...]) -> FittedSpinn:
    """Read what :meth:`FittedSpinn.save` wrote; nothing is allocated before the files were found to fit.

    Raises:
        MissingFileError: a file is not there.
        DataError: a file is not as it was written.
    """
    wrong = f"{folder} does not hold a fitted SPINN as it was written"
    try:
        facts = from_plain(SpinnFacts, json.loads(read_text(folder / WORDS, "; train again.")), wrong)
        tensors = load_file(folder / NETWORKS)
        vectors = load_file(folder / VECTORS)["vectors"]
        if vectors.dtype != torch.float16 or vectors.ndim != 2 or len(vectors) != len(facts.fixed):
            raise ValueError(f"{len(facts.fixed)} words have vectors of shape {tuple(vectors.shape)}, {vectors.dtype}")
        if UNKNOWN not in facts.learned:
            raise ValueError("there is no vector for unknown words")
        if not all(0 <= number < len(labels) for number in facts.favoured):
            raise ValueError(f"a label with a number among {facts.favoured} is not one of {len(labels)}")
        config = shape_of(options, len(labels), len(facts.learned), vectors.shape[1])
        networks = [_network(config, tensors, f"{member}/") for member in range(options.members)]
    except (KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise error if isinstance(error, DataError) else DataError(f"{wrong} ({error}); train again.") from error
    vocabulary = Vocabulary.of(facts.fixed, vectors.numpy(), facts.learned)
    return FittedSpinn(options, networks, vocabulary, facts)


def shape_of(options: SpinnOptions, labels: int, learned: int, width: int) -> SpinnShape:
    """Return the shape of a network for so many labels and learned words, and word vectors of so many columns."""
    shared = {name: value for name, value in asdict(options).items() if name in {f.name for f in fields(SpinnShape)}}
    return SpinnShape(labels=labels, learned=learned, width=width, **shared)


def _network(config: SpinnShape, tensors: Weights, prefix: str) -> Spinn:
    """Return the network whose weights have names that begin with ``prefix``."""
    with torch.device("meta"):
        network = Spinn(config)
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    if odd := [name for name, value in own.items() if value.dtype != torch.float32]:
        raise ValueError(f"'{odd[0]}' is {own[odd[0]].dtype}, not float32")
    network.load_state_dict(own, assign=True)
    return network.eval()
