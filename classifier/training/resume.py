"""An unfinished training on disk, so that an interrupted fold goes on from its last saved epoch.

In: the state after an epoch, and a digest of everything that determines the training. Out: one safetensors file, which
is replaced as a whole, and the same state read back if the digest still fits. Training depends on (seed, epoch) alone,
so an interrupted fold ends with the same bytes as an uninterrupted one. What a teacher said stands in the file too,
from before the first epoch, because asking it may take longer than the training.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from classifier.training.epoch import Epoch
from classifier.training.loop import TrainState
from featstore.files import clear_errors, make_folder, put_in_place

UNFINISHED = "unfinished.safetensors"
_PARTIAL = f".{UNFINISHED}.partial"  # of a process that was killed as it wrote
_PARTS = ("head", "average", "best", "optimizer")
_JUDGED = "teacher/probabilities"


def save_judged(folder: Path, judged: Tensor, digest: str) -> None:
    """Write what a teacher said before the first epoch of a training; it takes the place of the training's state."""
    write_unfinished(folder, {_JUDGED: judged}, {}, digest)


def load_judged(folder: Path, digest: str) -> Tensor | None:
    """Return what the teacher of a training said before, or None if it was not asked yet."""
    found = read_unfinished(folder, digest)
    return found[0].get(_JUDGED) if found else None


def save_state(folder: Path, state: TrainState, digest: str, judged: Tensor | None = None) -> None:
    """Write the state of a training into its fold's folder, which is created.

    Args:
        folder: of the fold.
        state: the state.
        digest: of everything that determines the training.
        judged: what its teacher said, if it has one.
    """
    tensors = {f"{part}/{name}": value for part in _PARTS for name, value in getattr(state, part).items()}
    if judged is not None:
        tensors[_JUDGED] = judged
    epochs = json.dumps([asdict(epoch) for epoch in state.epochs])
    write_unfinished(folder, tensors, {"epochs": epochs, "refit": json.dumps(state.refit)}, digest)


def load_state(folder: Path, digest: str) -> TrainState | None:
    """Return the state that :func:`save_state` wrote, or None if there is none of this training."""
    found = read_unfinished(folder, digest)
    if found is None:
        return None
    tensors, facts = found
    try:
        parts = by_part({name: value for name, value in tensors.items() if name != _JUDGED}, _PARTS)
        epochs = tuple(Epoch(**epoch) for epoch in json.loads(facts["epochs"]))
        losses = json.loads(facts["refit"])
        return TrainState(epochs=epochs, **parts, refit=None if losses is None else tuple(map(float, losses)))
    except (KeyError, TypeError, ValueError):
        return None  # there is no usable state: training starts from the beginning


def by_part(tensors: Mapping[str, Tensor], parts: Sequence[str]) -> dict[str, dict[str, Tensor]]:
    """Return tensors that are named ``PART/NAME`` by part and name.

    Raises:
        KeyError: one is of none of ``parts``.
    """
    found: dict[str, dict[str, Tensor]] = {part: {} for part in parts}
    for key, tensor in tensors.items():
        part, _, name = key.partition("/")
        found[part][name] = tensor
    return found


def write_unfinished(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str], digest: str) -> None:
    """Write tensors and facts of an unfinished training into its fold's folder, which is created.

    Args:
        folder: of the fold.
        tensors: by name.
        facts: what else the training goes on from.
        digest: of everything that determines the training.
    """
    make_folder(folder)
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    partial = folder / _PARTIAL
    with clear_errors(partial):
        save_file(whole, partial, {**facts, "digest": digest})  # straight to the disk: no second copy in memory
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        put_in_place(partial, folder / UNFINISHED)


def forget_unfinished(folder: Path) -> None:
    """Remove the state of a training from its fold's folder, where it is of no use any more."""
    for name in (UNFINISHED, _PARTIAL):
        (folder / name).unlink(missing_ok=True)


def read_unfinished(folder: Path, digest: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """Return the tensors and facts that :func:`write_unfinished` wrote, or None if there are none of this training."""
    try:
        with safe_open(folder / UNFINISHED, framework="pt") as file:
            facts = dict(file.metadata() or {})
            if facts.get("digest") != digest:
                return None
            return {key: file.get_tensor(key) for key in file.keys()}, facts  # noqa: SIM118  (not a dictionary)
    except (FileNotFoundError, SafetensorError, ValueError, struct.error):
        return None  # there is no usable state: training starts from the beginning
