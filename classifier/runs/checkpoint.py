"""A trained head on disk: safetensors and JSON, no pickle.

In: a head and what it was trained on. Out: ``model.safetensors`` and ``run.json`` in a folder, and the same head
back. ``run.json`` names the encoders by identity, so that a head is never applied to the vectors of another encoder;
it is written last and holds the digest of the weights, so a folder without it, or with other weights, is no
checkpoint. Every file is written beside its place, flushed and renamed. What is read may come from anywhere: no number
in the JSON makes anything large before the weights have been held against it.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from classifier.data.features import Feature, FeatureSpec
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import AnyHead, make_head
from classifier.runs.facts import (
    FORMAT_VERSION,
    RUN,
    WEIGHTS,
    CorpusFacts,
    EvaluationFacts,
    MachineFacts,
    RunFacts,
    TrainingFacts,
    read_run,
    to_json,
)
from classifier.runs.weights import read_weights
from classifier.training.config import TrainConfig
from featstore.errors import DataError, MismatchError, UsageError
from featstore.files import make_folder, write_file
from featstore.fingerprint import fingerprint
from featstore.pairing import Pairing

_MOST_PARTS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A trained head and what belongs to it.

    Attributes:
        head: the head, in evaluation mode.
        features: what it reads, in order.
        labels: its labels, in the order of its scores.
        positive: the labels that the corpus's official score counts.
        tags: names of its learned tag vectors, in order.
        corpus: the corpus it was trained on.
        fold: the fold.
        config: how it was trained.
        training: what training measured.
        pairing: how the pairs it was trained on were made; None if an earlier version trained it.
        encoders: for each encoder the facts behind its identity; empty if an earlier version trained it.
        has_attention: whether its predictions hold weights of the tokens.
    """

    head: AnyHead
    features: tuple[FeatureSpec, ...]
    labels: tuple[str, ...]
    positive: tuple[str, ...]
    tags: tuple[str, ...]
    corpus: CorpusFacts
    fold: int
    config: TrainConfig
    training: TrainingFacts
    pairing: Pairing | None = None
    encoders: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    has_attention: ClassVar[bool] = True

    @property
    def fingerprint(self) -> str:
        """A digest (64 hex digits) of all that its answers depend on: weights, encoders, labels, marking."""
        facts = {
            "weights": sha256(_weights(self.head)).hexdigest(),
            "features": [asdict(spec) for spec in self.features],
            "labels": self.labels,
            "tags": self.tags,
            "marking": {"indicators": self.corpus.indicators, "context": self.corpus.context},
            "pairing": asdict(self.pairing) if self.pairing else None,
        }
        return fingerprint(facts)

    @property
    def parsed_features(self) -> tuple[Feature, ...]:
        """The features as ``--features`` would name them, any encoder of the name."""
        return tuple(Feature(spec.name, spec.layer) for spec in self.features)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> RunFacts:
    """Write ``model.safetensors`` and then ``run.json`` into ``folder``, which is created; return the facts."""
    make_folder(folder)
    weights = _weights(checkpoint.head)
    facts = RunFacts(
        format=FORMAT_VERSION,
        corpus=checkpoint.corpus,
        fold=checkpoint.fold,
        features=checkpoint.features,
        labels=checkpoint.labels,
        positive=checkpoint.positive,
        tags=checkpoint.tags,
        pairing=checkpoint.pairing,
        encoders=checkpoint.encoders,
        head=checkpoint.head.config,
        config=checkpoint.config,
        training=checkpoint.training,
        weights_sha256=sha256(weights).hexdigest(),
        versions=versions(),
        machine=MachineFacts(platform.machine(), platform.system()),
    )
    (folder / RUN).unlink(missing_ok=True)  # the old facts must not stand beside the new weights
    write_file(folder / WEIGHTS, weights)
    write_file(folder / RUN, to_json(facts))
    return facts


def versions(*more: str) -> dict[str, str]:
    """Return the versions of python and of the libraries that every model rests on, and of ``more`` packages."""
    packages = ("featstore", "torch", "numpy", "safetensors", *more)
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def note_evaluation(folder: Path, measured: EvaluationFacts) -> RunFacts:
    """Add what an evaluation measured to ``run.json``; return all facts."""
    facts = replace(read_run(folder), evaluation=measured)
    write_file(folder / RUN, to_json(facts))
    return facts


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read what :func:`save_checkpoint` wrote.

    Raises:
        MissingFileError: there is no finished checkpoint.
        DataError: a file that is not as it was written.
        MismatchError: a format that this version does not know, or weights that belong to other facts.
    """
    facts = read_run(folder)
    if facts.system:
        raise UsageError(f"{folder}: a fold of a head is needed here; this one is of the system '{facts.system.name}'.")
    shape, config = facts.of_head
    if facts.format != FORMAT_VERSION:
        raise MismatchError(
            f"{folder / RUN} has format {facts.format}; this version reads heads of format {FORMAT_VERSION}. Train it "
            "again: `cli train --config` with the config.toml above it."
        )
    weights = read_weights(folder / WEIGHTS, facts.weights_sha256, RUN, "`cli train` makes it")
    try:
        _check_consistent(facts, shape)
        head = _head(shape, weights)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise DataError(f"{folder} does not hold a checkpoint as it was written ({error}); train again.") from error
    return Checkpoint(
        head=head,
        features=facts.features,
        labels=facts.labels,
        positive=facts.positive,
        tags=facts.tags,
        corpus=facts.corpus,
        fold=facts.fold,
        config=config,
        training=facts.training,
        pairing=facts.pairing,
        encoders=facts.encoders,
    )


def _weights(head: AnyHead) -> bytes:
    return save_tensors({name: tensor.contiguous() for name, tensor in head.state_dict().items()})


def _head(config: HeadConfig, weights: bytes) -> AnyHead:
    """Return the head of ``config`` with ``weights``; nothing is allocated before the two were found to fit."""
    if not (1 <= config.members <= _MOST_PARTS and len(config.inputs) <= _MOST_PARTS):
        raise ValueError(f"{config.members} members with {len(config.inputs)} inputs are no head")
    with torch.device("meta"):
        head = make_head(config)
    tensors: dict[str, Tensor] = load_tensors(weights)
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32:
            raise ValueError(f"'{name}' is {tensor.dtype}, not float32")
    head.load_state_dict(tensors, assign=True)
    return head.eval()


def _check_consistent(facts: RunFacts, head: HeadConfig) -> None:
    """Raise ValueError where two facts contradict each other."""
    if (head.labels, head.tags) != (len(facts.labels), len(facts.tags)):
        raise ValueError("the head has another number of labels or tags than there are names")
    if tuple(InputConfig(spec.dim, spec.layers) for spec in facts.features) != head.inputs:
        raise ValueError("the head's inputs are not the features")
    if not set(facts.positive) < set(facts.labels):
        raise ValueError("the positive labels are not among the labels, or are all of them")
