"""An adaptive softmax (Grave et al. 2017): true log-probabilities over a large vocabulary at a fraction of the cost.

In: vectors and the words to predict, numbered by falling frequency. Out: the mean loss. The frequent words stand in
the head beside one entry for each cluster of rarer ones; a cluster's words are scored, through a narrower projection,
only where the target lies in it. Torch's own module fails under bfloat16 autocast.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class AdaptiveSoftmax(nn.Module):
    """Loss of a softmax over ``vocabulary`` words in a head and clusters.

    Args:
        width: columns of the vectors.
        vocabulary: words.
        cutoffs: where each cluster begins; ascending.
        shrink: each cluster is projected to a ``shrink``-th of the width of the one before.
    """

    def __init__(self, width: int, vocabulary: int, cutoffs: Sequence[int], shrink: int = 2) -> None:
        super().__init__()
        self.edges = [*cutoffs, vocabulary]
        self.head = nn.Linear(width, cutoffs[0] + len(cutoffs))
        sizes = [after - before for before, after in zip(self.edges, self.edges[1:], strict=False)]
        narrow = [max(8, width // shrink ** (i + 1)) for i in range(len(sizes))]
        self.tails = nn.ModuleList(
            nn.Sequential(nn.Linear(width, n, bias=False), nn.Linear(n, size))
            for n, size in zip(narrow, sizes, strict=True)
        )

    def forward(self, vectors: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss in nats; Shape: vectors (N, width), targets (N,)."""
        head_targets, total = targets.clone(), vectors.new_zeros((), dtype=torch.float32)
        for i, (tail, begin, end) in enumerate(zip(self.tails, self.edges, self.edges[1:], strict=False)):
            inside = (targets >= begin) & (targets < end)
            head_targets[inside] = self.edges[0] + i
            logits = tail(vectors[inside]).float()
            total = total + nn.functional.cross_entropy(logits, targets[inside] - begin, reduction="sum")
        total = total + nn.functional.cross_entropy(self.head(vectors).float(), head_targets, reduction="sum")
        return total / len(targets)
