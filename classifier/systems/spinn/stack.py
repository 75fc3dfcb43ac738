"""The thin stack: TreeLSTM composition and tracker over a batch of trees, with a backward pass of its own.

In: vectors of leaves, weights and a :class:`~classifier.systems.spinn.schedule.StackPlan`. Out: the vectors of all
nodes. A step costs a few gathers and two matrix products over all instances that are active. The table of nodes is
written in place, which the automatic differentiation of torch does not allow, so the backward pass is written out
here. It walks the steps backwards, keeps the gradients of the gates, and makes each weight's gradient with one large
product at the end.

With h_1 and h_2 the two topmost elements of the stack, b the first element of the buffer and t the state of the
tracker, a step is (Bowman et al. 2016)::

    t, m = LSTM([h_1; h_2; b], t', m')
    i, f_l, f_r, o = sigmoid(W [h_1; h_2; t] + q)    g = tanh(W [h_1; h_2; t] + q)     where the step reduces
    c = f_l * c_2 + f_r * c_1 + i * g                h = o * tanh(c)

The element on top of the stack becomes the *right* child.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from classifier.systems.spinn.schedule import StackPlan

sigmoid_backward = torch.ops.aten.sigmoid_backward
tanh_backward = torch.ops.aten.tanh_backward


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One step: which moves and which nodes it makes, and what they read."""

    moves: slice
    before: slice  # the moves of the same instances at the step before; empty at the first step
    nodes: slice
    rows: slice  # of the nodes in the table
    read: Tensor  # rows of the two topmost elements of each move, one after the other
    buffer: Tensor
    which: Tensor  # the instances that make the nodes
    children: Tensor  # rows of the right and the left child of each node, one after the other


def _steps(plan: StackPlan) -> list[_Step]:
    """Cut a schedule into its steps."""
    steps, first = [], plan.leaves + 1
    read, children = (
        torch.from_numpy(np.stack(pair, 1).reshape(-1)) for pair in ((plan.top, plan.below), (plan.right, plan.left))
    )
    buffer, reducing = torch.from_numpy(plan.buffer), torch.from_numpy(plan.reducing)
    earlier = move = node = 0
    for active, made in zip(plan.active.tolist(), plan.made.tolist(), strict=True):
        moves, nodes = slice(move, move + active), slice(node, node + made)
        before = slice(earlier, earlier + (active if move else 0))
        rows = slice(first + node, first + node + made)
        pairs = read[2 * move : 2 * (move + active)], children[2 * node : 2 * (node + made)]
        steps.append(_Step(moves, before, nodes, rows, pairs[0], buffer[moves], reducing[nodes], pairs[1]))
        earlier, move, node = move, move + active, node + made
    return steps


def thin_stack(
    leaves: Tensor,
    buffered: Tensor,
    tracker: Tensor,
    composer: Tensor,
    offsets: Tensor,
    plan: StackPlan,
) -> Tensor:
    """Run all transitions of a batch.

    Args:
        leaves: h and then c of each leaf; row 0 is the empty element. Shape: (1 + L, 2H).
        buffered: what the first element of the buffer adds to the four gates of the tracker (input, forget, output,
            candidate), for each leaf; row 0 stands for an empty buffer. Shape: (1 + L, 4K).
        tracker: weights of the tracker's gates on the two topmost elements and on its own last state.
            Shape: (2H + K, 4K).
        composer: weights of the five gates of a node (input, left forget, right forget, output, candidate) on its
            right child, its left child and the tracker. Shape: (2H + K, 5H).
        offsets: what is added to the five gates of each inner node. Shape: (nodes, 5H).
        plan: the schedule of the batch.

    Returns:
        h of every row of the table: the empty element, the leaves, the inner nodes. Shape: (1 + L + nodes, H).
    """
    table: Tensor = _ThinStack.apply(  # type: ignore[no-untyped-call]
        leaves, buffered, tracker, composer, offsets, _steps(plan)
    )
    return table


class _ThinStack(torch.autograd.Function):
    """The function and its gradient; see :func:`thin_stack` for the tensors."""

    @staticmethod
    def forward(
        ctx: Any,
        leaves: Tensor,
        buffered: Tensor,
        tracker: Tensor,
        composer: Tensor,
        offsets: Tensor,
        steps: list[_Step],
    ) -> Tensor:
        hidden, state, first = leaves.shape[1] // 2, tracker.shape[1] // 4, len(leaves)
        table: Tensor
        moves, nodes, width = steps[-1].moves.stop, len(offsets), 2 * hidden + state
        table, cells = leaves.new_empty(2, first + nodes, hidden)
        table[:first], cells[:first] = leaves[:, :hidden], leaves[:, hidden:]
        read, inputs = leaves.new_empty(moves, width), leaves.new_empty(nodes, width)
        gates = leaves.new_empty(nodes, 5 * hidden)
        tracks = leaves.new_empty(moves, 4 * state)
        memory, states = leaves.new_empty(2, moves, state)
        rest = leaves.new_zeros(steps[0].moves.stop, state)
        for step in steps:
            t, m = (states[step.before], memory[step.before]) if step.moves.start else (rest, rest)
            x = read[step.moves]
            x[:, : 2 * hidden], x[:, 2 * hidden :] = table[step.read].view(-1, 2 * hidden), t
            a = torch.addmm(buffered[step.buffer], x, tracker, out=tracks[step.moves])
            a[:, : 3 * state].sigmoid_()
            i, f, o, g = a.split(state, 1)
            m = torch.mul(f, m, out=memory[step.moves]).addcmul_(i, g.tanh_())
            t = torch.mul(o, m.tanh(), out=states[step.moves])
            if not len(step.which):
                continue
            z = inputs[step.nodes]
            z[:, : 2 * hidden], z[:, 2 * hidden :] = x[step.which, : 2 * hidden], t[step.which]
            y = torch.addmm(offsets[step.nodes], z, composer, out=gates[step.nodes])
            y[:, : 4 * hidden].sigmoid_()
            i, f_left, f_right, o, g = y.split(hidden, 1)
            c = torch.mul(i, g.tanh_(), out=cells[step.rows])
            right, left = cells[step.children].view(-1, 2 * hidden).split(hidden, 1)
            c.addcmul_(f_left, left).addcmul_(f_right, right)
            torch.mul(o, c.tanh(), out=table[step.rows])
        ctx.steps, ctx.first = steps, first
        ctx.save_for_backward(buffered, tracker, composer, cells, read, tracks, memory, inputs, gates)
        return table

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        buffered, tracker, composer, cells, read, tracks, memory, inputs, gates = ctx.saved_tensors
        steps: list[_Step] = ctx.steps
        first: int = ctx.first
        hidden, state = cells.shape[1], memory.shape[1]
        d_table, d_cells = grads[0].clone(), torch.zeros_like(cells)
        d_tracks, d_gates, d_buffered = torch.empty_like(tracks), torch.empty_like(gates), torch.zeros_like(buffered)
        d_t, d_m, rest = memory.new_zeros(3, steps[0].moves.stop, state)
        to_read, to_inputs = tracker.t().contiguous(), composer.t().contiguous()
        # Within a step no two moves read the same row but row 0, so "+=" on rows is right; it is several times as fast
        # as index_add_. What it leaves in row 0 means nothing and is put right at the end.
        for step in reversed(steps):
            count, made = step.moves.stop - step.moves.start, len(step.which)
            d_out, d_mem, d_a = d_t[:count], d_m[:count], d_tracks[step.moves]
            d_z = None
            if made:
                d_h, d_y = d_table[step.rows], d_gates[step.nodes]
                i, f_left, f_right, o, g = gates[step.nodes].split(hidden, 1)
                c = cells[step.rows].tanh()
                d_c = tanh_backward(d_h * o, c).add_(d_cells[step.rows])
                right, left = cells[step.children].view(-1, 2 * hidden).split(hidden, 1)
                torch.cat([d_c * g, d_c * left, d_c * right, d_h * c, d_c * i], 1, out=d_y)
                _through_gates(d_y, gates[step.nodes], hidden)
                d_cells[step.children] = torch.cat([d_c * f_right, d_c * f_left], 1).view(-1, hidden)
                d_z = d_y @ to_inputs
                d_out[step.which] += d_z[:, 2 * hidden :]
            i, f, o, g = tracks[step.moves].split(state, 1)
            m = memory[step.moves].tanh()
            d_mem += tanh_backward(d_out * o, m)
            m_before = memory[step.before] if step.moves.start else rest
            torch.cat([d_mem * g, d_mem * m_before, d_out * m, d_mem * i], 1, out=d_a)
            _through_gates(d_a, tracks[step.moves], state)
            d_mem *= f
            d_buffered[step.buffer] += d_a
            d_x = d_a @ to_read
            if d_z is not None:
                d_x[step.which, : 2 * hidden] += d_z[:, : 2 * hidden]
            d_table[step.read] += d_x[:, : 2 * hidden].reshape(-1, hidden)
            d_out.copy_(d_x[:, 2 * hidden :])
        d_leaves = torch.cat([d_table[:first], d_cells[:first]], 1)
        unbuffered = torch.cat([step.buffer for step in steps]) == 0
        d_leaves[0], d_buffered[0] = 0, unbuffered.to(d_tracks.dtype) @ d_tracks
        return d_leaves, d_buffered, read.t() @ d_tracks, inputs.t() @ d_gates, d_gates, None


def _through_gates(gradient: Tensor, gates: Tensor, size: int) -> None:
    """Turn the gradient of gates into that of their pre-activations, in place; the last gate is a tanh."""
    gradient[:, :-size] = sigmoid_backward(gradient[:, :-size], gates[:, :-size])
    gradient[:, -size:] = tanh_backward(gradient[:, -size:], gates[:, -size:])
