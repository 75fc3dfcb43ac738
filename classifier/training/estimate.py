"""What a training will do, told before its first epoch: on how much, and about how long.

In: a head as initialised, and the batches of both parts. Out: a :class:`TrainingPlan`. The time is measured on a few
steps with a copy of the head, so that neither the head nor what follows is changed by it.
"""

from __future__ import annotations

import math
import time
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.data.batch import Batcher
from classifier.head.model import AnyHead
from classifier.training.config import TrainConfig
from classifier.training.loop import loss_of
from classifier.training.optimizer import make_optimizer
from classifier.training.predict import predict

STEPS = 4  # that are timed, after one that warms up
SCORED = 128  # instances of the dev part that are scored for the estimate


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What a training will do.

    Attributes:
        fold: the fold.
        config: how the head is trained.
        train: instances that it is trained on.
        unlabelled: pairs without labels that it is trained on besides.
        dev: instances that each epoch is evaluated on.
        parameters: trainable numbers of the head.
        done: epochs that an interrupted training has behind it.
        refit: epochs, at most, that are left to train on both parts after the dev part has chosen.
        seconds: estimated for the epochs that are left; an upper bound where the dev scores end the training.
        unseen: the labels that no training instance has; the head can never predict them.
    """

    fold: int
    config: TrainConfig
    train: int
    unlabelled: int
    dev: int
    parameters: int
    done: int
    refit: int
    seconds: float
    unseen: tuple[str, ...]

    @property
    def epochs(self) -> int:
        """The most epochs that there can be."""
        return self.config.max_epochs

    @property
    def steps(self) -> int:
        """The most steps of the optimiser that there can be."""
        return self.epochs * math.ceil((self.train + self.unlabelled) / self.config.batch_size)


def plan_training(
    head: AnyHead,
    batcher: Batcher,
    parts: tuple[NDArray[np.int64], NDArray[np.int64]],
    config: TrainConfig,
    fold: int,
    done: int,
    refit: int,
    unseen: tuple[str, ...],
) -> TrainingPlan:
    """Return what training ``head`` will do; ``head`` stays as it is.

    Args:
        head: as initialised.
        batcher: batches of both parts.
        parts: positions of the train and of the dev part.
        config: how it will be trained.
        fold: the fold.
        done: epochs that need not be trained again.
        refit: epochs, at most, that will be trained on both parts.
        unseen: the labels that no training instance has.
    """
    training = _seconds_of_training(head, batcher, parts[0], config)
    seconds = (training + _seconds_of_scoring(head, batcher, parts[1])) * (config.max_epochs - done)
    seconds += training * (1 + len(parts[1]) / len(parts[0])) * refit
    unlabelled = int((batcher.labels[parts[0]] < 0).sum())
    return TrainingPlan(
        fold=fold,
        config=config,
        train=len(parts[0]) - unlabelled,
        unlabelled=unlabelled,
        dev=len(parts[1]),
        parameters=sum(parameter.numel() for parameter in head.parameters()),
        done=done,
        refit=refit,
        seconds=seconds,
        unseen=unseen,
    )


def _seconds_of_training(head: AnyHead, batcher: Batcher, positions: NDArray[np.int64], config: TrainConfig) -> float:
    """Estimate the seconds that one epoch takes to go over the train part, by the steps of the LSTM."""
    probe = deepcopy(head).train()
    optimizer = make_optimizer(probe, config)
    seconds, timed = 0.0, 0
    with torch.random.fork_rng(devices=[]):
        batches = batcher.shuffled(positions, config.batch_size, (config.seed, 0), config.pack)
        for number, batch in enumerate(islice(batches, STEPS + 1)):
            # A pair without a label has no target before the teacher was asked; any label takes the same time.
            batch = replace(batch, labels=batch.labels.clamp(min=0))
            start = time.perf_counter()
            optimizer.zero_grad()
            for member in probe.members:
                loss_of(member, batch, config).backward()
            optimizer.step()
            if number or len(positions) <= config.batch_size:
                seconds += time.perf_counter() - start
                timed += batch.index.numel()
    return seconds * int(batcher.lengths[positions].sum()) / max(1, timed)


def _seconds_of_scoring(head: AnyHead, batcher: Batcher, positions: NDArray[np.int64]) -> float:
    """Estimate the seconds that scoring the dev part takes."""
    some = positions[:: max(1, len(positions) // SCORED)]
    start = time.perf_counter()
    predict(head, batcher, some)
    return (time.perf_counter() - start) * len(positions) / max(1, len(some))
