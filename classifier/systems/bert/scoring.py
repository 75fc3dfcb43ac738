"""Batches of word pieces, and the probabilities that a network gives them.

In: what was read of instances, and a network. Out: padded tensors; the probability of each label. Instances of about
equal length share a batch, so that hardly anything is padding.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classifier.systems.bert.network import PairClassifier
from classifier.systems.bert.reading import Numbers, Read

SCORED_PIECES = 8192  # in a batch that is only scored


def padded(read: Read, chosen: Numbers, device: str) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return the input of :meth:`PairClassifier.forward` for some of the instances that were read."""
    lengths = [len(read.pieces[n]) for n in chosen]
    pieces = np.zeros((len(chosen), max(lengths)), dtype=np.int64)
    for row, (n, length) in enumerate(zip(chosen, lengths, strict=True)):
        pieces[row, :length] = read.pieces[n]
    mask = None
    if min(lengths) < max(lengths):
        mask = torch.from_numpy((np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)).to(device)
    return torch.from_numpy(pieces).to(device), mask, torch.from_numpy(read.starts[chosen]).to(device)


def precise(precision: str, device: str) -> torch.autocast:
    """Return a context in which matrix products have a precision, ``float32`` or ``bfloat16``."""
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")


@torch.inference_mode()
def probabilities(network: PairClassifier, read: Read, precision: str, device: str) -> NDArray[np.float32]:
    """Return the probability of each label; Shape: (n, labels) float32."""
    network.eval()
    found = np.zeros((len(read.pieces), network.output.out_features), dtype=np.float32)
    with precise(precision, device):
        for chosen in _by_length(read.lengths):
            found[chosen] = network(*padded(read, chosen, device)).softmax(1).cpu().numpy()
    return found


def _by_length(lengths: Numbers) -> Iterator[Numbers]:
    """Yield each of 0 .. n-1 once, in batches of about equal lengths."""
    order, start = np.argsort(lengths, kind="stable"), 0
    while start < len(order):
        # In the order of length the last of a batch is its longest.
        pieces = lengths[order[start:]] * np.arange(1, len(order) - start + 1)
        stop = start + max(1, int(np.searchsorted(pieces, SCORED_PIECES, side="right")))
        yield order[start:stop]
        start = stop
