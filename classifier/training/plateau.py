"""When the learning rate falls, when training ends, and which epoch is the best.

In: F1 and loss on the dev part, epoch by epoch. Out: the learning rate of the next epoch, and whether this epoch is the
best so far. The best epoch has the highest F1 and, among those, the lowest loss. The rate is halved after ``patience``
epochs in a row without a new best in either F1 or loss. F1 alone, which most trainers use, is not enough. At the start
a head that calls everything positive has a high F1, and learning lowers it, so the rate would fall before plain SGD has
learned anything.
"""

from __future__ import annotations

import math


class Plateau:
    """Follows F1 and loss on the dev part.

    Args:
        lr: learning rate at the start.
        patience: epochs in a row without improvement that halve it.
        min_lr: share of ``lr`` below which training is over.
    """

    def __init__(self, lr: float, patience: int, min_lr: float) -> None:
        self.lr = lr
        self._patience = patience
        self._end = lr * min_lr
        self._best = (-math.inf, -math.inf)  # F1 and negative loss of the best epoch
        self._lowest_loss = math.inf
        self._waited = 0

    @property
    def is_over(self) -> bool:
        """Whether the learning rate has fallen so low that training ends."""
        return self.lr < self._end

    def step(self, f1: float, loss: float) -> bool:
        """Record an epoch and return whether it is the best so far."""
        improved = f1 > self._best[0] or loss < self._lowest_loss
        best = (f1, -loss) > self._best
        if best:
            self._best = (f1, -loss)
        self._lowest_loss = min(self._lowest_loss, loss)
        self._waited = 0 if improved else self._waited + 1
        if self._waited == self._patience:
            self._waited = 0
            self.lr /= 2
        return best
