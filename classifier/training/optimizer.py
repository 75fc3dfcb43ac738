"""The optimiser of a head, the moving average of its weights, and what both keep, as plain tensors.

In: a head and its :class:`~classifier.training.config.TrainConfig`. Out: what follows each step of a training, and
copies of its tensors, with which an interrupted training goes on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from classifier.head.model import AnyHead
from classifier.training.config import TrainConfig

Tensors = tuple[Tensor, ...] | list[Tensor]


def make_optimizer(head: AnyHead, config: TrainConfig) -> torch.optim.Optimizer:
    """Return the optimiser that a configuration names."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(head.parameters(), lr=config.lr, fused=True)
    return torch.optim.AdamW(head.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of the weights and buffers of a module, by name."""
    return {name: value.clone() for name, value in module.state_dict().items()}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return copies of the tensors that an optimiser keeps for its parameters."""
    state: dict[int, dict[str, Tensor | None]] = optimizer.state_dict()["state"]
    return {
        f"{n}.{name}": value.clone() for n, kept in state.items() for name, value in kept.items() if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, kept: Mapping[str, Tensor]) -> None:
    """Give an optimiser back what :func:`optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for key, value in kept.items():
        number, _, name = key.partition(".")
        state[int(number)][name] = value.clone()  # the optimiser changes what it is given
    optimizer.load_state_dict({**optimizer.state_dict(), "state": dict(state)})


def average_of(head: AnyHead, optimizer: torch.optim.Optimizer, decay: float) -> AveragedModel | None:
    """Return an exponential moving average of the weights that follows each step; None for a decay of 0.

    After n steps the decay is (n + 1) / (n + 10) at most, so that a short training forgets the initial weights too.
    """
    if not decay:
        return None

    def follow(averages: Tensors, weights: Tensors, steps: Tensor | int) -> None:
        torch._foreach_lerp_(averages, weights, 1 - min(decay, (int(steps) + 1) / (int(steps) + 10)))

    average = AveragedModel(head, multi_avg_fn=follow)
    optimizer.register_step_post_hook(lambda *_: average.update_parameters(head))
    return average
