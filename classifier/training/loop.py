"""Training the head: the paper's defaults, annealing and early stopping on the dev part.

In: batches of a train and a dev part and a :class:`TrainConfig`. Out: the head with the weights of its best epoch,
and the record of every epoch. Everything random comes from (seed, epoch) alone, so a run can be repeated to the last
digit with the same number of threads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from classifier.data.batch import Batch, Batcher
from classifier.head.model import AnyHead, Head
from classifier.training.config import TrainConfig
from classifier.training.consistency import divergence_of_pairs
from classifier.training.dev_part import loss_and_f1
from classifier.training.epoch import Epoch, Notice, RunProgress
from classifier.training.optimizer import average_of, make_optimizer, optimizer_tensors, restore_optimizer, weights_of
from classifier.training.plateau import Plateau
from classifier.training.predict import predict
from classifier.training.saver import Saver
from featstore.allocation import freed_memory_kept
from featstore.errors import UsageError


@dataclass(frozen=True, slots=True, eq=False)
class TrainState:
    """Where training stands after an epoch; together with the configuration it determines all that follows.

    Attributes:
        epochs: all epochs so far.
        head: the weights.
        average: the state of their moving average, empty if the configuration has none.
        best: the weights of the best epoch.
        optimizer: what the optimiser keeps for each parameter, by ``NUMBER.NAME``.
        refit: the loss of each epoch of :func:`refit` so far; None while the epoch is still being chosen. From then on
            ``head``, ``average`` and ``optimizer`` are those of the head that is fitted anew.
    """

    epochs: tuple[Epoch, ...]
    head: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    refit: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Moving:
    """What the steps of a training move.

    Attributes:
        head: the head.
        optimizer: of its weights.
        average: of its weights, which follows each step; None if the configuration has none.
    """

    head: AnyHead
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None

    @classmethod
    def of(cls, head: AnyHead, config: TrainConfig) -> _Moving:
        """Return what the training of ``head`` begins with."""
        optimizer = make_optimizer(head, config)
        return cls(head, optimizer, average_of(head, optimizer, config.average))

    @property
    def evaluated(self) -> AnyHead:
        """The head whose weights count: the averaged ones, where there is an average."""
        return cast(AnyHead, self.average.module) if self.average else self.head

    def put_back(self, state: TrainState) -> None:
        """Put everything back to where it stood."""
        self.head.load_state_dict(dict(state.head))
        restore_optimizer(self.optimizer, state.optimizer)
        if self.average:
            self.average.load_state_dict(dict(state.average))

    def state(
        self, epochs: Sequence[Epoch], best: Mapping[str, Tensor], refit: Sequence[float] | None = None
    ) -> TrainState:
        """Return copies of everything, with the rest of a state."""
        return TrainState(
            epochs=tuple(epochs),
            head=weights_of(self.head),
            average=weights_of(self.average) if self.average else {},
            best=best,
            optimizer=optimizer_tensors(self.optimizer),
            refit=None if refit is None else tuple(refit),
        )


def train(
    head: AnyHead,
    batcher: Batcher,
    parts: tuple[NDArray[np.int64], NDArray[np.int64]],
    config: TrainConfig,
    *,
    labels: tuple[str, ...],
    positive: tuple[str, ...],
    progress: Callable[[Epoch], None] | None = None,
    state: TrainState | None = None,
    save: Callable[[TrainState], None] | None = None,
) -> list[Epoch]:
    """Train ``head`` in place; at the end it has the weights of the best epoch.

    Args:
        head: as initialised.
        batcher: batches of both parts.
        parts: positions of the train and of the dev part.
        config: how to train.
        labels: all labels.
        positive: those that the dev score counts.
        progress: called after each epoch.
        state: where an earlier call of the same arguments stood; training goes on from there.
        save: called with the state after an epoch, once a minute at most.

    Returns:
        The epochs.

    Raises:
        UsageError: the loss is no longer a number.
    """
    moving = _Moving.of(head, config)
    # A rate that follows its own course is not halved, and training goes on to the last epoch.
    patience = config.patience if config.schedule == "plateau" else config.max_epochs + 1
    plateau = Plateau(config.lr, patience, config.min_lr)
    epochs = list(state.epochs) if state else []
    best = dict(state.best) if state else weights_of(head)
    if state:
        moving.put_back(state)
        for epoch in epochs:
            plateau.step(epoch.dev_f1, epoch.dev_loss)
    save_at_times = Saver(save)
    while len(epochs) < config.max_epochs and not plateau.is_over:
        start, number = time.perf_counter(), len(epochs) + 1
        train_loss, lr = _epoch(moving, batcher, parts[0], config, number, plateau.lr)
        predicted = predict(moving.evaluated, batcher, parts[1]).probabilities
        dev_loss, dev_f1 = loss_and_f1(predicted, batcher.labels[parts[1]], labels, positive)
        is_best = plateau.step(dev_f1, dev_loss)
        if is_best:
            best = weights_of(moving.evaluated)
        seconds = time.perf_counter() - start
        epochs.append(Epoch(number, config.max_epochs, train_loss, dev_loss, dev_f1, lr, is_best, seconds))
        save_at_times(partial(moving.state, epochs, best))
        if progress:
            progress(epochs[-1])
    head.load_state_dict(best)
    return epochs


def refit(
    head: AnyHead,
    batcher: Batcher,
    positions: NDArray[np.int64],
    config: TrainConfig,
    chosen: TrainState,
    *,
    progress: RunProgress | None = None,
    save: Callable[[TrainState], None] | None = None,
) -> tuple[float, ...]:
    """Train ``head`` in place on the train and the dev part together, for as many epochs as the dev part has chosen.

    The learning rate follows the course that it had when the epoch was chosen. Nothing is chosen here.

    Args:
        head: as initialised.
        batcher: batches of both parts.
        positions: of both parts.
        config: how to train.
        chosen: the end of :func:`train` on the train part alone; or where an earlier call of this function stood.
        progress: called with a notice after each epoch.
        save: called with the state at the start, and after an epoch, once a minute at most.

    Returns:
        The loss of each epoch.

    Raises:
        UsageError: the loss is no longer a number.
    """
    moving = _Moving.of(head, config)
    losses = list(chosen.refit or ())
    state = partial(moving.state, chosen.epochs, chosen.best, losses)
    if losses:
        moving.put_back(chosen)
    elif save:
        save(state())
    save_at_times = Saver(save)
    number_of_epochs = max(epoch.number for epoch in chosen.epochs if epoch.best)
    for epoch in chosen.epochs[len(losses) : number_of_epochs]:
        start = time.perf_counter()
        # The rate that 'plateau' had in this epoch; the cosine falls from the configured one.
        peak = epoch.lr if config.schedule == "plateau" else config.lr
        losses.append(_epoch(moving, batcher, positions, config, epoch.number, peak)[0])
        save_at_times(state)
        if progress:
            progress(
                Notice(
                    f"epoch {epoch.number} of {number_of_epochs} on the train and the dev part: loss {losses[-1]:.4f}, "
                    f"{time.perf_counter() - start:.1f} s"
                )
            )
    if moving.average:
        head.load_state_dict(weights_of(moving.evaluated))
    return tuple(losses)


@contextmanager
def reproducible(seed: int, threads: int) -> Iterator[None]:
    """Inside, torch's random numbers follow ``seed`` and it uses ``threads`` threads; outside, nothing changes."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@freed_memory_kept()
def _epoch(
    moving: _Moving,
    batcher: Batcher,
    positions: NDArray[np.int64],
    config: TrainConfig,
    number: int,
    peak: float,
) -> tuple[float, float]:
    """Go once over the train part; return the mean loss and the last learning rate."""
    head, optimizer = moving.head, moving.optimizer
    head.train()
    torch.manual_seed(config.seed * 1_000_003 + number)
    total = lr = 0.0
    seen = 0
    for batch in batcher.shuffled(positions, config.batch_size, (config.seed, number), config.pack):
        done = (number - 1 + (seen + len(batch.labels) / 2) / len(positions)) / config.max_epochs
        seen += len(batch.labels)
        lr = peak * config.share_of_rate(done)
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        value = 0.0
        for member in head.members:  # one after the other: each takes the step it would take alone
            loss = loss_of(member, batch, config)
            loss.backward()
            value += loss.item() / len(head.members)
        if not math.isfinite(value):
            raise UsageError(
                f"the loss became {value} in epoch {number} (optimizer {config.optimizer}, learning rate {lr}); lower "
                "the learning rate or standardise the features."
            )
        optimizer.step()
        total += value * len(batch.labels)
    return total / len(positions), lr


def loss_of(head: Head, batch: Batch, config: TrainConfig) -> Tensor:
    """Return the loss of a batch: cross-entropy, or with ``consistency`` that of R-Drop (Liang et al. 2021, eq. 4).

    The cross-entropy is that with the labels, or with the batch's targets if it has any; with ``smoothing`` a share of
    each is spread evenly over all labels (Szegedy et al. 2016, section 7).
    For R-Drop each instance is scored twice, each time with another dropout of its vectors and of h*: the mean
    cross-entropy of both, and besides ``consistency`` times the mean of the two Kullback-Leibler divergences.
    """
    wanted = batch.labels if batch.targets is None else batch.targets
    cross_entropy = partial(torch.nn.functional.cross_entropy, label_smoothing=config.smoothing)
    if not config.consistency:
        return cross_entropy(head(batch.rows, batch.index, batch.lengths, batch.mentions).logits, wanted)
    # Each instance twice in a row, the second on the second copy of the rows: faster than two batches.
    index, wanted = batch.index.repeat_interleave(2, 0), wanted.repeat_interleave(2, 0)
    second = index[1::2]
    second += len(batch.rows[0]) * (second >= 0)
    twice = index, batch.lengths.repeat_interleave(2), batch.mentions.repeat_interleave(2, 0)
    logits = head(batch.rows, *twice, copies=2).logits
    return cross_entropy(logits, wanted) + config.consistency * divergence_of_pairs(logits)
