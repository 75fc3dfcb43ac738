"""Checkpoints of a training: one safetensors file whose header also carries the facts as JSON. No pickle.

In: tensors (weights, optimiser, carried state, buffers, random state) and plain facts. Out: a file that is either
complete or absent, because it is written under another name, flushed to the disk and renamed.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from featstore.errors import DataError
from featstore.files import make_folder, write_file


def training_folder(out: Path, *, fresh: bool) -> Path:
    """Return the folder below ``out`` in which a training keeps its state. The folder is created, and emptied if
    ``fresh``."""
    folder = out / "training"
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    return folder


def save_checkpoint(path: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, object]) -> None:
    """Write a checkpoint. ``facts`` is JSON data."""
    whole = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    write_file(path, save(whole, metadata={"facts": json.dumps(facts, sort_keys=True)}))


def load_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors and facts of a checkpoint.

    Raises:
        DataError: the file is damaged, or it is not a checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (SafetensorError, KeyError, json.JSONDecodeError, struct.error) as error:
        raise DataError(
            f"{path}: not a checkpoint of a training, or damaged ({error}); delete it to begin anew."
        ) from error
