"""The matrix products of the encoders at each precision, by the fastest kernel that the machine has.

In: a weight and a bias. Out: a function from float32 rows to float32 rows whose result for a row does not depend on
the other rows. On a CPU with oneDNN the weight is packed once into the layout that its kernels read: in float32
that measured 1.7 times the rate of torch's ordinary product (MKL) on an AMD EPYC, and it is what int8 needs.
Elsewhere the ordinary product serves.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from featstore.errors import UsageError
from featstore.records import check_choice

Linear = Callable[[Tensor], Tensor]
PRECISIONS = ("float32", "bfloat16", "int8")
FEWEST_ROWS = 4
TILED_ROWS = 32


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

    Args:
        weight: Shape: (N, K), float32.
        bias: Shape: (N,), float32.
        precision: of the product: ``float32``, ``bfloat16``, or ``int8`` (:func:`_int8`).
        device: where it shall run.

    Returns:
        a function from (n, K) to (n, N), n at least 1.

    Raises:
        UsageError: no such precision, or the machine cannot do it.
    """
    check_choice("precision", precision, PRECISIONS)
    packs = device.type == "cpu" and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if precision == "int8":
        if not packs or not torch.cpu._is_vnni_supported():
            raise UsageError(f"int8 needs a CPU with VNNI and oneDNN, not {device}; choose bfloat16 or float32.")
        return _steady(_int8(weight, bias))
    dtype = getattr(torch, precision)
    weight, bias = weight.to(device, dtype), None if bias is None else bias.to(device, dtype)
    if not packs:
        return _steady(lambda x: F.linear(x.to(dtype), weight, bias).float())
    packed, product = torch.ops.mkldnn._reorder_linear_weight(weight), torch.ops.mkldnn._linear_pointwise

    def rows(x: Tensor) -> Tensor:
        y: Tensor = product(x.to(dtype), packed, bias, "none", [], "")
        return y.float()

    tiled = precision == "bfloat16" and torch.cpu._is_amx_tile_supported()
    return _in_blocks(rows) if tiled else _steady(rows)


def _steady(product: Linear) -> Linear:
    """Keep ``product`` from seeing very few rows: kernels for those sum in another order."""

    def rows(x: Tensor) -> Tensor:
        n = len(x)
        return product(x) if n >= FEWEST_ROWS else product(F.pad(x, (0, 0, 0, FEWEST_ROWS - n)))[:n]

    return rows


def _in_blocks(product: Linear) -> Linear:
    """Give ``product`` blocks of one size only, the last one padded.

    On a processor with tile registers (AMX) the order of oneDNN's bfloat16 sums depends on the number of rows, whatever
    that number is. With 32 rows a block the product keeps 60 to 90 % of the rate that it has with all rows at once.
    """

    def rows(x: Tensor) -> Tensor:
        n = len(x)
        padded = F.pad(x, (0, 0, 0, -n % TILED_ROWS))
        return torch.cat([product(block) for block in torch.split(padded, TILED_ROWS)])[:n]

    return rows


def _int8(weight: Tensor, bias: Tensor | None) -> Linear:
    """Return the product of bytes: weights scaled by output channel, ``x`` by row, 127 for the largest of each.

    oneDNN multiplies unsigned by signed bytes, so ``x`` is shifted by 128, which the kernel takes back. A scale for
    each row rather than for the batch keeps a row's result its own.
    """
    scale = weight.abs().amax(dim=1).clamp_min_(torch.finfo(torch.float32).tiny) / 127
    packed = torch.ops.onednn.qlinear_prepack((weight / scale[:, None]).round_().to(torch.int8), None)
    zeros = torch.zeros(len(weight), dtype=torch.int64)
    product = torch.ops.onednn.qlinear_pointwise

    def rows(x: Tensor) -> Tensor:
        row = x.abs().amax(dim=1, keepdim=True).clamp_min_(torch.finfo(torch.float32).tiny) / 127
        # Through signed bytes, to which torch converts six times as fast; the sum wraps round, which is the shift.
        q = x.div(row).round_().to(torch.int8).view(torch.uint8).add_(128)
        y: Tensor = product(q, 1.0, 128, packed, scale, zeros, None, 1.0, 0, torch.float32, "none", [], "")
        y.mul_(row)
        return y if bias is None else y.add_(bias)

    return rows
