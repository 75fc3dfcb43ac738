"""A trained head and vectors to labels, probabilities and attention.

In: a head and batches. Out: for each instance the probability of each label and the weight of each token. Instances are
scored in the order of length and sentence, so that a sentence is projected once for all its pairs. The result has the
order of the request.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.data.batch import Batcher
from classifier.head.model import AnyHead
from classifier.training.predictions import Predictions

BATCH = 128


@torch.inference_mode()
def predict(head: AnyHead, batcher: Batcher, positions: NDArray[np.int64]) -> Predictions:
    """Score the instances at ``positions``; Shape: (n,)."""
    was_training = head.training
    head.eval()
    probabilities = np.zeros((len(positions), head.config.labels), dtype=np.float32)
    attention: dict[int, NDArray[np.float32]] = {}
    place = {int(position): n for n, position in enumerate(positions)}
    for batch in batcher.in_order(positions, BATCH):
        logits, weights = head(batch.rows, batch.index, batch.lengths, batch.mentions)
        where = [place[int(position)] for position in batch.positions]
        probabilities[where] = logits.softmax(1).numpy()
        for n, row, length in zip(where, weights.numpy(), batch.lengths.tolist(), strict=True):
            attention[n] = row[:length].copy()
    head.train(was_training)
    return Predictions(probabilities, tuple(attention[n] for n in range(len(positions))))
