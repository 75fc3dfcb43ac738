"""An unfinished training of a tagger on disk, so that an interrupted one goes on with the epoch it was in.

In: the state after an epoch, and a digest of everything that determines the training. Out: the file that
:mod:`classifier.training.resume` writes, and the same state back if the digest still fits.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from classifier.entities.facts import TaggerEpoch
from classifier.entities.loop import TaggerState
from classifier.training.resume import by_part, read_unfinished, write_unfinished

_PARTS = ("weights", "average", "best", "optimizer")


def save_state(folder: Path, state: TaggerState, digest: str) -> None:
    """Write the state of a training into its folder, which is created."""
    tensors = {f"{part}/{name}": value.clone() for part in _PARTS for name, value in getattr(state, part).items()}
    write_unfinished(folder, tensors, {"epochs": json.dumps([asdict(epoch) for epoch in state.epochs])}, digest)


def load_state(folder: Path, digest: str) -> TaggerState | None:
    """Return the state that :func:`save_state` wrote, or None if there is none of this training."""
    found = read_unfinished(folder, digest)
    if found is None:
        return None
    tensors, facts = found
    try:
        epochs = tuple(TaggerEpoch(**epoch) for epoch in json.loads(facts["epochs"]))
        return TaggerState(epochs=epochs, **by_part(tensors, _PARTS))
    except (KeyError, TypeError, ValueError):
        return None  # nothing of use: training begins anew
