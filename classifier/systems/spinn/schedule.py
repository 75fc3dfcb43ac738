"""The schedule of a thin stack: which rows every step of a batch reads and writes.

In: the transitions of a batch of trees. Out: index arrays, so that the network runs a step for the whole batch with
gathers and matrix products and nothing is moved on a stack. The *thin stack* (Bowman et al. 2016) keeps
every node that was ever made in one table; a stack is then only a list of row numbers, and these depend on the
transitions alone. So all of them are worked out here, before the network runs, with numpy over the whole batch.

Rows of the table: row 0 is the empty element (zeros), rows ``1 .. L`` are the leaves, instance after instance, and
then the inner nodes follow in the order of the steps that make them. The instances of a batch are sorted by falling
length, so the instances that are active at a step are always the first ones and no step works on padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.systems.spinn.trees import REDUCE, Tree

_Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class StackPlan:
    """What the steps of a batch read and write.

    The arrays over *moves* hold the moves of step 0, then those of step 1, and so on; a move is one active instance at
    one step. The arrays over *nodes* hold the inner nodes in the order of their rows.

    Attributes:
        order: position in the batch as it was given, for each instance in the order used here. Shape: (B,).
        leaves: how many leaves the batch has, L.
        active: number of active instances at each step, never rising. Shape: (T,).
        made: number of inner nodes that each step makes. Shape: (T,).
        top: row of the top of the stack before each move, 0 if the stack is empty. Shape: (moves,).
        below: row of the element below the top, 0 if there is none. Shape: (moves,).
        buffer: row of the first element of the buffer, 0 if the buffer is empty. Shape: (moves,).
        reducing: for each inner node, the instance (in the order used here) that makes it. Shape: (nodes,).
        left: row of the left child of each inner node. Shape: (nodes,).
        right: row of its right child. Shape: (nodes,).
        roots: row of the root of each instance, in the order used here. Shape: (B,).
    """

    order: _Rows
    leaves: int
    active: _Rows
    made: _Rows
    top: _Rows
    below: _Rows
    buffer: _Rows
    reducing: _Rows
    left: _Rows
    right: _Rows
    roots: _Rows


def schedule(trees: Sequence[Tree]) -> StackPlan:
    """Return the schedule of a batch of trees.

    The work is a few numpy calls a step, over all instances at once.
    """
    lengths = np.array([len(tree.transitions) for tree in trees])
    order = np.argsort(-lengths, kind="stable")
    steps, size = int(lengths.max()), len(trees)
    transitions = np.zeros((steps, size), np.int8)
    for column, position in enumerate(order):
        transitions[: lengths[position], column] = trees[position].transitions
    counts = (lengths[order] + 1) // 2
    next_leaf = np.concatenate(([1], 1 + np.cumsum(counts[:-1])))  # row of the first leaf of the buffer
    end_leaf = next_leaf + counts
    leaves = int(counts.sum())
    active = np.searchsorted(-lengths[order], -np.arange(steps), side="left")
    # Rows 0 and 1 of the stacks stay empty, so that the elements below an empty stack are there and are 0.
    stacks, height = np.zeros((size, int(counts.max()) + 2), np.int64), np.full(size, 2)
    top: list[_Rows] = []
    below: list[_Rows] = []
    buffer: list[_Rows] = []
    reducing: list[_Rows] = []
    left: list[_Rows] = []
    right: list[_Rows] = []
    made, row = np.zeros(steps, np.int64), leaves + 1
    for step in range(steps):
        count = active[step]
        here, tall = np.arange(count), height[:count]
        first, second = stacks[here, tall - 1], stacks[here, tall - 2]
        top.append(first)
        below.append(second)
        waiting = next_leaf[:count]
        buffer.append(np.where(waiting < end_leaf[:count], waiting, 0))
        reduces = transitions[step, :count] == REDUCE
        which = np.flatnonzero(reduces)
        made[step] = len(which)
        reducing.append(which)
        left.append(second[which])
        right.append(first[which])
        tall += np.where(reduces, -1, 1)  # height and next_leaf change in place: these are views
        pushed = waiting.copy()
        pushed[which] = np.arange(row, row + len(which))
        stacks[here, tall - 1] = pushed
        waiting += ~reduces
        row += len(which)
    return StackPlan(
        order=order,
        leaves=leaves,
        active=active,
        made=made,
        top=np.concatenate(top),
        below=np.concatenate(below),
        buffer=np.concatenate(buffer),
        reducing=np.concatenate(reducing),
        left=np.concatenate(left),
        right=np.concatenate(right),
        roots=stacks[:, 2],
    )


def containment(plan: StackPlan, leaves: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the marks of the inner nodes: the union of their leaves' marks.

    Args:
        plan: the schedule.
        leaves: the marks of the leaves as bits, in the order of their rows. Shape: (L,).

    Returns:
        The marks of the inner nodes in the order of their rows. Shape: (nodes,).
    """
    marks = np.zeros(1 + plan.leaves + len(plan.left), np.int64)
    marks[1 : plan.leaves + 1] = leaves
    start = 0
    for made in plan.made:
        nodes = slice(start, start + made)
        marks[plan.leaves + 1 :][nodes] = marks[plan.left[nodes]] | marks[plan.right[nodes]]
        start += made
    return marks[plan.leaves + 1 :]
