"""The LSTM stack that CSE and ELMo share, run over a schedule of lanes.

In: the weights of the layers and, block by block, their input. Out: every layer's output rows for the block; the
state stays with the runner from block to block, so the memory does not depend on how long a sentence is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from featstore.encoders.kernels import Linear, linear
from featstore.encoders.lanes import Ints, LaneSchedule

# Rows of the input that are projected in one product: enough for the full rate, few enough to stay small.
BLOCK_ROWS = 512

# torch handles the last elements of a stretch that does not fill this many one by one, and they round differently.
VECTOR = 32


@dataclass(frozen=True, slots=True, eq=False)
class LSTMLayer:
    """One layer in one direction, ready to run; :func:`lstm_layer` makes it.

    Attributes:
        ih: input (n, D) to gates (n, 4 H), the whole bias in it.
        hh: state (n, P) to gates (n, 4 H).
        hr: output (n, H) to state (n, P), or None where the output is the state (P = H).
        hidden: H, rounded up to a multiple of VECTOR; the added units stay zero.
        width: P.
        cell_clip: bound of the cell state; None if it is not clipped.
        proj_clip: bound of the projected state; None if it is not clipped.
        skip: whether the input is added to the output.
    """

    ih: Linear
    hh: Linear
    hr: Linear | None
    hidden: int
    width: int
    cell_clip: float | None
    proj_clip: float | None
    skip: bool


def lstm_layer(
    ih: Tensor,
    hh: Tensor,
    bias: Tensor,
    hr: Tensor | None = None,
    *,
    device: torch.device,
    precision: str,
    input_precision: str | None = None,
    cell_clip: float | None = None,
    proj_clip: float | None = None,
    skip: bool = False,
) -> LSTMLayer:
    """Make a layer from weights in torch's layout.

    Args:
        ih: Shape: (4 H, D), gates i, f, g, o.
        hh: Shape: (4 H, P).
        bias: Shape: (4 H,), the sum of all.
        hr: Shape: (P, H), or None.
        device: the device to run on.
        precision: precision of its matrix products.
        input_precision: precision of the product with the input, if it is another one.
        cell_clip: bound of the cell.
        proj_clip: bound of the projected state.
        skip: whether the input is added to the output.
    """
    hidden = len(bias) // 4
    room = -hidden % VECTOR
    if hr is None:
        hh = F.pad(hh, (0, room))
    return LSTMLayer(
        ih=linear(_gates(ih, room), _gates(bias[:, None], room)[:, 0], input_precision or precision, device),
        hh=linear(_gates(hh, room), None, precision, device),
        hr=None if hr is None else linear(F.pad(hr, (0, room)), None, precision, device),
        hidden=hidden + room,
        width=hidden + room if hr is None else len(hr),
        cell_clip=cell_clip,
        proj_clip=proj_clip,
        skip=skip,
    )


def _gates(rows: Tensor, room: int) -> Tensor:
    """Put the gates of a weight (4 H, K) in the order i, f, o, g, add ``room`` units, and multiply gate g by -2.

    Then all four gates are sigmoids, because tanh(x) = 1 - 2 sigmoid(-2 x), and torch's sigmoid takes a sixth of the
    time of its tanh. Multiplying by -2 is exact. A unit with zero weights keeps its cell and its output at zero.
    """
    i, f, g, o = (F.pad(gate, (0, 0, 0, room)) for gate in rows.chunk(4))
    return torch.cat([i, f, o, -2 * g])


class WantedStates:
    """The rows of a plan whose outputs are kept, found on the host so that a device never has to wait."""

    def __init__(self, plan: LaneSchedule, target: Ints, device: torch.device) -> None:
        """Store where the output of each item goes; -1 if it is not wanted. Shape: target (items,)."""
        goes = target[plan.rows]
        self._at = np.flatnonzero(goes >= 0)
        self._rows = torch.from_numpy(self._at).to(device)
        self._goes = torch.from_numpy(goes[self._at]).to(device)

    def within(self, block: slice) -> tuple[Tensor, Tensor]:
        """Return the wanted rows of a block, counted from its first, and where they go; Shape: (n,) each."""
        low, high = np.searchsorted(self._at, (block.start, block.stop))
        return self._rows[low:high] - block.start, self._goes[low:high]


def run(
    layers: Sequence[LSTMLayer], plan: LaneSchedule, source: Linear, device: torch.device
) -> Iterator[tuple[slice, list[Tensor]]]:
    """Run ``layers`` over ``plan``.

    Args:
        layers: from the lowest up.
        plan: which item is read when.
        source: gives the input of items (rows of the first layer's ``ih``).
        device: where the weights are.

    Yields:
        the rows of ``plan`` that a block covers, and each layer's output for them; Shape: (rows, P).
    """
    states = [
        (torch.zeros(plan.lanes, layer.width, device=device), torch.zeros(plan.lanes, layer.hidden, device=device))
        for layer in layers
    ]
    rows = torch.from_numpy(plan.rows).to(device)
    resets = {step: torch.from_numpy(lanes).to(device) for step, lanes in plan.resets.items()}
    with _denormals_flushed():
        for steps in plan.blocks(BLOCK_ROWS):
            begins = plan.begins[steps.start : steps.stop + 1]
            covered = slice(int(begins[0]), int(begins[-1]))
            starts = [resets.get(step) for step in steps]
            outputs, x = [], source(rows[covered])
            for layer, state in zip(layers, states, strict=True):
                y = _block(layer, state, layer.ih(x), (begins - begins[0]).tolist(), starts)
                x = y.add_(x) if layer.skip else y
                outputs.append(x)
            yield covered, outputs


@contextmanager
def _denormals_flushed() -> Iterator[None]:
    """Treat numbers below 1e-38 as zero. A saturated gate produces them, and they slow down a CPU's arithmetic."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _block(
    layer: LSTMLayer,
    state: tuple[Tensor, Tensor],
    gates: Tensor,
    begins: Sequence[int],
    resets: Sequence[Tensor | None],
) -> Tensor:
    """Run one layer over a block: Hochreiter and Schmidhuber's cell with ELMo's clipping and projection.

    Shape: gates (rows, 4 H), which is overwritten; state (lanes, P) and (lanes, H), updated; returns (rows, P).
    """
    output = gates.new_empty(len(gates), layer.width)
    for step, reset in enumerate(resets):
        now = slice(begins[step], begins[step + 1])
        lanes = now.stop - now.start
        h, c = state[0][:lanes], state[1][:lanes]
        if reset is not None:
            h.index_fill_(0, reset, 0.0)
            c.index_fill_(0, reset, 0.0)
        i, f, o, g = gates[now].add_(layer.hh(h)).sigmoid_().chunk(4, 1)
        torch.addcmul(i, c, f, out=c).addcmul_(i, g, value=-2)
        if layer.cell_clip:
            c.clamp_(-layer.cell_clip, layer.cell_clip)
        out = torch.addcmul(o, o, (-2 * c).sigmoid_(), value=-2)
        if layer.hr is not None:
            out = layer.hr(out)
            if layer.proj_clip:
                out.clamp_(-layer.proj_clip, layer.proj_clip)
        h.copy_(out)
        output[now] = out
    return output
