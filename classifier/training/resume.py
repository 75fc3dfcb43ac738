"""An unfinished training on disk, so that an interrupted fold goes on from its last saved epoch.

In: the state after an epoch, and a digest of everything that determines the training. Out: one safetensors file, which
is replaced as a whole, and the same state read back if the digest still fits. Training depends on (seed, epoch) alone,
so an interrupted fold ends with the same bytes as an uninterrupted one.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from classifier.training.epoch import Epoch
from classifier.training.loop import TrainState
from featstore.files import make_folder, write_file

UNFINISHED = "unfinished.safetensors"
_PARTS = ("head", "average", "best", "optimizer")


def save_state(folder: Path, state: TrainState, digest: str) -> None:
    """Write the state of a training into its fold's folder, which is created."""
    make_folder(folder)
    tensors = {f"{part}/{name}": value for part in _PARTS for name, value in getattr(state, part).items()}
    facts = {"digest": digest, "epochs": json.dumps([asdict(epoch) for epoch in state.epochs])}
    write_file(folder / UNFINISHED, save(tensors, facts))


def load_state(folder: Path, digest: str) -> TrainState | None:
    """Return the state that :func:`save_state` wrote, or None if there is none of this training."""
    try:
        with safe_open(folder / UNFINISHED, framework="pt") as file:
            facts = file.metadata()
            if facts["digest"] != digest:
                return None
            parts: dict[str, dict[str, Tensor]] = {part: {} for part in _PARTS}
            for key in file.keys():  # noqa: SIM118  (not a dictionary)
                part, _, name = key.partition("/")
                parts[part][name] = file.get_tensor(key)
            return TrainState(epochs=tuple(Epoch(**epoch) for epoch in json.loads(facts["epochs"])), **parts)
    except (FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError, struct.error):
        return None  # there is no usable state: training starts from the beginning
