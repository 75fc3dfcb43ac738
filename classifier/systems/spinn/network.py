"""The network: vectors and features of the leaves, the thin stack, and a classifier over some of its nodes.

In: the leaves of a batch and its schedule. Out: scores of the labels. torch only: no paths, no corpus. The core is
SPINN (Bowman et al. 2016) as Lim and Kang (2018) use it. To it come the two features that their tree-LSTM reads, how
far a word is from either entity and which of the entities a subtree contains, and a classifier that may read more than
the root.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from classifier.systems.spinn.schedule import StackPlan, containment
from classifier.systems.spinn.stack import thin_stack

MARKS = 4  # a node contains neither entity, the first, the second, or both
BOTH = 3
DISTANCES = 22  # buckets of the distance to an entity; the last stands for an entity that the tree does not have


@dataclass(frozen=True, slots=True)
class SpinnShape:
    """The shape of the network; see :class:`~classifier.systems.spinn.options.SpinnOptions` for the rest.

    Attributes:
        labels: number of labels.
        learned: number of words whose vectors are learned.
        width: length of a word vector.
    """

    labels: int
    learned: int
    width: int
    hidden: int
    tracker: int
    mlp: int
    position: int
    containment: bool
    readout: str
    word_dropout: float
    dropout: float


@dataclass(frozen=True, slots=True, eq=False)
class Leaves:
    """The leaves of a batch, in the order of their rows.

    Attributes:
        vectors: their fixed vectors, zeros for a leaf that has none. Shape: (L, width) float32.
        learned: the number of the learned vector that is added, -1 for none. Shape: (L,).
        marks: 1 for the first entity, 2 for the second, 0 for another word. Shape: (L,).
        distances: buckets of the distance to each entity. Shape: (L, 2).
    """

    vectors: NDArray[np.float32]
    learned: NDArray[np.int64]
    marks: NDArray[np.int64]
    distances: NDArray[np.int64]


class Spinn(nn.Module):
    """SPINN with a classifier.

    Args:
        config: its shape.
    """

    def __init__(self, config: SpinnShape) -> None:
        super().__init__()
        self.config = config
        hidden, state = config.hidden, config.tracker
        self.words = nn.Parameter(torch.randn(config.learned, config.width))
        self.distances = nn.Parameter(torch.randn(2 * DISTANCES, config.position))
        self.projection = nn.Linear(config.width + 2 * config.position, 2 * hidden)
        self.norm = nn.LayerNorm(2 * hidden)
        self.buffered = nn.Linear(hidden, 4 * state)
        self.tracker = nn.Parameter(_uniform(2 * hidden + state, 4 * state))
        self.composer = nn.Parameter(_uniform(2 * hidden + state, 5 * hidden))
        self.offsets = nn.Parameter(torch.zeros(MARKS if config.containment else 1, 5 * hidden))
        with torch.no_grad():
            self.offsets[:, hidden : 3 * hidden] = 1.0  # a node begins by remembering its children
        self.reads = config.readout.split("+")
        self.classifier = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(len(self.reads) * hidden, config.mlp),
            nn.ELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.mlp, config.labels),
        )

    def forward(self, leaves: Leaves, plan: StackPlan) -> Tensor:
        """Return the scores of the labels; instances are in the order of ``plan.order``. Shape: (B, labels)."""
        x = functional.pad(self.norm(self.projection(self._inputs(leaves))), (0, 0, 1, 0))
        marks = containment(plan, leaves.marks)
        offsets = look_up(self.offsets, marks if self.config.containment else np.zeros_like(marks))
        buffered = self.buffered(x[:, : self.config.hidden])
        table = thin_stack(x, buffered, self.tracker, self.composer, offsets, plan)
        scores: Tensor = self.classifier(torch.cat([_READ[what](table, plan, marks) for what in self.reads], 1))
        return scores

    def _inputs(self, leaves: Leaves) -> Tensor:
        """Return what the leaves are projected from. Shape: (L, width + 2 * position)."""
        rows = np.flatnonzero(leaves.learned >= 0)
        x = torch.from_numpy(leaves.vectors).to(self.words.dtype)
        x = x.index_add(0, torch.from_numpy(rows), look_up(self.words, leaves.learned[rows]))
        if self.config.position:
            x = torch.cat([x, look_up(self.distances, leaves.distances + np.array([0, DISTANCES])).flatten(1)], 1)
        return _drop(x, self.config.word_dropout if self.training else 0.0)


def look_up(table: Tensor, numbers: NDArray[np.int64]) -> Tensor:
    """Return rows of a learned table. Shape: table (rows, width), numbers (..) -> (.., width).

    ``table[numbers]`` would do, but several threads add up its gradient in any order, so no fit could be repeated.
    """
    return functional.embedding(torch.from_numpy(numbers), table)


def _root(table: Tensor, plan: StackPlan, _: NDArray[np.int64]) -> Tensor:
    return table[torch.from_numpy(plan.roots)]


def _pair(table: Tensor, plan: StackPlan, marks: NDArray[np.int64]) -> Tensor:
    """Return the smallest subtree that contains both entities; the root of a tree that lacks one."""
    rows = plan.roots.copy()
    both = np.flatnonzero(marks == BOTH)[::-1]  # the node that is made first is written last, and stays
    rows[plan.reducing[both]] = plan.leaves + 1 + both
    return table[torch.from_numpy(rows)]


def _maximum(table: Tensor, plan: StackPlan, _: NDArray[np.int64]) -> Tensor:
    """Return the maximum over the inner nodes of each tree, and -1, which h never reaches, if it has none."""
    owner = torch.from_numpy(plan.reducing)[:, None].expand(-1, table.shape[1])
    least = table.new_full((len(plan.roots), table.shape[1]), -1.0)
    return least.scatter_reduce(0, owner, table[plan.leaves + 1 :], "amax")


_READ = {"root": _root, "pair": _pair, "max": _maximum}


def _drop(x: Tensor, share: float) -> Tensor:
    """Apply dropout whose share is rounded to 1/256, so that 64 random bits give eight decisions."""
    threshold = round(256 * share)
    if not threshold:
        return x
    bits = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    keep = bits.view(torch.uint8)[: x.numel()].view(x.shape) >= threshold
    return x * keep * (256 / (256 - threshold))


def _uniform(rows: int, columns: int) -> Tensor:
    bound = (6 / (rows + columns)) ** 0.5
    return torch.empty(rows, columns).uniform_(-bound, bound)
