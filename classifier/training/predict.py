"""A trained head and vectors to labels, probabilities and attention.

In: a head and batches. Out: for each instance the probability of each label and the weight of each token. Instances are
scored in the order of length and sentence, so that a sentence is projected once for all its pairs. The result has the
order of the request.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.data.batch import Batcher
from classifier.head.model import AnyHead

BATCH = 128


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The predictions of a head for some instances, in the order in which they were given.

    Attributes:
        probabilities: of each label. Shape: (n, labels) float32, rows sum to 1.
        attention: weight of each step of an instance's layout, summing to 1. Shape: n arrays (T_i,) float32.
    """

    probabilities: NDArray[np.float32]
    attention: tuple[NDArray[np.float32], ...]

    @property
    def labels(self) -> NDArray[np.int64]:
        """The number of the most likely label; Shape: (n,)."""
        likeliest: NDArray[np.int64] = self.probabilities.argmax(1)
        return likeliest


@torch.inference_mode()
def predict(head: AnyHead, batcher: Batcher, positions: NDArray[np.int64]) -> Predictions:
    """Score the instances at ``positions``; Shape: (n,)."""
    was_training = head.training
    head.eval()
    probabilities = np.zeros((len(positions), head.config.labels), dtype=np.float32)
    attention: dict[int, NDArray[np.float32]] = {}
    place = {int(position): n for n, position in enumerate(positions)}
    for batch in batcher.in_order(positions, BATCH):
        logits, weights = head(batch.rows, batch.index, batch.lengths)
        where = [place[int(position)] for position in batch.positions]
        probabilities[where] = logits.softmax(1).numpy()
        for n, row, length in zip(where, weights.numpy(), batch.lengths.tolist(), strict=True):
            attention[n] = row[:length].copy()
    head.train(was_training)
    return Predictions(probabilities, tuple(attention[n] for n in range(len(positions))))
