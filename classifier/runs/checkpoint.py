"""A trained head on disk: safetensors and JSON, no pickle.

In: a head and what it was trained on. Out: ``model.safetensors`` and ``run.json`` in a folder, and the same head
back. ``run.json`` names the encoders by identity, so that a head is never applied to the vectors of another encoder;
it is written last and holds the digest of the weights, so a folder without it, or with other weights, is no
checkpoint. Every file is written beside its place, flushed and renamed. What is read may come from anywhere: no number
in the JSON makes anything large before the weights have been held against it.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from classifier.data.features import Feature, FeatureSpec
from classifier.data.pairing import Pairing
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import AnyHead, make_head
from featstore.errors import DataError, MismatchError, MissingFileError
from featstore.files import make_folder, read_text, write_file
from featstore.fingerprint import fingerprint

FORMAT_VERSION = 2  # 1: projections were not scaled where they are applied, and blinded sentences had tags for nouns
WEIGHTS, RUN = "model.safetensors", "run.json"
_MOST_PARTS = 100
_MOST_JSON = 4 << 20  # bytes; the epochs of a long run take a tenth of it


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A trained head and what belongs to it.

    Attributes:
        head: the head, in evaluation mode.
        features: what it reads, in order.
        labels: its labels, in the order of its scores.
        positive: the labels that the corpus's official score counts.
        tags: names of its learned tag vectors, in order.
        corpus: spec, name, digest, context and indicators of the corpus it was trained on.
        fold: the fold.
        config: the training configuration, as plain data.
        training: what training measured, as plain data.
        pairing: how the pairs it was trained on were made; None if an earlier version trained it.
        encoders: for each encoder the facts behind its identity; empty if an earlier version trained it.
    """

    head: AnyHead
    features: tuple[FeatureSpec, ...]
    labels: tuple[str, ...]
    positive: tuple[str, ...]
    tags: tuple[str, ...]
    corpus: Mapping[str, str]
    fold: int
    config: Mapping[str, Any]
    training: Mapping[str, Any]
    pairing: Pairing | None = None
    encoders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """A digest (64 hex digits) of all that its answers depend on: weights, encoders, labels, marking."""
        facts = {
            "weights": sha256(_weights(self.head)).hexdigest(),
            "features": [asdict(spec) for spec in self.features],
            "labels": self.labels,
            "tags": self.tags,
            "marking": {name: self.corpus.get(name) for name in ("indicators", "context")},
            "pairing": asdict(self.pairing) if self.pairing else None,
        }
        return fingerprint(facts)

    @property
    def parsed_features(self) -> tuple[Feature, ...]:
        """The features as ``--features`` would name them, any encoder of the name."""
        return tuple(Feature(spec.name, spec.layer) for spec in self.features)


def to_json(value: Any) -> bytes:
    """Return readable JSON; a NaN is refused."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """Write ``model.safetensors`` and then ``run.json`` into ``folder``, which is created; return the facts."""
    make_folder(folder)
    weights = _weights(checkpoint.head)
    facts = {
        "format": FORMAT_VERSION,
        "corpus": dict(checkpoint.corpus),
        "fold": checkpoint.fold,
        "features": [asdict(spec) for spec in checkpoint.features],
        "labels": checkpoint.labels,
        "positive": checkpoint.positive,
        "tags": checkpoint.tags,
        "pairing": asdict(checkpoint.pairing) if checkpoint.pairing else None,
        "encoders": {name: dict(facts) for name, facts in checkpoint.encoders.items()},
        "head": asdict(checkpoint.head.config),
        "config": dict(checkpoint.config),
        "training": dict(checkpoint.training),
        "weights_sha256": sha256(weights).hexdigest(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("featstore", "torch", "numpy", "safetensors")},
        },
        "machine": {"processor": platform.machine(), "system": platform.system()},
    }
    (folder / RUN).unlink(missing_ok=True)  # the old facts must not stand beside the new weights
    write_file(folder / WEIGHTS, weights)
    write_file(folder / RUN, to_json(facts))
    return facts


def note_evaluation(folder: Path, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Add what an evaluation measured to ``run.json``; return all facts."""
    facts = {**json.loads((folder / RUN).read_text(encoding="utf-8")), "evaluation": dict(measured)}
    write_file(folder / RUN, to_json(facts))
    return facts


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read what :func:`save_checkpoint` wrote.

    Raises:
        MissingFileError: there is no finished checkpoint.
        DataError: a file that is not as it was written.
        MismatchError: a format that this version does not know, or weights that belong to other facts.
    """
    facts = read_json(folder / RUN, "`cli train` makes it")
    try:
        weights = (folder / WEIGHTS).read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(f"{error.filename} does not exist; `cli train` makes it.") from error
    try:
        if facts["format"] != FORMAT_VERSION:
            raise MismatchError(
                f"{folder / RUN} has format {facts['format']}; this version reads {FORMAT_VERSION}. Train it again: "
                "`cli train --config` with the config.toml above it."
            )
        if facts["weights_sha256"] != sha256(weights).hexdigest():
            raise MismatchError(f"{folder / WEIGHTS} is not the file that {RUN} describes; train again.")
        # Heads of earlier versions said that they do not classify the mentions' states; none does now.
        shape = {name: value for name, value in facts["head"].items() if (name, value) != ("spans", False)}
        pairing = facts.get("pairing")
        checkpoint = Checkpoint(
            head=_head(HeadConfig(**{**shape, "inputs": tuple(InputConfig(**i) for i in shape["inputs"])}), weights),
            features=tuple(FeatureSpec(**spec) for spec in facts["features"]),
            labels=_words(facts["labels"]),
            positive=_words(facts["positive"]),
            tags=_words(facts["tags"]),
            corpus=dict(facts["corpus"]),
            fold=facts["fold"],
            config=facts["config"],
            training=facts["training"],
            pairing=_pairing(pairing) if pairing else None,
            encoders={name: dict(known) for name, known in facts.get("encoders", {}).items()},
        )
        _check_consistent(checkpoint)
        return checkpoint
    except (MismatchError, DataError):
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, SafetensorError) as error:
        raise DataError(f"{folder} does not hold a checkpoint as it was written ({error}); train again.") from error


def read_json(path: Path, made_by: str) -> Any:
    """Read a JSON file that may come from anywhere.

    Args:
        path: the file.
        made_by: what makes such a file, for the message.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is not JSON, too large, or nested too deeply.
    """
    text = read_text(path, f"; {made_by}.", most=_MOST_JSON)
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}; {made_by}.") from error


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


def _words(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
        raise TypeError(f"a list of words is wanted, not {str(given)[:60]}")
    return tuple(given)


def _pairing(given: Any) -> Pairing:
    kinds = [_words(kind) for kind in given["kinds"]]
    if not all(len(kind) == 2 for kind in kinds):
        raise ValueError("a pair has two types")
    _words(list(given["words"].values()))
    return Pairing(tuple((head, tail) for head, tail in kinds), dict(given["words"]))


def _check_consistent(checkpoint: Checkpoint) -> None:
    """Raise ValueError where two facts contradict each other."""
    config = checkpoint.head.config
    if (config.labels, config.tags) != (len(checkpoint.labels), len(checkpoint.tags)):
        raise ValueError("the head has another number of labels or tags than there are names")
    if tuple(InputConfig(spec.dim, spec.layers) for spec in checkpoint.features) != config.inputs:
        raise ValueError("the head's inputs are not the features")
    if not set(checkpoint.positive) < set(checkpoint.labels):
        raise ValueError("the positive labels are not among the labels, or are all of them")
