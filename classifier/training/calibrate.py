"""Probabilities of a head that can be believed, by one number that is chosen on the dev part.

In: a trained head and a dev part. Out: the same head, whose scores are divided by the temperature that makes the labels
of the dev part likeliest (temperature scaling, Guo et al. 2017, section 4.2). A head that has learnt its training part
nearly by heart is too sure of itself; divided by more than 1 its scores say less. The likeliest label of each pair
stays the same; only between the averaged probabilities of several members it may change.

A small dev part cannot choose this number well. Its logarithm is therefore shrunk towards 0, as ``favour`` shrinks its
shift.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.data.batch import Batcher
from classifier.head.model import AnyHead
from classifier.training.favour import PRIOR
from classifier.training.predict import predict

TEMPERATURES = np.geomspace(0.25, 8.0, 121)
_LEAST = 1e-12  # the logarithm of 0 is none


def calibrate(head: AnyHead, batcher: Batcher, positions: NDArray[np.int64]) -> float:
    """Divide the scores of a head by a temperature, and return it.

    It is the one with the lowest loss at ``positions``, to the power of n / (n + ``PRIOR``) for n positions.
    """
    probabilities = np.stack([predict(member, batcher, positions).probabilities for member in head.members])
    best = best_temperature(probabilities, batcher.labels[positions])
    temperature = float(best ** (len(positions) / (len(positions) + PRIOR)))
    divide_scores(head, temperature)
    return temperature


def divide_scores(head: AnyHead, temperature: float) -> None:
    """Divide the scores of all labels by ``temperature``: the weights and the biases of the output layer."""
    with torch.no_grad():
        for member in head.members:
            member.classifier.weight.div_(temperature)
            member.classifier.bias.div_(temperature)


def best_temperature(probabilities: NDArray[np.float32], gold: NDArray[np.int64]) -> float:
    """Return the temperature of the scores with which the mean negative log-likelihood is lowest.

    Args:
        probabilities: of each member's labels. Shape: (members, n, labels).
        gold: the label of each instance. Shape: (n,).
    """
    scores = np.log(np.maximum(probabilities, _LEAST, dtype=np.float64))
    losses = []
    for temperature in TEMPERATURES:
        powers = np.exp(scores / temperature)
        averaged = (powers / powers.sum(2, keepdims=True)).mean(0)
        losses.append(-np.log(np.maximum(averaged[np.arange(len(gold)), gold], _LEAST)).mean())
    return float(TEMPERATURES[np.argmin(losses)])
