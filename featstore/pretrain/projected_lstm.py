"""A projected and clipped LSTM layer in both directions at once, with its own backward pass, for training ELMo.

In: (directions, T, B, input) activations and the weights of both directions. Out: (directions, T, B, projection).
Torch's ``nn.LSTM(proj_size=..)`` has no clipping, and a loop over time under autograd multiplies a small gradient
matrix at every step. Here the loop over time does only what must be done in sequence, for both directions in one
batched product. The gradient of each weight is one large product after the loop. tanh(x) is computed as 2 sigmoid(2x) -
1, because torch's sigmoid is eight times as fast as its tanh on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def projected_lstm(
    x: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    weight_hr: Tensor,
    *,
    cell_clip: float,
    proj_clip: float,
    precision: torch.dtype,
) -> Tensor:
    """Run D independent LSTM layers with projection (Sak et al. 2014), clipped as in Peters et al. 2018.

    Each begins from a zero state:
    ``cell = clip(f * cell + i * g)``, ``h = clip(weight_hr @ (o * tanh(cell)))``, gates in the order i, f, g, o.

    Shape: x (D, T, B, I); weight_ih (D, 4C, I); weight_hh (D, 4C, P); bias (D, 4C); weight_hr (D, P, C); returns
    (D, T, B, P) in the dtype of x.

    Args:
        precision: number type of the matrix products; everything else has the type of ``x``.
    """
    out: Tensor = _ProjectedLSTM.apply(  # type: ignore[no-untyped-call]
        x, weight_ih, weight_hh, bias, weight_hr, (cell_clip, proj_clip), precision
    )
    return out


def _tanh(x: Tensor) -> Tensor:
    return (x * 2).sigmoid_().mul_(2).sub_(1)


class _ProjectedLSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        ih: Tensor,
        hh: Tensor,
        bias: Tensor,
        hr: Tensor,
        clips: tuple[float, float],
        precision: torch.dtype,
    ) -> Tensor:
        kind = x.dtype
        directions, steps, batch, _ = x.shape
        size = hr.shape[2]
        x, ih, hh, hr = (t.detach().to(precision) for t in (x, ih, hh, hr))
        gates = torch.baddbmm(bias.to(precision)[:, None], x.flatten(1, 2), ih.mT).to(kind)
        gates = gates.view(directions, steps, batch, 4 * size)
        cells = x.new_zeros(steps + 1, directions, batch, size, dtype=kind)
        mixed = x.new_empty(directions, steps, batch, size)
        out = x.new_empty(directions, steps, batch, hr.shape[1], dtype=kind)
        h = x.new_zeros(directions, batch, hr.shape[1])
        for t in range(steps):
            gate = gates[:, t]
            gate += torch.bmm(h, hh.mT)
            gate[..., 2 * size : 3 * size].mul_(2)
            i, f, g, o = gate.sigmoid_().chunk(4, dim=-1)
            g.mul_(2).sub_(1)
            torch.addcmul(i * g, f, cells[t], out=cells[t + 1]).clamp_(-clips[0], clips[0])
            mixed[:, t] = _tanh(cells[t + 1]).mul_(o)
            out[:, t] = torch.bmm(mixed[:, t], hr.mT)
            h = out[:, t].clamp_(-clips[1], clips[1]).to(precision)
        ctx.save_for_backward(x, ih, hh, hr, gates, cells, mixed, out)
        ctx.clips = clips
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, ih, hh, hr, gates, cells, mixed, out = ctx.saved_tensors
        cell_clip, proj_clip = ctx.clips
        precision, kind = x.dtype, grad.dtype
        steps = x.shape[1]
        d_gates = x.new_empty(gates.shape)
        d_out = x.new_empty(out.shape)
        d_h = torch.zeros_like(out[:, 0])
        d_cell = torch.zeros_like(cells[0])
        for t in reversed(range(steps)):
            d_out[:, t] = (grad[:, t] + d_h).mul_(out[:, t].abs() < proj_clip)
            d_mixed = torch.bmm(d_out[:, t], hr).to(kind)
            i, f, g, o = gates[:, t].chunk(4, dim=-1)
            tanh = _tanh(cells[t + 1])
            d_cell = torch.addcmul(d_cell, d_mixed * o, 1 - tanh * tanh).mul_(cells[t + 1].abs() < cell_clip)
            parts = (d_cell * g * i * (1 - i), d_cell * cells[t] * f * (1 - f), d_cell * i * (1 - g * g))
            d_gate = torch.cat([*parts, d_mixed * tanh * o * (1 - o)], dim=-1).to(precision)
            d_gates[:, t] = d_gate
            d_h = torch.bmm(d_gate, hh).to(kind)
            d_cell = d_cell * f
        flat = d_gates.flatten(1, 2)
        before = torch.cat([torch.zeros_like(out[:, :1]), out[:, :-1]], dim=1).to(precision)
        d_x = torch.bmm(flat, ih).view_as(x).to(kind)
        read = torch.cat([x, before], dim=-1).flatten(1, 2)
        d_ih, d_hh = torch.split(torch.bmm(flat.mT, read).to(kind), [x.shape[3], out.shape[3]], dim=-1)
        d_hr = torch.bmm(d_out.flatten(1, 2).mT, mixed.flatten(1, 2)).to(kind)
        return d_x, d_ih, d_hh, flat.to(kind).sum(1), d_hr, None, None
