"""A trained head on disk: safetensors and JSON, no pickle.

In: a head and what it was trained on. Out: ``model.safetensors`` and ``run.json`` in a folder, and the same head
back. ``run.json`` names the encoders by identity, so that a head is never applied to the vectors of another encoder;
it is written last and holds the digest of the weights, so a folder without it, or with other weights, is no
checkpoint. Every file is written beside its place, flushed and renamed.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from classifier.features import Feature, FeatureSpec
from classifier.model import AnyHead, HeadConfig, InputConfig, make_head
from featstore.errors import DataError, MismatchError, MissingFileError

FORMAT_VERSION = 1
WEIGHTS, RUN = "model.safetensors", "run.json"


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

    @property
    def parsed_features(self) -> tuple[Feature, ...]:
        """The features as ``--features`` would name them, any encoder of the name."""
        return tuple(Feature(spec.name, spec.layer) for spec in self.features)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that at any instant the old content or the whole new one is there."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def to_json(value: Any) -> bytes:
    """Return readable JSON; a NaN is refused."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """Write ``model.safetensors`` and then ``run.json`` into ``folder``, which is created; return the facts."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = save_tensors({name: tensor.contiguous() for name, tensor in checkpoint.head.state_dict().items()})
    facts = {
        "format": FORMAT_VERSION,
        "corpus": dict(checkpoint.corpus),
        "fold": checkpoint.fold,
        "features": [asdict(spec) for spec in checkpoint.features],
        "labels": checkpoint.labels,
        "positive": checkpoint.positive,
        "tags": checkpoint.tags,
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
    write_atomically(folder / WEIGHTS, weights)
    write_atomically(folder / RUN, to_json(facts))
    return facts


def note_evaluation(folder: Path, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Add what an evaluation measured to ``run.json``; return all facts."""
    facts = {**json.loads((folder / RUN).read_text(encoding="utf-8")), "evaluation": dict(measured)}
    write_atomically(folder / RUN, to_json(facts))
    return facts


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read what :func:`save_checkpoint` wrote.

    Raises:
        MissingFileError: there is no finished checkpoint.
        DataError: a file that is not as it was written.
        MismatchError: a format that this version does not know, or weights that belong to other facts.
    """
    try:
        facts = json.loads((folder / RUN).read_text(encoding="utf-8"))
        weights = (folder / WEIGHTS).read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(f"{error.filename} does not exist; `cli train` makes it.") from error
    except ValueError as error:
        raise DataError(f"{folder / RUN} is not JSON: {error}; train again.") from error
    try:
        if facts["format"] != FORMAT_VERSION:
            raise MismatchError(f"{folder / RUN} has format {facts['format']}; this version reads {FORMAT_VERSION}.")
        if facts["weights_sha256"] != sha256(weights).hexdigest():
            raise MismatchError(f"{folder / WEIGHTS} is not the file that {RUN} describes; train again.")
        shape = facts["head"]
        head = make_head(HeadConfig(**{**shape, "inputs": tuple(InputConfig(**each) for each in shape["inputs"])}))
        head.load_state_dict(load_tensors(weights))
        return Checkpoint(
            head=head.eval(),
            features=tuple(FeatureSpec(**spec) for spec in facts["features"]),
            labels=tuple(facts["labels"]),
            positive=tuple(facts["positive"]),
            tags=tuple(facts["tags"]),
            corpus=facts["corpus"],
            fold=facts["fold"],
            config=facts["config"],
            training=facts["training"],
        )
    except (KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise DataError(f"{folder} does not hold a checkpoint as it was written ({error}); train again.") from error
