"""Fitting SPINN: vocabulary, networks and the shift of the positive labels, and the fitted system on disk.

In: a task, or a folder. Out: a :class:`FittedSpinn`. Its folder holds ``networks.safetensors`` (the weights of the
members), ``vectors.safetensors`` (the fixed word vectors) and ``words.json`` (the words and the shift).
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
from torch import Tensor

from classifier.systems.contract import Fit, FitTask, KeptState
from classifier.systems.spinn.examples import Examples
from classifier.systems.spinn.network import Spinn, SpinnShape
from classifier.systems.spinn.options import SpinnOptions
from classifier.systems.spinn.sources import TreeSource, parse_choice
from classifier.systems.spinn.training import LabelledPart, MemberState, Weights, predict, train_member
from classifier.systems.spinn.words import UNKNOWN, Vocabulary, build_vocabulary, vector_files
from classifier.training.epoch import Epoch
from classifier.training.favour import PRIOR, best_shift
from featstore.errors import DataError, MismatchError
from featstore.files import read_text, write_file
from featstore.fingerprint import file_sha256
from featstore.plain import from_plain
from featstore.records import Instance
from featstore.stores import FeatureStore

NETWORKS, VECTORS, WORDS = "networks.safetensors", "vectors.safetensors", "words.json"
_PARTS = ("weights", "average", "best", "optimizer")


@dataclass(frozen=True, slots=True)
class _Facts:
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

    def __init__(self, options: SpinnOptions, networks: Sequence[Spinn], vectors: Vocabulary, facts: _Facts) -> None:
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


def fit_spinn(task: FitTask[SpinnOptions]) -> Fit:
    """Fit SPINN; see :meth:`classifier.systems.contract.System.fit`."""
    options, source = task.options, TreeSource(task.options.trees)
    trees = source.trees(task.train), source.trees(task.dev)
    vocabulary = build_vocabulary(vector_files(options.word_vectors), trees[0])
    numbers = {label: number for number, label in enumerate(task.labels)}
    train, dev = (
        LabelledPart(
            Examples(instances, own, vocabulary), np.array([numbers[instance.label or ""] for instance in instances])
        )
        for own, instances in zip(trees, (task.train, task.dev), strict=True)
    )
    config = _network_config(options, len(task.labels), len(vocabulary.learned), vocabulary.vectors.shape[1])
    kept = _Kept.of(task.keeper.load())
    done, epochs, state = list(kept.done), kept.epochs, kept.state
    networks: list[Spinn] = []
    for member in range(options.members):
        torch.manual_seed(_member_seed(options.seed, member))
        networks.append(Spinn(config))
        if member < len(done):
            networks[member].load_state_dict(done[member])
            continue

        def after(
            now: MemberState, done: tuple[Weights, ...] = tuple(done), epochs: tuple[Epoch, ...] = epochs
        ) -> None:
            task.keeper.save(_Kept(done, epochs, now).kept_state())
            task.progress(now.epochs[-1])

        epochs += train_member(
            networks[member], (train, dev), options, member, task.labels, task.positive, state, after
        )
        done.append(networks[member].state_dict())
        state = MemberState()
    favoured, shift = tuple(numbers[label] for label in task.positive), 0.0
    if options.favour:
        each = np.stack([predict(network, dev.examples) for network in networks])
        shift = best_shift(each, dev.labels, task.labels, task.positive)
        shift *= len(dev.labels) / (len(dev.labels) + PRIOR)
    table = parse_choice(options.trees).table
    facts = _Facts(vocabulary.fixed, vocabulary.learned, favoured, shift, file_sha256(table) if table else None)
    return Fit(FittedSpinn(options, networks, vocabulary, facts), epochs)


def load_spinn(folder: Path, options: SpinnOptions, labels: tuple[str, ...]) -> FittedSpinn:
    """Read what :meth:`FittedSpinn.save` wrote; nothing is allocated before the files were found to fit.

    Raises:
        MissingFileError: a file is not there.
        DataError: a file is not as it was written.
    """
    wrong = f"{folder} does not hold a fitted SPINN as it was written"
    try:
        facts = from_plain(_Facts, json.loads(read_text(folder / WORDS, "; train again.")), wrong)
        tensors = load_file(folder / NETWORKS)
        vectors = load_file(folder / VECTORS)["vectors"]
        if vectors.dtype != torch.float16 or vectors.ndim != 2 or len(vectors) != len(facts.fixed):
            raise ValueError(f"{len(facts.fixed)} words have vectors of shape {tuple(vectors.shape)}, {vectors.dtype}")
        if UNKNOWN not in facts.learned:
            raise ValueError("there is no vector for unknown words")
        if not all(0 <= number < len(labels) for number in facts.favoured):
            raise ValueError(f"a label with a number among {facts.favoured} is not one of {len(labels)}")
        config = _network_config(options, len(labels), len(facts.learned), vectors.shape[1])
        networks = [_network(config, tensors, f"{member}/") for member in range(options.members)]
    except (KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise error if isinstance(error, DataError) else DataError(f"{wrong} ({error}); train again.") from error
    vocabulary = Vocabulary.of(facts.fixed, vectors.numpy(), facts.learned)
    return FittedSpinn(options, networks, vocabulary, facts)


def _network_config(options: SpinnOptions, labels: int, learned: int, width: int) -> SpinnShape:
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


def _member_seed(seed: int, member: int) -> int:
    """Return the seed of the initial weights of a network."""
    return int(np.random.SeedSequence((seed, member)).generate_state(1)[0])


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """An unfinished fit.

    Attributes:
        done: the weights of the networks that are trained.
        epochs: their epochs.
        state: of the network that is being trained.
    """

    done: tuple[Weights, ...]
    epochs: tuple[Epoch, ...]
    state: MemberState

    @classmethod
    def of(cls, kept: KeptState | None) -> _Kept:
        """Read a kept state; None is the beginning."""
        if kept is None:
            return cls((), (), MemberState())
        parts: dict[str, dict[str, Tensor]] = {}
        for key, value in kept.tensors.items():
            part, _, name = key.partition("/")
            parts.setdefault(part, {})[name] = value
        epochs = tuple(Epoch(**epoch) for epoch in kept.facts["epochs"])
        finished = int(kept.facts["finished"])  # epochs of the networks that are trained
        state = MemberState(epochs[finished:], **{part: parts.get(part, {}) for part in _PARTS})
        return cls(tuple(parts[f"done{n}"] for n in range(int(kept.facts["done"]))), epochs[:finished], state)

    def kept_state(self) -> KeptState:
        """Return it as a keeper keeps it."""
        parts = {f"done{number}": weights for number, weights in enumerate(self.done)}
        parts |= {part: getattr(self.state, part) for part in _PARTS}
        tensors = {f"{part}/{name}": value for part, own in parts.items() for name, value in own.items()}
        epochs = [asdict(epoch) for epoch in (*self.epochs, *self.state.epochs)]
        return KeptState(tensors, {"epochs": epochs, "finished": len(self.epochs), "done": len(self.done)})
