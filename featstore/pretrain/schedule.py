"""The length of a training, the course of its learning rate, and its progress.

In: the user's choices. Out: the number of steps, the learning rate of each step, and :class:`PretrainProgress`, which
the loop passes to a progress bar.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from featstore.errors import UsageError, check_choice

PRECISIONS = ("bfloat16", "float32")
BITS, PERPLEXITY, ERROR = "bits per character", "perplexity", "weighted squared error"


class LogEntry(TypedDict):
    """A line of a training's ``log.jsonl``: one evaluation.

    Attributes:
        step: steps taken.
        units: characters or words read.
        learning_rate: of the last step.
        measure: what the losses are measured in.
        train: mean training loss since the evaluation before.
        held_out: held-out loss.
        units_per_second: read so far.
    """

    step: int
    units: int
    learning_rate: float
    measure: str
    train: float
    held_out: float
    units_per_second: float


class PositionFacts(TypedDict):
    """The fields of :class:`featstore.pretrain.text.Position`."""

    epoch: int
    lines: list[int]
    chars: list[int]


class TaskFacts(TypedDict):
    """Where a task stands in its text, as a checkpoint keeps it.

    Attributes:
        units: characters or words read.
        position: where it reads on; of tasks that read text.
        pools, taken: pools made, and pieces taken of the present one; of tasks that draw from pools.
    """

    units: int
    position: NotRequired[PositionFacts]
    pools: NotRequired[int]
    taken: NotRequired[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The length of a training and the course of its learning rate.

    Attributes:
        epochs: number of passes over the text; it counts only if ``steps`` and ``minutes`` are None.
        steps: number of optimiser steps in all, or None.
        minutes: time of the training in place of a number of steps, or None; the course of the rate follows it. What an
            interrupted training took before counts.
        learning_rate: highest learning rate of AdamW.
        warmup: number of steps in which the rate rises from 0.
        anneal: ``cosine`` (to a hundredth at the last step) or ``plateau`` (halved when the held-out loss has not
            fallen for ``patience`` evaluations, as flair's trainer does).
        patience: number of evaluations for ``plateau``.
        clip: largest norm of the gradient; larger gradients are scaled down.
        weight_decay: AdamW's weight decay.
        evaluate_every: number of steps between held-out evaluations.
        checkpoint_every: number of steps between checkpoints; a killed training loses no more than these.
        seed: seed of the initial weights and of dropout.

    Raises:
        UsageError: ``anneal`` is unknown, or the length is given both in steps and in minutes.
    """

    epochs: float = 1.0
    steps: int | None = None
    minutes: float | None = None
    learning_rate: float = 3e-3
    warmup: int = 100
    anneal: str = "cosine"
    patience: int = 5
    clip: float = 0.5
    weight_decay: float = 0.0
    evaluate_every: int = 500
    checkpoint_every: int = 250
    seed: int = 1

    def __post_init__(self) -> None:
        check_choice("anneal", self.anneal, ("cosine", "plateau"))
        if self.steps is not None and self.minutes is not None:
            raise UsageError(
                f"the length of the training is given twice, as {self.steps:,} steps and as {self.minutes:g} minutes; "
                "give one of both."
            )

    def total(self, units: int, units_per_step: int) -> int | None:
        """Return the number of steps: ``steps``, or enough for ``epochs`` passes over ``units``, or None if the
        training has ``minutes``."""
        if self.minutes is not None:
            return None
        return self.steps or max(1, math.ceil(self.epochs * units / units_per_step))

    def done(self, step: int, steps: int | None, seconds: float) -> float:
        """Return the share of the training that is done after ``step`` of ``steps`` steps, or after some seconds."""
        if steps is not None:
            return step / steps
        assert self.minutes is not None, "a training has a number of steps or a time"
        return min(1.0, seconds / (60 * self.minutes))

    def rate(self, step: int, done: float, factor: float = 1.0) -> float:
        """Return the learning rate of ``step``, counted from 0, when the share ``done`` of the training is done."""
        rate = self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup))
        if self.anneal == "plateau":
            return rate * factor
        return rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


@dataclass(frozen=True, slots=True)
class PretrainProgress:
    """The state of a training, for a progress bar.

    Attributes:
        name: name of the training (``forward``, ``backward``, ``elmo``, ``glove``).
        step: steps done.
        steps: steps in all; an estimate if the training has a time in place of them.
        units: number of characters or words read, over all runs.
        per_second: units a second in this run.
        seconds_left: estimate of the remaining time.
        measure: measure of the two losses: ``bits per character`` or ``perplexity``.
        train: training loss since the last evaluation.
        held_out: the last held-out loss, or None before the first.
    """

    name: str
    step: int
    steps: int
    units: int
    per_second: float
    seconds_left: float
    measure: str
    train: float
    held_out: float | None


def in_measure(measure: str, nats: float) -> float:
    """Return a loss in nats as bits per character or perplexity; an error stays as it is."""
    if measure == ERROR:
        return nats
    return nats / math.log(2) if measure == BITS else math.exp(min(nats, 700.0))
