"""The checks of every weight file before an encoder uses it: the right names, the right shapes, finite numbers.

In: the tensors of a file and the shapes that its options promise. Out: the same tensors in float32, or one
error that names the file and the tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from featstore.errors import DataError

Shapes = Mapping[str, tuple[int, ...]]


def is_finite(tensor: Tensor) -> bool:
    """Whether a tensor holds neither NaN nor infinity; one pass over it, where ``torch.isfinite`` takes several."""
    return not tensor.numel() or bool(torch.isfinite(torch.stack(tensor.aminmax())).all())


def checked(path: Path, weights: Mapping[str, Tensor], required: Shapes) -> dict[str, Tensor]:
    """Return the ``required`` tensors of ``weights`` as contiguous float32 on the CPU.

    Raises:
        DataError: a tensor is missing, has another shape than the options say, or holds NaN or infinity.
    """
    result = {}
    for name, shape in required.items():
        if name not in weights:
            raise DataError(f"{path}: the tensor '{name}' {list(shape)} is missing; the file holds {sorted(weights)}.")
        tensor = weights[name]
        if tuple(tensor.shape) != tuple(shape):
            raise DataError(
                f"{path}: '{name}' has the shape {list(tensor.shape)} but the options ask for {list(shape)};"
                " weights and options are not of one model."
            )
        tensor = tensor.detach().to("cpu", torch.float32).contiguous()
        if not is_finite(tensor):
            raise DataError(f"{path}: '{name}' holds NaN or infinite values; the model was not trained or saved well.")
        result[name] = tensor
    return result
