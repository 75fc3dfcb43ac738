"""R-Drop (Liang et al. 2021): a batch is scored under two dropouts, and both scores are to agree."""

from __future__ import annotations

from torch import Tensor


def divergence_of_pairs(logits: Tensor) -> Tensor:
    """Return how far the two scores of each instance are apart, which R-Drop adds to the loss (its eq. 4).

    It is the mean over instances of the mean of both Kullback-Leibler divergences.

    Args:
        logits: two neighbouring rows for each instance. Shape: (2n, labels).
    """
    p, q = logits[0::2].log_softmax(1), logits[1::2].log_softmax(1)
    return ((p.exp() - q.exp()) * (p - q)).sum(1).mean() / 2
