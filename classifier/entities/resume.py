"""An unfinished training of a tagger on disk, so that an interrupted one goes on with the epoch it was in.

In: the state after an epoch, and a digest of everything that determines the training. Out: one safetensors file,
replaced as a whole, and the same state back if the digest still fits.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from classifier.entities.loop import TaggerEpoch, TaggerState
from featstore.files import write_file

UNFINISHED = "unfinished.safetensors"
_PARTS = ("weights", "average", "best", "optimizer")


def save_state(folder: Path, state: TaggerState, digest: str) -> None:
    """Write the state of a training into its folder, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"{part}/{name}": value.clone() for part in _PARTS for name, value in getattr(state, part).items()}
    facts = {"digest": digest, "epochs": json.dumps([asdict(epoch) for epoch in state.epochs])}
    write_file(folder / UNFINISHED, save(tensors, facts))


def load_state(folder: Path, digest: str) -> TaggerState | None:
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
            return TaggerState(epochs=tuple(TaggerEpoch(**e) for e in json.loads(facts["epochs"])), **parts)
    except (FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError, struct.error):
        return None  # nothing there, or nothing of use: training begins anew
