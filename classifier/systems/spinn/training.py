"""Training one network of SPINN: AdamW, a falling rate, averaged weights, and the best epoch on the dev part.

In: examples of both parts and options. Out: the weights of the best epoch, and every epoch; with ``refit`` those of a
network that has learnt from both parts for as many epochs. What is random in an epoch comes from (seed, member, epoch)
alone, so an interrupted training goes on with the same numbers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classifier.systems.spinn.examples import Examples
from classifier.systems.spinn.network import Spinn
from classifier.systems.spinn.options import SpinnOptions
from classifier.training.consistency import divergence_of_pairs
from classifier.training.dev_part import loss_and_f1
from classifier.training.epoch import Epoch
from classifier.training.optimizer import optimizer_tensors, restore_optimizer, weights_of
from featstore.errors import UsageError

_WARMUP = 0.1  # share of all steps in which the rate rises
_LARGEST_GRADIENT = 5.0
_BATCH = 256  # instances that are scored together
_EPSILON = 1e-6  # of AdamW, as in the paper

Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPart:
    """A part of a corpus.

    Attributes:
        examples: its instances.
        labels: the number of the label of each. Shape: (n,).
    """

    examples: Examples
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class MemberState:
    """Where the training of one network stands after an epoch.

    Attributes:
        epochs: its epochs so far.
        weights: of the network.
        average: their moving average.
        best: the weights of the best epoch; none while it learns from both parts.
        optimizer: what the optimiser keeps for each weight, by ``NUMBER.NAME``.
        losses: of its epochs on both parts so far.
    """

    epochs: tuple[Epoch, ...] = ()
    weights: Weights = field(default_factory=dict)
    average: Weights = field(default_factory=dict)
    best: Weights = field(default_factory=dict)
    optimizer: Weights = field(default_factory=dict)
    losses: tuple[float, ...] = ()


def train_member(
    network: Spinn,
    parts: tuple[LabelledPart, LabelledPart],
    options: SpinnOptions,
    member: int,
    labels: tuple[str, ...],
    positive: tuple[str, ...],
    state: MemberState,
    after: Callable[[MemberState], None],
) -> tuple[Epoch, ...]:
    """Train ``network`` in place; at the end it has the weights of the best epoch.

    Args:
        network: as initialised.
        parts: the train and the dev part.
        options: how.
        member: which network it is, from 0.
        labels: all labels.
        positive: those that the dev score counts.
        state: where an earlier call stood.
        after: called after each epoch with the state.

    Returns:
        The epochs.

    Raises:
        UsageError: the loss is no longer a number.
    """
    optimizer, average = _taken_up(network, options, state)
    epochs, best = state.epochs, state.best
    while len(epochs) < options.max_epochs:
        start, number = time.perf_counter(), len(epochs)
        loss, lr = _epoch(network, parts[0], optimizer, average, options, member, number)
        trained = weights_of(network)
        network.load_state_dict(average)
        probabilities = predict(network, parts[1].examples)
        network.load_state_dict(trained)
        dev_loss, dev_f1 = loss_and_f1(probabilities, parts[1].labels, labels, positive)
        is_best = not epochs or dev_f1 > max(epoch.dev_f1 for epoch in epochs)
        if is_best:
            best = {name: value.clone() for name, value in average.items()}
        told = member * options.max_epochs + number + 1  # among the epochs of all networks
        seconds = time.perf_counter() - start
        epochs = (*epochs, Epoch(told, options.epochs, loss, dev_loss, dev_f1, lr, is_best, seconds))
        after(MemberState(epochs, trained, average, best, optimizer_tensors(optimizer)))
    network.load_state_dict(best)
    return epochs


def refit_member(
    network: Spinn,
    both: LabelledPart,
    options: SpinnOptions,
    member: int,
    epochs: int,
    state: MemberState,
    after: Callable[[MemberState, float], None],
) -> tuple[float, ...]:
    """Train ``network`` in place on the train and the dev part together; at the end it has the averaged weights.

    The learning rate follows the course that it had when the dev part chose the number of epochs.

    Args:
        network, options, member, state: as those of :func:`train_member`.
        both: both parts together.
        epochs: how many.
        after: called after each epoch with the state and the seconds that it took.

    Returns:
        The loss of each epoch.
    """
    optimizer, average = _taken_up(network, options, state)
    losses = state.losses
    while len(losses) < epochs:
        start = time.perf_counter()
        losses = (*losses, _epoch(network, both, optimizer, average, options, member, len(losses))[0])
        now = MemberState((), weights_of(network), average, {}, optimizer_tensors(optimizer), losses)
        after(now, time.perf_counter() - start)
    network.load_state_dict(average)
    return losses


def _taken_up(
    network: Spinn, options: SpinnOptions, state: MemberState
) -> tuple[torch.optim.Optimizer, dict[str, Tensor]]:
    """Return the optimiser of ``network`` and its averaged weights, and put all three where ``state`` left them."""
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=options.lr, eps=_EPSILON, weight_decay=options.weight_decay, fused=True
    )
    average = weights_of(network)
    if state.weights:
        network.load_state_dict(state.weights)
        average = {name: state.average[name].clone() for name in average}
        restore_optimizer(optimizer, state.optimizer)
    return optimizer, average


@torch.inference_mode()
def predict(network: Spinn, examples: Examples) -> NDArray[np.float32]:
    """Return the probability of each label. Shape: (n, labels)."""
    network.eval()
    probabilities = np.zeros((len(examples), network.config.labels), np.float32)
    for positions in examples.by_length(_BATCH):
        leaves, plan, ordered = examples.batch(positions)
        probabilities[ordered] = network(leaves, plan).softmax(1).numpy()
    return probabilities


def _epoch(
    network: Spinn,
    part: LabelledPart,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    options: SpinnOptions,
    member: int,
    number: int,
) -> tuple[float, float]:
    """Train one epoch; return the mean loss and the rate at its end."""
    torch.manual_seed(int(np.random.SeedSequence((options.seed, member, number)).generate_state(1)[0]))
    network.train()
    batches = part.examples.shuffled(options.batch_size, np.random.default_rng((options.seed, member, number)))
    total, lr, steps = 0.0, 0.0, len(batches) * options.max_epochs
    for count, positions in enumerate(batches, start=number * len(batches)):
        lr = options.lr * _share_of_rate(count, steps)
        for group in optimizer.param_groups:
            group["lr"] = lr
        loss = _loss(network, part, positions, options.consistency)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
        optimizer.step()
        total += loss.item() * len(positions)
        # At the beginning the average follows the weights closely, or it would remember how they were initialised.
        weight = 1 - min(options.average, (1 + count) / (10 + count))
        with torch.no_grad():
            for name, value in network.state_dict().items():
                average[name].lerp_(value, weight)
    if not math.isfinite(total):
        raise UsageError(f"the loss of epoch {number + 1} is {total}; train with a lower --lr than {options.lr:g}.")
    return total / len(part.labels), lr


def _loss(network: Spinn, part: LabelledPart, positions: NDArray[np.int64], consistency: float) -> Tensor:
    """Return the loss of a batch: cross-entropy, and with a ``consistency`` R-Drop (Liang et al. 2021, eq. 4)."""
    if consistency:
        positions = positions.repeat(2)  # instances of one length stay in order, so the two are neighbours
    leaves, plan, ordered = part.examples.batch(positions)
    scores: Tensor = network(leaves, plan)
    loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(part.labels[ordered]))
    if not consistency:
        return loss
    return loss + consistency * divergence_of_pairs(scores)


def _share_of_rate(done: int, steps: int) -> float:
    """Return the share of the highest rate at a step: a straight rise, then a fall along half a cosine."""
    rising = max(1, round(_WARMUP * steps))
    if done < rising:
        return (done + 1) / rising
    return (1 + math.cos(math.pi * (done - rising) / max(1, steps - rising))) / 2
