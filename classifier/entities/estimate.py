"""What the training of a tagger will do, told before its first epoch: on how much, and about how long.

In: what it is trained with. Out: a :class:`TaggerPlan`. The time is measured on a few steps with a copy of the network,
so that neither the network nor what follows is changed by it.
"""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from classifier.entities.config import TaggerConfig
from classifier.entities.predict import find_mentions
from classifier.entities.prepare import ReadyTagger

STEPS_TIMED = 4  # after one that warms up
SENTENCES_TIMED = 128  # of the dev parts


@dataclass(frozen=True, slots=True)
class TaggerPlan:
    """What the training of a tagger will do.

    Attributes:
        features: what the tagger reads, as ``--features`` spells it.
        types: the types of mentions that it learns.
        train: sentences that it is trained on.
        dev: sentences that each epoch is evaluated on.
        left_out: documents that are not trained on because a part that is held out has them too.
        parameters: trainable numbers of the network.
        epochs: all epochs.
        done: epochs that an interrupted training has behind it.
        seconds: estimated for the epochs that are left.
    """

    features: str
    types: tuple[str, ...]
    train: int
    dev: int
    left_out: int
    parameters: int
    epochs: int
    done: int
    seconds: float


def plan_of(ready: ReadyTagger, config: TaggerConfig) -> TaggerPlan:
    """Return what training a tagger will do; the network stays as it is."""
    done = len(ready.state.epochs) if ready.state else 0
    per_epoch = _seconds_of_learning(ready, config) + _seconds_of_tagging(ready)
    return TaggerPlan(
        features=config.features,
        types=ready.parts.types,
        train=ready.train,
        dev=len(ready.batcher.lengths) - ready.train,
        left_out=ready.parts.left_out,
        parameters=sum(parameter.numel() for parameter in ready.network.parameters()),
        epochs=config.max_epochs,
        done=done,
        seconds=per_epoch * (config.max_epochs - done),
    )


def _seconds_of_learning(ready: ReadyTagger, config: TaggerConfig) -> float:
    """Estimate the seconds that one epoch takes to go over the training parts, by the tokens of its sentences."""
    probe, positions = deepcopy(ready.network).train(), np.arange(ready.train)
    optimizer = torch.optim.AdamW(probe.parameters(), lr=config.lr, fused=True)
    seconds, timed = 0.0, 0
    with torch.random.fork_rng(devices=[]):
        batches = ready.batcher.shuffled(positions, config.batch_size, (config.seed, 0))
        for number, batch in enumerate(islice(batches, STEPS_TIMED + 1)):
            start = time.perf_counter()
            optimizer.zero_grad()
            probe.loss(batch.rows, batch.surface, batch.index, batch.lengths, batch.possible).backward()
            optimizer.step()
            if number or ready.train <= config.batch_size:
                seconds += time.perf_counter() - start
                timed += int(batch.lengths.sum())
    return seconds * int(ready.batcher.lengths[positions].sum()) / max(1, timed)


def _seconds_of_tagging(ready: ReadyTagger) -> float:
    """Estimate the seconds that tagging the dev parts takes."""
    positions = np.arange(ready.train, len(ready.batcher.lengths))
    some = positions[:: max(1, len(positions) // SENTENCES_TIMED)]
    start = time.perf_counter()
    find_mentions(ready.network, ready.batcher, some)
    return (time.perf_counter() - start) * len(positions) / max(1, len(some))
