"""All steps of fitting a head to a fold: the epochs, the shift of the positive labels, the temperature, the refit.

In: batches of a train and a dev part and a :class:`TrainConfig`. Out: a :class:`FittedHead`. The train part alone is
learnt from until the dev part has chosen these. After that, ``refit`` trains a new head on both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from classifier.data.batch import Batcher
from classifier.head.model import AnyHead
from classifier.training.calibrate import calibrate, divide_scores
from classifier.training.config import TrainConfig
from classifier.training.epoch import Epoch, RunProgress
from classifier.training.favour import favour_positive, shift_positive
from classifier.training.loop import TrainState, refit, train
from classifier.training.optimizer import weights_of


@dataclass(frozen=True, slots=True)
class Choice:
    """What the dev part has chosen.

    Attributes:
        epochs: all epochs on the train part alone; the last that is ``best`` is the one that was chosen.
        shift: what is added to the scores of the positive labels.
        temperature: what all scores are divided by after that.
    """

    epochs: tuple[Epoch, ...]
    shift: float
    temperature: float


@dataclass(frozen=True, slots=True, eq=False)
class FittedHead:
    """A head, fitted to a fold.

    Attributes:
        head: the head.
        choice: what the dev part has chosen.
        refit: the loss of each epoch on the train and the dev part together; empty without ``refit``.
    """

    head: AnyHead
    choice: Choice
    refit: tuple[float, ...]


def fit_head(
    head: AnyHead,
    new_head: Callable[[NDArray[np.int64]], AnyHead],
    batcher: Batcher,
    parts: tuple[NDArray[np.int64], NDArray[np.int64]],
    config: TrainConfig,
    *,
    labels: tuple[str, ...],
    positive: tuple[str, ...],
    progress: RunProgress | None = None,
    chosen: Choice | None = None,
    state: TrainState | None = None,
    save: Callable[[TrainState], None] | None = None,
) -> FittedHead:
    """Fit a head to the train part, choosing by the dev part; and as ``config`` says, anew to both.

    Args:
        head: as initialised, for the train part.
        new_head: makes a head as initialised, for the instances at some positions.
        batcher: batches of both parts.
        parts: positions of the train and of the dev part.
        config: how to train.
        labels: all labels.
        positive: those that the dev score counts.
        progress: called after each epoch on the train part, and with a notice after each epoch of the refit.
        chosen: what the same fit without ``refit`` has chosen; then only the refit is left.
        state: where an earlier call of the same arguments stood.
        save: called with the state now and then.

    Raises:
        UsageError: the loss is no longer a number.
    """
    if state and state.refit is not None and not (state.best or chosen):
        state = None  # what had chosen for it is gone, so it is chosen here
    best: Mapping[str, Tensor] = {}
    if chosen is None:
        epochs = train(
            head, batcher, parts, config, labels=labels, positive=positive, progress=progress, state=state, save=save
        )
        best = weights_of(head)  # without the shift and the temperature, which an interrupted refit finds again
        shift = favour_positive(head, batcher, parts[1], labels, positive) if config.favour else 0.0
        temperature = calibrate(head, batcher, parts[1]) if config.calibrate else 1.0
        chosen = Choice(tuple(epochs), shift, temperature)
    if not config.refit:
        return FittedHead(head, chosen, ())
    both = np.concatenate(parts)
    if state is None or state.refit is None:
        state = TrainState(chosen.epochs, head={}, average={}, best=best, optimizer={})
    head = new_head(both)
    losses = refit(head, batcher, both, config, state, progress=progress, save=save)
    shift_positive(head, chosen.shift, labels, positive)
    divide_scores(head, chosen.temperature)
    return FittedHead(head, chosen, losses)
