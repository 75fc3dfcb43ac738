"""The LSTM stack that CSE and ELMo share, run over a schedule of lanes.

In: the weights of the layers and, block by block, their input. Out: every layer's output rows for the block; the
state stays with the runner from block to block, so the memory does not depend on how long a sentence is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from featstore.allocation import freed_memory_kept
from featstore.encoders.beginnings import Ints
from featstore.encoders.kernels import Adding, Linear, adding, linear
from featstore.encoders.lanes import LaneSchedule

# Rows of the input that are projected in one product: enough for the full rate, few enough to stay small.
BLOCK_ROWS = 512

# Inputs of the lowest layer whose products with the weights are kept, those that are read most often.
TABLE_ROWS = 1024

# torch handles the last elements of a stretch that does not fill this many one by one, and they round differently.
VECTOR = 32

Move = tuple[Tensor, Tensor]  # lanes and slots


@dataclass(frozen=True, slots=True, eq=False)
class LSTMLayer:
    """One layer in one direction, ready to run; :func:`lstm_layer` makes it.

    Attributes:
        ih: input (n, D) to gates (n, 4 H), the whole bias in it.
        hh: adds what a state (n, P) gives to gates (n, 4 H).
        hr: output (n, H) to state (n, P), or None where the output is the state (P = H).
        hidden: H, rounded up to a multiple of VECTOR; the added units stay zero.
        width: P.
        cell_clip: bound of the cell state; None if it is not clipped.
        proj_clip: bound of the projected state; None if it is not clipped.
        skip: whether the input is added to the output.
    """

    ih: Linear
    hh: Adding
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
        hh=adding(_gates(hh, room), precision, device),
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


def looked_up(layer: LSTMLayer, inputs: Tensor, read: Ints) -> LSTMLayer:
    """Return a layer that takes the numbers of inputs in place of the inputs.

    What ``ih`` makes of the inputs that are read most often is computed once and looked up from then on. A row of
    ``ih`` does not depend on the others, so the result is the same to the last bit.

    Args:
        layer: the lowest layer.
        inputs: the distinct inputs. Shape: (n, D).
        read: numbers of the inputs that will be read. Shape: (m,).
    """
    counts = np.bincount(read, minlength=len(inputs))
    distinct = np.count_nonzero(counts)
    # On another device the table may hold all, and nothing has to be waited for to see what it lacks.
    kept = np.argsort(-counts, kind="stable")[: min(distinct, TABLE_ROWS) if inputs.device.type == "cpu" else distinct]
    places = np.full(len(inputs), -1)
    places[kept] = np.arange(len(kept))
    place = torch.from_numpy(places).to(inputs.device)
    table = layer.ih(inputs.index_select(0, torch.from_numpy(kept).to(inputs.device)))

    def gates(numbers: Tensor) -> Tensor:
        at = place.index_select(0, numbers)
        if len(kept) == distinct:
            return table.index_select(0, at)
        others = (at < 0).nonzero().flatten()
        found = table.index_select(0, at.clamp_(min=0))
        if len(others):
            found.index_copy_(0, others, layer.ih(inputs.index_select(0, numbers.index_select(0, others))))
        return found

    return replace(layer, ih=gates)


class WantedStates:
    """The beginnings whose outputs are kept, found on the host so that a device never has to wait."""

    def __init__(self, plan: LaneSchedule, wanted: Ints, device: torch.device) -> None:
        """Store which beginnings' outputs are wanted, in the order in which they are; Shape: wanted (n,)."""
        row = np.empty(len(plan.rows), dtype=np.int64)
        row[plan.rows] = np.arange(len(plan.rows))
        goes = np.argsort(row[wanted], kind="stable")
        self._at = row[wanted][goes]
        self._rows = torch.from_numpy(self._at).to(device)
        self._goes = torch.from_numpy(goes).to(device)

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
        plan: which beginning is read when.
        source: gives the input of the last items of beginnings (rows of the first layer's ``ih``).
        device: where the weights are.

    Yields:
        the rows of ``plan`` that a block covers, and each layer's output for them; Shape: (rows, P).
    """
    states = [_State.zero(layer, plan, device) for layer in layers]
    rows = torch.from_numpy(plan.rows).to(device)
    loads, keeps = _on(device, plan.loads), _on(device, plan.keeps)
    with _denormals_flushed(), freed_memory_kept():
        for steps in plan.blocks(BLOCK_ROWS):
            begins = plan.begins[steps.start : steps.stop + 1]
            covered = slice(int(begins[0]), int(begins[-1]))
            moves = [(loads.get(step), keeps.get(step)) for step in steps]
            outputs, x = [], source(rows[covered])
            for layer, state in zip(layers, states, strict=True):
                y = _block(layer, state, layer.ih(x), (begins - begins[0]).tolist(), moves)
                x = y.add_(x) if layer.skip else y
                outputs.append(x)
            yield covered, outputs


def _on(device: torch.device, moves: Mapping[int, tuple[Ints, Ints]]) -> dict[int, Move]:
    """Return lanes and slots, by step, as tensors."""
    return {
        step: (torch.from_numpy(lanes).to(device), torch.from_numpy(slots).to(device))
        for step, (lanes, slots) in moves.items()
    }


@contextmanager
def _denormals_flushed() -> Iterator[None]:
    """Treat numbers below 1e-38 as zero. A saturated gate produces them, and they slow down a CPU's arithmetic."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """The state of a layer.

    Attributes:
        lanes: output and cell of each lane. Shape: (lanes, P) and (lanes, H).
        slots: outputs and cells that are kept for later. Shape: (slots, P) and (slots, H).
    """

    lanes: tuple[Tensor, Tensor]
    slots: tuple[Tensor, Tensor]

    @classmethod
    def zero(cls, layer: LSTMLayer, plan: LaneSchedule, device: torch.device) -> _State:
        lanes, slots = (
            (torch.zeros(rows, layer.width, device=device), torch.zeros(rows, layer.hidden, device=device))
            for rows in (plan.lanes, plan.slots)
        )
        return cls(lanes, slots)

    def load(self, move: Move) -> None:
        """Put kept states into lanes."""
        for mine, kept in zip(self.lanes, self.slots, strict=True):
            mine.index_copy_(0, move[0], kept.index_select(0, move[1]))

    def keep(self, move: Move) -> None:
        """Keep the states of lanes."""
        for mine, kept in zip(self.lanes, self.slots, strict=True):
            kept.index_copy_(0, move[1], mine.index_select(0, move[0]))


def _block(
    layer: LSTMLayer,
    state: _State,
    gates: Tensor,
    begins: Sequence[int],
    moves: Sequence[tuple[Move | None, Move | None]],
) -> Tensor:
    """Run one layer over a block: Hochreiter and Schmidhuber's cell with ELMo's clipping and projection.

    Shape: gates (rows, 4 H), which is overwritten; the state is updated; returns (rows, P). ``moves`` are the states
    that are loaded before each step, and those that are kept after it.
    """
    sizes = [end - first for first, end in pairwise(begins)]
    # Views of all steps at once: for a few sentences, making them one by one would take as long as the products.
    parts = (part.split(sizes) for part in (gates, *gates.chunk(4, 1)))
    minus_two = torch.tensor(-2.0)  # a number would be made a tensor at each step
    outputs = []
    states, cells = state.lanes
    h, c = states, cells  # h: output of the step before, in the lanes or where that step left it
    for n, gate, i, f, o, g, (load, keep) in zip(sizes, *parts, moves, strict=True):
        if load is not None:
            _copy(h, states)
            state.load(load)
            h = states
        if h.shape[0] != n:
            h = h[:n]
        if c.shape[0] != n:
            c = cells[:n]
        layer.hh(gate, h).sigmoid_()
        torch.addcmul(i, c, f, out=c).addcmul_(i, g, value=-2)
        if layer.cell_clip:
            c.clamp_(-layer.cell_clip, layer.cell_clip)
        h = torch.addcmul(o, o, torch.mul(c, minus_two).sigmoid_(), value=-2)
        if layer.hr is not None:
            h = layer.hr(h)
            if layer.proj_clip:
                h.clamp_(-layer.proj_clip, layer.proj_clip)
        outputs.append(h)
        if keep is not None:
            _copy(h, states)
            state.keep(keep)
            h = states
    _copy(h, states)
    return torch.cat(outputs)


def _copy(rows: Tensor, lanes: Tensor) -> None:
    """Put the outputs of a step into the first lanes, unless they are there."""
    if rows is not lanes:
        lanes[: len(rows)] = rows
