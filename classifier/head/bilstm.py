"""The arithmetic of a Bi-LSTM over frozen inputs: one projection of all rows, then the recurrence.

In: vectors of a batch, row by row, and where each sequence finds its rows. Out: the hidden states of both directions.
The equations are those of ``torch.nn.LSTM`` (Hochreiter and Schmidhuber 1997); they are written out with their
gradient because that allows what a general layer cannot do:

- inputs that need no gradient get none, and every row is projected once, without padding, for all sequences that share
  it;
- both directions run in one loop, and because sequences are sorted by length, step t computes only those that have not
  ended;
- the gradient of the recurrent weights is one product over all steps instead of a sum of T small ones;
- tanh is computed as 2 sigmoid(2x) - 1, which is several times faster on a CPU and as exact;
- products may be in bfloat16, and everything else stays in float32.

Without a gradient, :mod:`classifier.head.inference` computes the same with less memory.

Every tensor begins with the direction (0 forward, 1 backward). The gates are in the order input, forget, output, cell,
so that the three sigmoids are one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

GATES = 4


def project(inputs: Sequence[Tensor], learned: Sequence[Tensor], weights: Sequence[Tensor], bias: Tensor) -> Tensor:
    """Return ``bias + sum_f W_f x_f`` for every row and both directions.

    Args:
        inputs: the features of each row. Shape: (R, D_f) each, float32 or bfloat16.
        learned: rows that are parameters, of the same features. Shape: (K, D_f) each; K may be 0.
        weights: for each feature. Shape: (2, 4H, D_f), float32.
        bias: Shape (2, 4H), float32.

    Returns:
        The inputs' rows, then the learned rows. Shape: (2, R + K, 4H), dtype of the inputs.
    """
    projected: Tensor = _Project.apply(bias, *inputs, *learned, *weights)  # type: ignore[no-untyped-call]
    return projected


def bilstm(rows: Tensor, weight: Tensor, index: Tensor, lengths: Tensor) -> Tensor:
    """Run a forward and a backward LSTM from zero states.

    Args:
        rows: projected rows. Shape: (2, R, 4H), float32 or bfloat16.
        weight: recurrent weights. Shape: (2, H, 4H), float32.
        index: the row that each step reads; any row at padding. Shape: (T, B) int64.
        lengths: steps of each sequence, longest first. Shape: (B,) int64, the first equal to T.

    Returns:
        The hidden states, each at the position of its token; zeros at padding. Shape: (2, T, B, H) float32.
    """
    hidden: Tensor = _BiLSTM.apply(rows, weight, index, lengths)  # type: ignore[no-untyped-call]
    return hidden


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, bias: Tensor, *tensors: Tensor) -> Tensor:
        low = tensors[0].dtype
        n = len(tensors) // 3
        inputs, learned, weights = tensors[:n], tensors[n : 2 * n], [w.to(low) for w in tensors[2 * n :]]
        count = len(inputs[0])
        out = bias.to(low).unsqueeze(1).repeat(1, count + len(learned[0]), 1)
        for x, tag, weight in zip(inputs, learned, weights, strict=True):
            for d in range(2):
                out[d, :count].addmm_(x, weight[d].t())
                out[d, count:].addmm_(tag.to(low), weight[d].t())
        ctx.save_for_backward(*inputs, *learned, *weights)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        n = len(ctx.saved_tensors) // 3
        inputs, learned, weights = (ctx.saved_tensors[i * n : (i + 1) * n] for i in range(3))
        d_rows, d_tags = grads[0][:, : len(inputs[0])], grads[0][:, len(inputs[0]) :]
        d_inputs, d_learned, d_weights = [], [], []
        for f, (x, tag, weight) in enumerate(zip(inputs, learned, weights, strict=True)):
            d_weight = torch.empty_like(weight, dtype=torch.float32)
            for d in range(2):
                d_weight[d] = d_rows[d].t() @ x
                if len(tag):
                    d_weight[d] += d_tags[d].t() @ tag.to(x.dtype)
            d_weights.append(d_weight)
            d_inputs.append(d_rows[0] @ weight[0] + d_rows[1] @ weight[1] if ctx.needs_input_grad[1 + f] else None)
            d_learned.append((d_tags[0] @ weight[0] + d_tags[1] @ weight[1]).float())
        return grads[0].sum(1, dtype=torch.float32), *d_inputs, *d_learned, *d_weights


class _BiLSTM(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, index: Tensor, lengths: Tensor) -> Tensor:
        steps, batch = index.shape
        back = reversal(lengths, steps)
        places = index.flatten(), index.flatten()[back]
        gates = torch.stack([rows[d].index_select(0, places[d]) for d in range(2)]).float().view(2, steps, batch, -1)
        hidden = gates.shape[-1] // GATES
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
            cell = _cell(gate, c[:, t, :n], out=c[:, t + 1, :n])
            squashed = _tanh_(tanh_c[:, t, :n].copy_(cell))
            h[:, t + 1, :n] = gate[..., 2 * hidden : 3 * hidden] * squashed

        ctx.save_for_backward(gates, weight, h, c, tanh_c, lengths, *places, back)
        ctx.running, ctx.rows = running, rows.shape[1]
        out = h[:, 1:].to(torch.float32, copy=True)
        out[1] = out[1].flatten(0, 1)[back].view(steps, batch, hidden)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        gates, weight, h, c, tanh_c, lengths, *places, back = ctx.saved_tensors
        _, steps, batch, width = gates.shape
        hidden, low = width // GATES, h.dtype
        d_out = torch.stack([grads[0][0], grads[0][1].flatten(0, 1)[back].view(steps, batch, hidden)])

        # These derivatives do not depend on later steps, so they are computed for all steps at once: that of the cell
        # by the pre-activation of each gate (for the output gate: that of the hidden state), and that of the hidden
        # state by the cell.
        i, f, o, g = gates.chunk(GATES, dim=-1)
        slope = torch.addcmul(gates, gates, gates, value=-1)
        d_i, d_f, d_o, d_g = slope.chunk(GATES, dim=-1)
        d_i *= g
        d_f *= c[:, :-1]
        d_o *= tanh_c
        torch.addcmul(i, i * g, g, value=-1, out=d_g)
        h_by_c = torch.addcmul(o, o * tanh_c, tanh_c, value=-1)

        transposed = weight.to(low).transpose(1, 2)
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
                d_hidden.copy_(torch.bmm(slope[:, t, :n].to(low), transposed))
        slope *= (lengths > torch.arange(steps).unsqueeze(1)).unsqueeze(-1)

        slope = slope.flatten(1, 2)
        d_weight = torch.bmm(h[:, :-1].flatten(1, 2).transpose(1, 2), slope.to(low)).float()
        d_rows = torch.zeros(2, ctx.rows, width)
        for d in range(2):
            d_rows[d].index_add_(0, places[d], slope[d])
        return d_rows.to(low), d_weight, None, None


def _cell(gate: Tensor, before: Tensor, out: Tensor) -> Tensor:
    """Turn pre-activations into gates, in place, and write the cell; Shape: (2, n, 4H), (2, n, H) -> (2, n, H)."""
    i, f, _, g = gate.chunk(GATES, dim=-1)
    gate[..., : 3 * g.shape[-1]].sigmoid_()
    _tanh_(g)
    return torch.mul(f, before, out=out).addcmul_(i, g)


def reversal(lengths: Tensor, steps: int) -> Tensor:
    """Return the position of step t of each sequence when the sequence is read backwards; padding stays in place.

    Shape: lengths (B,) -> (steps * B,) int64, positions in the flat (steps, B) grid. The map is its own inverse.
    """
    time = torch.arange(steps).unsqueeze(1)
    swapped = torch.where(time < lengths, lengths - 1 - time, time)
    return (swapped * len(lengths) + torch.arange(len(lengths))).flatten()


def _tanh_(x: Tensor) -> Tensor:
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)
