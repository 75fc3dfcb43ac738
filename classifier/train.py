"""Training the head: the paper's defaults, annealing and early stopping on the dev part.

In: batches of a train and a dev part and a :class:`TrainConfig`. Out: the head with the weights of its best epoch,
and the record of every epoch. Everything random comes from (seed, epoch) alone, so a run can be repeated to the last
digit with the same number of threads.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classifier.batch import Batcher
from classifier.metrics import score
from classifier.model import PRECISIONS, Head
from classifier.plateau import Plateau
from classifier.predict import predict
from featstore.errors import UsageError
from featstore.records import check_choice

HEADS = ("paper",)
OPTIMIZERS = ("sgd", "adamw")
SECONDS_BETWEEN_SAVES = 60.0


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a head is trained. The defaults are the paper's; what it does not say is chosen here and marked (*).

    Attributes:
        features: what the head reads, as ``--features`` spells it.
        head: ``paper``: Hiai et al. 2021, eq. 1-10.
        seed: of the initial weights, the order of the batches and dropout.
        optimizer: ``sgd`` (plain) or ``adamw``.
        lr: learning rate at the start.
        batch_size: instances in a batch.
        pack: so many pairs of one sentence stay together when the batches are drawn (*). It matters in the sentence
            context alone, where a sentence is projected once for all its pairs in a batch: on ChemProt, packs of 4
            leave 43 % of the rows to project that single pairs leave, and a batch of 32 still holds 11 sentences.
        hidden: hidden units of each direction.
        dropout: see ``HeadConfig`` (*: none).
        standardise: centre and scale each input column by its mean and deviation over the training part (*: no).
        max_epochs: at most so many epochs (*).
        patience: so many epochs in a row without improvement on the dev part, and the learning rate is halved (*).
        min_lr: training stops when the learning rate would fall below this share of ``lr`` (*).
        dev_share: share of the training part that becomes the dev part where the corpus has none (*).
        precision: of the matrix products, ``float32`` or ``bfloat16``.
        threads: threads of the matrix products; part of the configuration because sums depend on it in the last digit.
    """

    features: str = "glove+cse+elmo"
    head: str = "paper"
    seed: int = 1
    optimizer: str = "sgd"
    lr: float = 0.1
    batch_size: int = 32
    pack: int = 4
    hidden: int = 256
    dropout: float = 0.0
    standardise: bool = False
    max_epochs: int = 100
    patience: int = 3
    min_lr: float = 0.01
    dev_share: float = 0.1
    precision: str = "float32"
    threads: int = 1

    def __post_init__(self) -> None:
        check_choice("head", self.head, HEADS)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("precision", self.precision, tuple(PRECISIONS))
        limits: dict[str, bool] = {
            "lr > 0": self.lr > 0,
            "batch_size >= 1": self.batch_size >= 1,
            "pack >= 1": self.pack >= 1,
            "hidden >= 1": self.hidden >= 1,
            "0 <= dropout < 1": 0 <= self.dropout < 1,
            "max_epochs >= 1": self.max_epochs >= 1,
            "patience >= 1": self.patience >= 1,
            "0 < min_lr <= 1": 0 < self.min_lr <= 1,
            "0 < dev_share < 1": 0 < self.dev_share < 1,
            "threads >= 1": self.threads >= 1,
            "seed >= 0": self.seed >= 0,
        }
        broken = [rule for rule, holds in limits.items() if not holds]
        if broken:
            raise UsageError(f"the training options must satisfy {'; '.join(broken)}.")


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch of training did.

    Attributes:
        number: counted from 1.
        of: the most epochs that there can be.
        train_loss: mean cross-entropy of the batches, each before its step.
        dev_loss: mean cross-entropy on the dev part after the epoch.
        dev_f1: micro-F1 over the positive labels on the dev part.
        lr: learning rate of the epoch.
        best: whether this is the best epoch so far.
        seconds: of the epoch, evaluation included.
    """

    number: int
    of: int
    train_loss: float
    dev_loss: float
    dev_f1: float
    lr: float
    best: bool
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class TrainState:
    """Where training stands after an epoch; together with the configuration it determines all that follows.

    Attributes:
        epochs: all epochs so far.
        head: the weights.
        best: the weights of the best epoch.
        optimizer: what the optimiser keeps for each parameter, by ``NUMBER.NAME``.
    """

    epochs: tuple[Epoch, ...]
    head: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]


def train(
    head: Head,
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
    optimizer = _optimizer(head, config)
    plateau = Plateau(config.lr, config.patience, config.min_lr)
    epochs: list[Epoch] = []
    best = _weights(head)
    if state:
        epochs += state.epochs
        best = dict(state.best)
        head.load_state_dict(dict(state.head))
        _restore(optimizer, state.optimizer)
        for epoch in epochs:
            plateau.step(epoch.dev_f1, epoch.dev_loss)
    saved = time.monotonic()
    while len(epochs) < config.max_epochs and not plateau.is_over:
        start, number, lr = time.perf_counter(), len(epochs) + 1, plateau.lr
        for group in optimizer.param_groups:
            group["lr"] = lr
        train_loss = _epoch(head, batcher, parts[0], optimizer, config, number)
        dev_loss, dev_f1 = _evaluate(head, batcher, parts[1], labels, positive)
        is_best = plateau.step(dev_f1, dev_loss)
        if is_best:
            best = _weights(head)
        epochs.append(
            Epoch(
                number=number,
                of=config.max_epochs,
                train_loss=train_loss,
                dev_loss=dev_loss,
                dev_f1=dev_f1,
                lr=lr,
                best=is_best,
                seconds=time.perf_counter() - start,
            )
        )
        if save and time.monotonic() - saved >= SECONDS_BETWEEN_SAVES:
            save(TrainState(tuple(epochs), _weights(head), best, _kept(optimizer)))
            saved = time.monotonic()
        if progress:
            progress(epochs[-1])
    head.load_state_dict(best)
    return epochs


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


def _optimizer(head: Head, config: TrainConfig) -> torch.optim.Optimizer:
    if config.optimizer == "sgd":
        return torch.optim.SGD(head.parameters(), lr=config.lr, fused=True)
    return torch.optim.AdamW(head.parameters(), lr=config.lr, fused=True)


def _weights(head: Head) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in head.state_dict().items()}


def _kept(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the tensors that an optimiser keeps for its parameters."""
    state: dict[int, dict[str, Tensor | None]] = optimizer.state_dict()["state"]
    return {f"{n}.{name}": value for n, kept in state.items() for name, value in kept.items() if value is not None}


def _restore(optimizer: torch.optim.Optimizer, kept: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for key, value in kept.items():
        number, _, name = key.partition(".")
        state[int(number)][name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": dict(state)})


def _epoch(
    head: Head,
    batcher: Batcher,
    positions: NDArray[np.int64],
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    number: int,
) -> float:
    """Go once over the train part; return the mean loss."""
    head.train()
    torch.manual_seed(config.seed * 1_000_003 + number)
    total = 0.0
    for batch in batcher.shuffled(positions, config.batch_size, (config.seed, number), config.pack):
        optimizer.zero_grad()
        logits, _ = head(batch.rows, batch.index, batch.lengths)
        loss: Tensor = torch.nn.functional.cross_entropy(logits, batch.labels)
        value = loss.item()
        if not math.isfinite(value):
            raise UsageError(
                f"the loss became {value} in epoch {number} (optimizer {config.optimizer}, learning rate "
                f"{optimizer.param_groups[0]['lr']}); lower the learning rate or standardise the features."
            )
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += value * len(batch.labels)
    return total / len(positions)


def _evaluate(
    head: Head, batcher: Batcher, positions: NDArray[np.int64], labels: tuple[str, ...], positive: tuple[str, ...]
) -> tuple[float, float]:
    """Return loss and micro-F1 on the dev part."""
    gold = batcher.labels[positions]
    predictions = predict(head, batcher, positions)
    likelihood = predictions.probabilities[np.arange(len(gold)), gold].astype(np.float64)
    f1 = score(gold, predictions.labels, labels, positive).micro.f1
    loss = float(-np.log(np.maximum(likelihood, np.finfo(np.float32).tiny)).mean())
    assert f1 is not None  # a dev part without positive instances was refused before
    return loss, f1
