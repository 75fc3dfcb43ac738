"""What is told while something is trained: epochs and notices; plain values, so that reading them needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch of training did.

    Attributes:
        number: counted from 1.
        of: the most epochs that there can be.
        train_loss: mean loss of the batches, each before its step: cross-entropy, with what ``consistency`` adds.
        dev_loss: mean cross-entropy on the dev part after the epoch.
        dev_f1: micro-F1 over the positive labels on the dev part.
        lr: learning rate at the end of the epoch.
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


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should know while a run goes on.

    Attributes:
        text: one sentence.
    """

    text: str


RunProgress = Callable[[Epoch | Notice], None]
TellNotice = Callable[[Notice], None]


def silent(_: Epoch | Notice) -> None:
    """Tell nobody."""
