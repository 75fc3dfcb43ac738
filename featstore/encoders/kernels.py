"""The matrix products of the encoders at each precision, by the fastest kernel that the machine has.

In: a weight and a bias. Out: a function from float32 rows to float32 rows. On a CPU with oneDNN the weight is packed
once into the layout that its kernels read; elsewhere it is torch's ordinary product.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from featstore.errors import UsageError
from featstore.records import check_choice

Linear = Callable[[Tensor], Tensor]
PRECISIONS = ("float32", "bfloat16")
FEWEST_ROWS = 4


def device_of(name: str) -> torch.device:
    """Return torch's device of that name.

    Raises:
        UsageError: there is no such device here.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"device '{name}' cannot be used here ({error}); choose cpu, or cuda where there is one."
        ) from error
    return device


def linear(weight: Tensor, bias: Tensor | None, precision: str, device: torch.device) -> Linear:
    """Return ``x -> x @ weight.T + bias`` for float32 ``x``.

    Shape: weight (N, K), bias (N,); x (n, K), returns (n, N).

    Raises:
        UsageError: no such precision.
    """
    check_choice("precision", precision, PRECISIONS)
    dtype = getattr(torch, precision)
    weight, bias = weight.to(device, dtype), None if bias is None else bias.to(device, dtype)
    if device.type == "cpu" and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        packed = torch.ops.mkldnn._reorder_linear_weight(weight)

        def product(x: Tensor) -> Tensor:
            return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")  # type: ignore[no-any-return]
    else:

        def product(x: Tensor) -> Tensor:
            return F.linear(x, weight, bias)

    def rows(x: Tensor) -> Tensor:
        # A product of very few rows sums in another order; padded, a row's result never depends on the others.
        few = max(0, FEWEST_ROWS - len(x))
        return product(F.pad(x, (0, 0, 0, few)).to(dtype))[: len(x)].float()

    return rows
