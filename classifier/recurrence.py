"""The recurrence of a bidirectional LSTM over inputs that are already projected.

In: W x + b for every row of a batch (one matrix product, no padding) and where each sequence finds its rows.
Out: the hidden states of both directions. Same equations as ``torch.nn.LSTM`` (Hochreiter and Schmidhuber 1997),
written out with their gradient because that allows what a general layer cannot do:

- both directions run in one loop, and with sequences sorted by length step t computes only those still running;
- the gradient of the recurrent weights is one product over all steps instead of a sum of T small ones;
- tanh is taken as 2 sigmoid(2x) - 1, which a CPU computes several times faster and as exactly;
- rows may be bfloat16: then the products run in it and everything else stays float32.

The gates of a row lie in the order input, forget, output, cell, so that three sigmoids are one call.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

GATES = 4


def bilstm(rows: Tensor, weight: Tensor, index: Tensor, lengths: Tensor) -> Tensor:
    """Run a forward and a backward LSTM from zero states.

    Args:
        rows: projected inputs W x + b, both directions. Shape: (R, 2, 4H), float32 or bfloat16.
        weight: recurrent weights. Shape: (2, H, 4H), float32.
        index: the row of each step. Shape: (T, B) int64; padding may hold any row.
        lengths: steps of each sequence, longest first. Shape: (B,) int64, the first equal to T.

    Returns:
        The hidden states, forward then backward, each at the position of its token; zeros at padding.
        Shape: (2, T, B, H) float32.
    """
    hidden: Tensor = _BiLSTM.apply(rows, weight, index, lengths)  # type: ignore[no-untyped-call]
    return hidden


def _reversal(lengths: Tensor, steps: int) -> Tensor:
    """Return where step t of each sequence stands when the sequence is read backwards; padding stays in place.

    Shape: lengths (B,) -> (steps * B,) int64, positions in the flat (steps, B) grid. The map is its own inverse.
    """
    time = torch.arange(steps).unsqueeze(1)
    swapped = torch.where(time < lengths, lengths - 1 - time, time)
    return (swapped * len(lengths) + torch.arange(len(lengths))).flatten()


def _tanh_(x: Tensor) -> Tensor:
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)


class _BiLSTM(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, index: Tensor, lengths: Tensor) -> Tensor:
        steps, batch = index.shape
        hidden = weight.shape[1]
        back = _reversal(lengths, steps)
        places = index.flatten(), index.flatten()[back]
        gates = torch.stack([rows[:, d].index_select(0, places[d]).float() for d in range(2)])
        gates = gates.view(2, steps, batch, GATES * hidden)
        running = (lengths > torch.arange(steps).unsqueeze(1)).sum(1).tolist()

        # Entry t of h and c is the state before step t.
        h = torch.zeros(2, steps + 1, batch, hidden, dtype=rows.dtype)
        c = torch.zeros(2, steps + 1, batch, hidden)
        tanh_c = torch.zeros(2, steps, batch, hidden)
        low_weight = weight.to(rows.dtype)
        for t, n in enumerate(running):
            gate = gates[:, t, :n]
            if rows.dtype == torch.float32:
                for d in range(2):
                    gate[d].addmm_(h[d, t, :n], weight[d])
            else:
                gate += torch.bmm(h[:, t, :n], low_weight)
            i, f, o, g = gate.chunk(GATES, dim=-1)
            gate[..., : 3 * hidden].sigmoid_()
            _tanh_(g)
            cell = torch.mul(f, c[:, t, :n], out=c[:, t + 1, :n]).addcmul_(i, g)
            squashed = _tanh_(tanh_c[:, t, :n].copy_(cell))
            h[:, t + 1, :n] = o * squashed

        ctx.save_for_backward(gates, weight, h, c, tanh_c, lengths, *places, back)
        ctx.running, ctx.rows, ctx.low = running, len(rows), rows.dtype
        out = h[:, 1:].to(torch.float32, copy=True)
        out[1] = out[1].flatten(0, 1)[back].view(steps, batch, hidden)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        gates, weight, h, c, tanh_c, lengths, forward, backward, back = ctx.saved_tensors
        _, steps, batch, width = gates.shape
        hidden = width // GATES
        d_out = torch.stack([grads[0][0], grads[0][1].flatten(0, 1)[back].view(steps, batch, hidden)])

        # What does not depend on later steps, for all steps at once: the derivative of the cell by each gate's
        # pre-activation (for the output gate: of the hidden state), and of the hidden state by the cell.
        i, f, o, g = gates.chunk(GATES, dim=-1)
        slope = torch.empty_like(gates)
        sigmoids = gates[..., : 3 * hidden]
        torch.addcmul(sigmoids, sigmoids, sigmoids, value=-1, out=slope[..., : 3 * hidden])
        d_i, d_f, d_o, d_g = slope.chunk(GATES, dim=-1)
        d_i *= g
        d_f *= c[:, :-1]
        d_o *= tanh_c
        torch.addcmul(i, i * g, g, value=-1, out=d_g)
        h_by_c = torch.addcmul(o, o * tanh_c, tanh_c, value=-1)

        transposed = weight.to(ctx.low).transpose(1, 2)
        d_h = torch.zeros(2, batch, hidden)
        d_c = torch.zeros(2, batch, hidden)
        for t in range(steps - 1, -1, -1):
            n = ctx.running[t]
            d_hidden = d_h[:, :n].add_(d_out[:, t, :n])
            d_cell = d_c[:, :n].addcmul_(d_hidden, h_by_c[:, t, :n])
            by_gate = slope[:, t, :n].view(2, n, GATES, hidden)
            by_gate[:, :, :2] *= d_cell.unsqueeze(2)
            by_gate[:, :, 2] *= d_hidden
            by_gate[:, :, 3] *= d_cell
            d_cell *= f[:, t, :n]
            if t:
                d_hidden.copy_(torch.bmm(slope[:, t, :n].to(ctx.low), transposed))
        slope *= (lengths > torch.arange(steps).unsqueeze(1)).unsqueeze(-1)

        low_slope = slope.to(ctx.low).flatten(1, 2)
        d_weight = torch.bmm(h[:, :-1].flatten(1, 2).transpose(1, 2), low_slope).float()
        d_rows = torch.zeros(ctx.rows, 2, width, dtype=ctx.low)
        for d, places in enumerate((forward, backward)):
            d_rows[:, d].index_add_(0, places, low_slope[d])
        return d_rows, d_weight, None, None
