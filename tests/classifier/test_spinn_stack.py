"""The thin stack against a plain recursion, one instance at a time: the same vectors and the same gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from classifier.systems.spinn.schedule import containment, schedule
from classifier.systems.spinn.stack import thin_stack
from classifier.systems.spinn.trees import REDUCE, SHIFT, Tree, balanced, right_branching

HIDDEN, STATE = 3, 2


def random_tree(size: int, seed: int) -> Tree:
    """Return a random binary tree of ``size`` leaves."""
    generator, moves, height, left = np.random.default_rng(seed), [], 0, size
    while left or height > 1:
        reduce = height > 1 and (not left or generator.random() < 0.5)
        moves.append(REDUCE if reduce else SHIFT)
        height, left = (height - 1, left) if reduce else (height + 1, left - 1)
    return Tree(tuple(f"w{i}" for i in range(size)), np.array(moves, np.int8))


def plain(
    tree: Tree, leaves: Tensor, buffered: Tensor, tracker: Tensor, composer: Tensor, bias: Tensor
) -> list[Tensor]:
    """Run one tree step by step as the equations say; return h of its inner nodes in postorder.

    ``leaves`` and ``buffered`` hold the rows of this tree, with row 0 for what is empty.
    """
    stack = [(torch.zeros_like(leaves[0, :HIDDEN]), torch.zeros_like(leaves[0, :HIDDEN]))] * 2
    t, m, made, shifted = leaves.new_zeros(STATE), leaves.new_zeros(STATE), [], 0
    for move in tree.transitions:
        waiting = shifted + 1 if shifted + 1 < len(leaves) else 0
        x = torch.cat([stack[-1][0], stack[-2][0], t])
        i, f, o, g = (buffered[waiting] + x @ tracker).split(STATE)
        m = i.sigmoid() * g.tanh() + f.sigmoid() * m
        t = o.sigmoid() * m.tanh()
        if move == SHIFT:
            shifted += 1
            stack.append((leaves[shifted, :HIDDEN], leaves[shifted, HIDDEN:]))
            continue
        (h_right, c_right), (h_left, c_left) = stack.pop(), stack.pop()
        gates = torch.cat([h_right, h_left, t]) @ composer + bias
        i, f_left, f_right, o, g = gates.split(HIDDEN)
        c = f_left.sigmoid() * c_left + f_right.sigmoid() * c_right + i.sigmoid() * g.tanh()
        stack.append((o.sigmoid() * c.tanh(), c))
        made.append(stack[-1][0])
    assert len(stack) == 3
    return made


def weights(leaves: int) -> list[Tensor]:
    torch.manual_seed(leaves)
    width = 2 * HIDDEN + STATE
    shapes = [(1 + leaves, 2 * HIDDEN), (1 + leaves, 4 * STATE), (width, 4 * STATE), (width, 5 * HIDDEN), (5 * HIDDEN,)]
    made = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
    made[0][0] = 0
    return [tensor.requires_grad_() for tensor in made]


def batched(trees: Sequence[Tree], given: list[Tensor]) -> list[Tensor]:
    """Run a batch on the thin stack; return h of each tree's inner nodes in postorder, and check the roots' rows."""
    plan = schedule(trees)
    leaves, buffered, tracker, composer, bias = given
    table = thin_stack(leaves, buffered, tracker, composer, bias.expand(len(plan.left), -1), plan)
    found: list[list[Tensor]] = [[] for _ in trees]
    for row, instance in enumerate(plan.reducing, plan.leaves + 1):
        found[plan.order[instance]].append(table[row])
    for instance, row in enumerate(plan.roots):
        if nodes := found[plan.order[instance]]:
            assert torch.equal(table[row], nodes[-1])
        else:
            nodes.append(table[row])
    return [torch.stack(nodes) for nodes in found]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2**32 - 1)), min_size=1, max_size=5))
def test_forward_and_gradient_are_those_of_a_plain_recursion(shapes: list[tuple[int, int]]) -> None:
    trees = [random_tree(size, seed) for size, seed in shapes]
    plan = schedule(trees)
    given = weights(plan.leaves)
    ours = batched(trees, given)
    gradients = torch.autograd.grad(sum((nodes.sin().sum() for nodes in ours), torch.zeros(())), given)
    start = 1
    theirs: dict[int, Tensor] = {}
    for position in plan.order:
        rows = [0, *range(start, start + shapes[position][0])]
        start += shapes[position][0]
        made = plain(trees[position], given[0][rows], given[1][rows], *given[2:])
        theirs[position] = torch.stack(made or [given[0][rows[1], :HIDDEN]])
    for position, nodes in enumerate(ours):
        torch.testing.assert_close(nodes, theirs[position], rtol=1e-12, atol=1e-12)
    wanted = torch.autograd.grad(
        sum((n.sin().sum() for n in theirs.values()), torch.zeros(())), given, allow_unused=True
    )
    for ours_, wanted_ in zip(gradients, wanted, strict=True):
        wanted_ = torch.zeros_like(ours_) if wanted_ is None else wanted_
        wanted_[0] = ours_[0] if ours_ is gradients[0] else wanted_[0]  # the empty element is no parameter
        torch.testing.assert_close(ours_, wanted_, rtol=1e-10, atol=1e-12)


def test_an_instance_does_not_depend_on_its_batch() -> None:
    trees = [random_tree(size, size) for size in (4, 11, 7, 1)]
    together = batched(trees, given := weights(23))
    start = 1
    for position in schedule(trees).order:
        rows = [0, *range(start, start := start + len(trees[position].words))]
        alone = batched([trees[position]], [given[0][rows], given[1][rows], *given[2:]])
        torch.testing.assert_close(alone[0], together[position], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("shape", [right_branching, balanced])
def test_a_thousand_words_need_no_recursion(shape: object) -> None:
    tree = (right_branching if shape is right_branching else balanced)([f"w{i}" for i in range(1000)])
    given = weights(1000)
    nodes = batched([tree], given)[0]
    nodes[-1].sum().backward()
    assert given[3].grad is not None
    assert bool(given[3].grad.isfinite().all())


def test_a_node_holds_the_marks_of_its_leaves() -> None:
    plan = schedule([balanced("abcd"), right_branching("xyz")])
    marks = containment(plan, np.array([1, 0, 0, 2, 0, 2, 0]))
    by_instance = [marks[plan.reducing == i].tolist() for i in (0, 1)]
    assert by_instance == [[1, 2, 3], [2, 2]]
