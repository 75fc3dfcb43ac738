"""Dropout whose random numbers cost little on a processor.

In: activations. Out: the same with a share of them 0. torch draws one random number for each activation, one after the
other, which took a fifth of the time of a training step of MiniLM on one core. Here one number of 64 bits serves four
activations. The numbers follow torch's seed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_STEPS = 1 << 16  # a rate is rounded to these


class QuickDropout(nn.Module):
    """Dropout with a rate that is rounded to a multiple of 1/65,536.

    Args:
        rate: share of the activations that become 0, below 1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropped = round(rate * _STEPS)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with activations dropped and the others scaled; in evaluation mode ``x`` itself."""
        if not self.training or not self.dropped:
            return x
        drawn = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        kept = drawn.view(torch.int16)[: x.numel()].view(x.shape) >= self.dropped - _STEPS // 2
        return x * (kept.to(x.dtype) * (_STEPS / (_STEPS - self.dropped)))


def use_quick_dropout(module: nn.Module) -> None:
    """Replace every dropout below ``module``, which runs on a processor."""
    for name, child in module.named_children():
        if isinstance(child, nn.Dropout):
            setattr(module, name, QuickDropout(child.p))
        else:
            use_quick_dropout(child)
