"""Training a tagger: AdamW, a cosine schedule, averaged weights, and the best epoch by the dev parts.

In: batches of the training part, and a function that scores the dev parts. Out: the network with the weights to keep,
and the record of every epoch. Everything random comes from (seed, epoch) alone, so that a training can be repeated, and
resumed, to the last digit with the same number of threads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classifier.entities.batch import SentenceBatcher
from classifier.entities.config import TaggerConfig
from classifier.entities.facts import TaggerEpoch
from classifier.entities.model import Network
from classifier.training.optimizer import optimizer_tensors, restore_optimizer, weights_of
from classifier.training.saver import Saver
from featstore.errors import UsageError


@dataclass(frozen=True, slots=True, eq=False)
class TaggerState:
    """Where training stands after an epoch; with the configuration it determines all that follows.

    Attributes:
        epochs: all epochs so far.
        weights: of the network.
        average: their moving average.
        best: the average after the best epoch.
        optimizer: what the optimiser keeps for each parameter, by ``NUMBER.NAME``.
    """

    epochs: tuple[TaggerEpoch, ...]
    weights: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]


class Training:
    """A training on its way.

    Args:
        network: as initialised; at the end of :meth:`run` it has the weights to keep.
        config: how to train.
        state: where an earlier training of the same network and configuration stood.
    """

    def __init__(self, network: Network, config: TaggerConfig, state: TaggerState | None = None) -> None:
        self._network, self._config = network, config
        self._optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
        )
        self._average = weights_of(network)
        self._best = weights_of(network)
        self.epochs: list[TaggerEpoch] = []
        if state:
            self.epochs = list(state.epochs)
            network.load_state_dict(dict(state.weights))
            self._average, self._best = dict(state.average), dict(state.best)
            restore_optimizer(self._optimizer, state.optimizer)

    def run(
        self,
        batcher: SentenceBatcher,
        positions: NDArray[np.int64],
        score_dev: Callable[[], float | None],
        *,
        progress: Callable[[TaggerEpoch], None] | None = None,
        save: Callable[[TaggerState], None] | None = None,
    ) -> None:
        """Train to the last epoch.

        Args:
            batcher: batches of the training part.
            positions: of the training part.
            score_dev: scores the network on the dev parts; None if there are none.
            progress: called after each epoch.
            save: called with the state after an epoch, once a minute at most.

        Raises:
            UsageError: the loss is no longer a number.
        """
        save_at_times = Saver(save)
        for number in range(len(self.epochs) + 1, self._config.max_epochs + 1):
            start = time.perf_counter()
            loss = self._epoch(batcher, positions, number)
            f1 = self._with_average(score_dev)
            highest = max((epoch.dev_f1 or 0.0 for epoch in self.epochs), default=-1.0)
            best = f1 is None or f1 > highest
            if best:
                self._best = {name: value.clone() for name, value in self._average.items()}
            seconds = time.perf_counter() - start
            self.epochs.append(TaggerEpoch(number, self._config.max_epochs, loss, f1, best, seconds))
            save_at_times(self.state)
            if progress:
                progress(self.epochs[-1])
        self._network.load_state_dict(self._best)

    def state(self) -> TaggerState:
        """Return where the training stands; only the optimiser's tensors are copies."""
        optimizer = optimizer_tensors(self._optimizer)
        return TaggerState(tuple(self.epochs), self._network.state_dict(), self._average, self._best, optimizer)

    def _epoch(self, batcher: SentenceBatcher, positions: NDArray[np.int64], number: int) -> float:
        """Go once over the training part; return the mean loss."""
        config = self._config
        self._network.train()
        torch.manual_seed(config.seed * 1_000_003 + number)
        total, seen = 0.0, 0
        for batch in batcher.shuffled(positions, config.batch_size, (config.seed, number)):
            done = (number - 1 + (seen + len(batch.lengths) / 2) / len(positions)) / config.max_epochs
            seen += len(batch.lengths)
            for group in self._optimizer.param_groups:
                group["lr"] = config.lr * config.share_of_rate(done)
            self._optimizer.zero_grad()
            loss = self._network.loss(batch.rows, batch.surface, batch.index, batch.lengths, batch.possible)
            value = loss.item()
            if not math.isfinite(value):
                raise UsageError(f"the loss became {value} in epoch {number}; lower the learning rate ({config.lr}).")
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), 5.0)
            self._optimizer.step()
            self._follow()
            total += value * len(batch.lengths)
        return total / len(positions)

    def _follow(self) -> None:
        """Move the average towards the weights; early on faster, so that it forgets the initial ones."""
        steps = int(next(iter(self._optimizer.state.values()))["step"])
        decay = min(self._config.average, steps / (steps + 9))
        weights = self._network.state_dict()
        names = [name for name, value in weights.items() if value.is_floating_point()]
        torch._foreach_lerp_([self._average[n] for n in names], [weights[n] for n in names], 1 - decay)

    def _with_average(self, score: Callable[[], float | None]) -> float | None:
        """Score the network with its averaged weights in the place of its own."""
        own = weights_of(self._network)
        self._network.load_state_dict(self._average)
        try:
            return score()
        finally:
            self._network.load_state_dict(own)
