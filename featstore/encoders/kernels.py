"""The matrix products of the encoders at each precision, by the fastest kernel that the machine has.

In: a weight and a bias. Out: a function from float32 rows to float32 rows whose result for a row does not depend on
the other rows, and which asks for kernels of a few shapes only. On a CPU with oneDNN the weight is packed once into the
layout that its kernels read: in float32 this was 1.7 times as fast as torch's ordinary product (MKL) on an AMD EPYC,
and int8 needs it. On an Intel Xeon MKL is 1.2 times as fast as oneDNN with many rows and up to 5 times with few, where
the weight stays in the processor's cache. Elsewhere the ordinary product is used.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from featstore.encoders.options import PRECISIONS
from featstore.errors import UsageError, check_choice

Linear = Callable[[Tensor], Tensor]
Adding = Callable[[Tensor, Tensor], Tensor]
FEWEST_ROWS = 4
TILED_ROWS = 32
MOST_ROWS = 512  # of one product; more are not faster
MKL_INPUTS = 512  # up to which MKL sums in one order, however many rows there are, if they are two at least
MKL_NUMBERS = 1 << 20  # in a weight of which MKL is faster than oneDNN


def linear(weight: Tensor, bias: Tensor | None, precision: str, device: torch.device) -> Linear:
    """Return ``x -> x @ weight.T + bias`` for float32 ``x``.

    Args:
        weight: Shape: (N, K), float32.
        bias: Shape: (N,), float32.
        precision: precision of the product: ``float32``, ``bfloat16``, or ``int8`` (:func:`_bytes`).
        device: the device to run on.

    Returns:
        a function from (n, K) to (n, N), n at least 1.

    Raises:
        UsageError: the precision does not exist, or this machine does not support it.
    """
    check_choice("precision", precision, PRECISIONS)
    if _suits_mkl(weight, precision, device):
        return _by_mkl(weight, bias)
    if precision == "int8":
        return _steady(_int8(weight, bias, device))
    packs = _packs(device)
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


def adding(weight: Tensor, precision: str, device: torch.device) -> Adding:
    """Return ``y, x -> y.add_(x @ weight.T)``; see :func:`linear`."""
    if _suits_mkl(weight, precision, device):
        return _added_by_mkl(weight.t().contiguous())
    if precision == "int8":
        return _added_in_int8(weight, device)
    product = linear(weight, None, precision, device)
    return lambda y, x: y.add_(product(x))


def _packs(device: torch.device) -> bool:
    """Say whether oneDNN multiplies on ``device``, by weights that are packed once."""
    return device.type == "cpu" and torch.backends.mkldnn.is_available()


def _suits_mkl(weight: Tensor, precision: str, device: torch.device) -> bool:
    """Say whether MKL multiplies by ``weight`` fastest, and such that a row does not depend on the others."""
    small = weight.shape[1] <= MKL_INPUTS and weight.numel() <= MKL_NUMBERS
    return precision == "float32" and device.type == "cpu" and small and _has_mkl_on_intel()


@cache
def _has_mkl_on_intel() -> bool:
    """Say whether torch has MKL and the processor is Intel's; on others MKL may take slower ways."""
    if not torch.backends.mkl.is_available():
        return False
    facts = Path("/proc/cpuinfo")
    if not facts.is_file():
        return "GenuineIntel" in platform.processor()
    with facts.open(encoding="utf-8", errors="replace") as file:
        return "GenuineIntel" in file.read(1024)  # the first processor's, as there may be hundreds


def _by_mkl(weight: Tensor, bias: Tensor | None) -> Linear:
    """Return a product by MKL. For one row it would have another kernel, which sums in another order."""
    turned = weight.t().contiguous()

    def rows(x: Tensor) -> Tensor:
        n = len(x)
        if n > MOST_ROWS:
            return torch.cat([rows(block) for block in torch.split(x, MOST_ROWS)])
        if n == 1:
            x = x.expand(2, -1)
        y = torch.mm(x, turned) if bias is None else torch.addmm(bias, x, turned)
        return y[:1] if n == 1 else y

    return rows


def _added_by_mkl(turned: Tensor) -> Adding:
    """Return a product by MKL that is added to what is there; Shape: (K, N)."""

    def add(y: Tensor, x: Tensor) -> Tensor:
        if len(x) == 1:
            return y.copy_(torch.addmm(y.expand(2, -1), x.expand(2, -1), turned)[:1])
        return y.addmm_(x, turned)

    return add


def _steady(product: Linear) -> Linear:
    """Give ``product`` inputs of a few sizes only, filled up with zeros.

    oneDNN keeps a compiled kernel for each number of rows that it has met, a few hundred kilobytes each. For very few
    rows ``product`` has other kernels, which sum in another order.
    """

    def rows(x: Tensor) -> Tensor:
        n = len(x)
        if n > MOST_ROWS:
            return torch.cat([rows(block) for block in torch.split(x, MOST_ROWS)])
        return product(_whole(x))[:n]

    return rows


def _whole(x: Tensor) -> Tensor:
    """Return ``x`` filled up with rows of zeros to :func:`whole_size`."""
    missing = whole_size(len(x)) - len(x)
    return F.pad(x, (0, 0, 0, missing)) if missing else x


def whole_size(n: int) -> int:
    """Return the number of rows that ``n`` rows are filled up to: a power of two from 4 to 32, or a multiple of 32."""
    return max(FEWEST_ROWS, 1 << (n - 1).bit_length()) if n <= TILED_ROWS else n + -n % TILED_ROWS


def _in_blocks(product: Linear) -> Linear:
    """Give ``product`` blocks of one size only, the last one padded.

    On a processor with tile registers (AMX) the order of oneDNN's bfloat16 sums depends on the number of rows. In
    blocks of 32 rows the product runs at 60 to 90 % of the rate that it has with all rows at once.
    """

    def rows(x: Tensor) -> Tensor:
        n = len(x)
        padded = F.pad(x, (0, 0, 0, -n % TILED_ROWS))
        return torch.cat([product(block) for block in torch.split(padded, TILED_ROWS)])[:n]

    return rows


def _int8(weight: Tensor, bias: Tensor | None, device: torch.device) -> Linear:
    """Return a product of bytes; see :func:`_bytes`."""
    product = _bytes(weight, device)

    def rows(x: Tensor) -> Tensor:
        y, scale = product(x)
        y.mul_(scale)
        return y if bias is None else y.add_(bias)

    return rows


def _added_in_int8(weight: Tensor, device: torch.device) -> Adding:
    """Return a product of bytes that is scaled as it is added, in one pass over what may be several megabytes."""
    product = _bytes(weight, device)

    def add(y: Tensor, x: Tensor) -> Tensor:
        for sums, block in zip(torch.split(y, MOST_ROWS), torch.split(x, MOST_ROWS), strict=True):
            n, (unscaled, scale) = len(block), product(_whole(block))
            sums.addcmul_(unscaled[:n], scale[:n])
        return y

    return add


def _bytes(weight: Tensor, device: torch.device) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return a product of bytes: ``x`` to rows of ``x @ weight.T``, and what each row is still to be multiplied by.

    Weights are scaled by output channel and ``x`` by row, so that the largest value is 127. Each row has its own scale,
    so its result does not depend on the batch. oneDNN multiplies unsigned by signed bytes, so ``x`` is shifted by 128,
    which the kernel subtracts again.

    Raises:
        UsageError: this machine does not support it.
    """
    if not _packs(device) or not torch.cpu._is_vnni_supported():
        raise UsageError(f"int8 needs a CPU with VNNI and oneDNN, not {device}; choose bfloat16 or float32.")
    tiny = torch.finfo(torch.float32).tiny
    scale = weight.abs().amax(dim=1).clamp_min_(tiny) / 127
    packed = torch.ops.onednn.qlinear_prepack((weight / scale[:, None]).round_().to(torch.int8), None)
    zeros = torch.zeros(len(weight), dtype=torch.int64)
    product = torch.ops.onednn.qlinear_pointwise

    def rows(x: Tensor) -> tuple[Tensor, Tensor]:
        # Two passes that write nothing but a column are faster than one that writes all absolute values.
        row = torch.maximum(x.amax(1, keepdim=True), x.amin(1, keepdim=True).neg_()).clamp_min_(tiny).div_(127)
        # Through signed bytes, to which torch converts six times as fast; the sum wraps round, which is the shift.
        q = x.div(row).round_().to(torch.int8).view(torch.uint8).add_(128)
        return product(q, 1.0, 128, packed, scale, zeros, None, 1.0, 0, torch.float32, "none", [], ""), row

    return rows
