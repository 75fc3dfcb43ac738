"""The arithmetic of scoring: a sequence gets the same numbers, to the last digit, whatever else is in its batch.

In: what :mod:`classifier.head.bilstm` takes, filled up to whole blocks. Out: the same, without what a gradient needs.
A fast kernel sums in an order that depends on the shapes of its operands, and handles the last elements of a stretch
one by one, which round differently. So every product here has one of a few shapes, and every elementwise function runs
over whole vectors: rows come in blocks of ROWS, sequences in multiples of SEQUENCES. Sums over the tokens of a sequence
are made token by token, so that padding only adds zeros at their end. Few shapes also keep memory flat, because oneDNN
keeps a compiled kernel for each shape that it has met.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from classifier.head.bilstm import GATES, reversal

ROWS = 256  # of one product; more are not faster
SEQUENCES = 16  # a multiple of what the vector units and the tiles of matrix units hold


def whole_rows(x: Tensor) -> Tensor:
    """Fill rows up with zeros to whole blocks; Shape: (R, D) -> (multiple of ROWS, D)."""
    return F.pad(x, (0, 0, 0, -len(x) % ROWS))


def whole_batch(index: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Fill a batch up with sequences of one step, which read row 0.

    Shape: index (T, B), lengths (B,) -> (T, C), (C,) with C a multiple of SEQUENCES.
    """
    room = -len(lengths) % SEQUENCES
    return F.pad(index, (0, room)), F.pad(lengths, (0, room), value=1)


def in_blocks(product: Callable[[Tensor], Tensor], x: Tensor, size: int = ROWS) -> Tensor:
    """Apply a product to blocks of ``size`` rows; Shape: (multiple of ``size``, K) -> (the same, N)."""
    return torch.cat([product(block) for block in x.split(size)])


def project_steadily(
    inputs: Sequence[Tensor], learned: Sequence[Tensor], weights: Sequence[Tensor], bias: Tensor
) -> Tensor:
    """Do the same as :func:`classifier.head.bilstm.project`; the inputs come in whole blocks of rows."""
    low, count = inputs[0].dtype, len(inputs[0])
    out = bias.to(low).unsqueeze(1).repeat(1, count + len(learned[0]), 1)
    for x, tag, weight in zip(inputs, learned, weights, strict=True):
        for d, transposed in enumerate(weight.to(low).transpose(1, 2)):
            for start in range(0, count, ROWS):
                out[d, start : start + ROWS].addmm_(x[start : start + ROWS], transposed)
            out[d, count:].addmm_(tag.to(low), transposed)
    return out


def bilstm_steadily(rows: Tensor, weight: Tensor, index: Tensor, lengths: Tensor) -> Tensor:
    """Do the same as :func:`classifier.head.bilstm.bilstm`; the batch is a multiple of SEQUENCES, rows are overwritten.

    All gates are sigmoids, since tanh(x) = 1 - 2 sigmoid(-2 x), and multiplying by -2 is exact.
    """
    steps, batch = index.shape
    hidden, count = weight.shape[1], rows.shape[1]
    rows[..., (GATES - 1) * hidden :] *= -2
    weight = weight.to(rows.dtype, copy=True)
    weight[..., (GATES - 1) * hidden :] *= -2
    back = reversal(lengths, steps)
    places = torch.stack([index, index.flatten()[back].view(steps, batch) + count], 1)
    table = rows.flatten(0, 1)
    minus_two = torch.tensor(-2.0)  # a number would be made a tensor at each step
    h = torch.zeros(2, batch, hidden, dtype=rows.dtype)
    c = torch.zeros(2, batch, hidden)
    out = torch.zeros(2, steps, batch, hidden)
    for t, running in enumerate((lengths > torch.arange(steps).unsqueeze(1)).sum(1).tolist()):
        n = running + -running % SEQUENCES  # those that have ended go on, and what they give is left out
        gate = table.index_select(0, places[t, :, :n].flatten()).view(2, n, GATES * hidden).float()
        i, f, o, g = gate.add_(torch.bmm(h[:, :n], weight)).sigmoid_().chunk(GATES, dim=-1)
        cell = torch.addcmul(i, c[:, :n], f, out=c[:, :n]).addcmul_(i, g, value=-2)
        state = torch.addcmul(o, o, torch.mul(cell, minus_two).sigmoid_(), value=-2)
        h[:, :n] = state
        out[:, t, :running] = state[:, :running]
    # index_select is several times faster here than indexing with brackets.
    out[1] = out[1].flatten(0, 1).index_select(0, back).view(steps, batch, hidden)
    return out


def attend_steadily(hidden: Tensor, weights: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of the hidden states by attention, and the attention.

    Shape: hidden (2, T, B, H), weights (2 H,), lengths (B,) -> (B, 2 H), (T, B).
    """
    steps, batch = hidden.shape[1:3]
    by_token = (torch.tanh(hidden) * weights.view(2, 1, 1, -1)).sum(3)
    scores = by_token[0] + by_token[1]
    scores.masked_fill_(torch.arange(steps).unsqueeze(1) >= lengths, -torch.inf)
    shares = (scores - scores.amax(0)).exp_()
    total, pooled = torch.zeros(batch), torch.zeros(2, batch, hidden.shape[3])
    for t in range(steps):
        total += shares[t]
        pooled.addcmul_(hidden[:, t], shares[t].view(1, batch, 1))
    return (pooled / total.view(1, batch, 1)).transpose(0, 1).flatten(1), shares / total
