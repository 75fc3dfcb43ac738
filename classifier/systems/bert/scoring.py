"""Batches of word pieces, and the probabilities that a network gives them.

In: what was read of instances, and a network. Out: padded tensors; the probability of each label. Instances of about
equal length share a batch, so that hardly anything is padding. Where the reader shares texts, a row holds a text once,
and behind it two marks for each of its pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classifier.systems.bert.network import PairClassifier
from classifier.systems.bert.reading import Numbers, Read

SCORED_PIECES = 8192  # in a batch that is only scored
MOST_SHARING = 32  # instances of one text in a row, because attention takes the square of its length


class PieceBatch(NamedTuple):
    """The input of :meth:`PairClassifier.forward` for B instances that lie in R rows.

    Shape: pieces (R, T) int64; mask (R, T), or (R, T, T) where not every piece sees every other one, 1 where a piece is
    seen, or None if all are; positions (R, T) int64, or None if each piece has the place where it lies; rows (B,), the
    row of each instance; starts (B, 2), where its head and its tail are read.
    """

    pieces: Tensor
    mask: Tensor | None
    positions: Tensor | None
    rows: Tensor
    starts: Tensor

    def to(self, device: str) -> PieceBatch:
        """Return the batch on a device."""
        mask, positions = (None if each is None else each.to(device) for each in (self.mask, self.positions))
        return PieceBatch(self.pieces.to(device), mask, positions, self.rows.to(device), self.starts.to(device))


def make_batch(read: Read, chosen: Numbers) -> PieceBatch:
    """Return the batch of some of the instances that were read. Shape: chosen (B,), numbers of instances."""
    if read.marks is not None:
        return _shared(read, read.marks, chosen)
    texts = [read.texts[n] for n in read.of_instance[chosen]]
    lengths = np.array([len(text) for text in texts])
    pieces = _padded(texts, lengths.max())
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64) if lengths.min() < lengths.max() else None
    rows, starts = np.arange(len(chosen)), read.starts[chosen]
    return PieceBatch(_tensor(pieces), None if mask is None else _tensor(mask), None, _tensor(rows), _tensor(starts))


def _shared(read: Read, marks: Numbers, chosen: Numbers) -> PieceBatch:
    """Return a batch with a row for each text, and behind it the two marks of each of its instances; a text of more
    than MOST_SHARING instances has several rows.

    A mark has the position of its mention's first piece. It sees the text, itself and the other mark of its instance;
    the text sees itself alone. What an instance gets therefore does not depend on the others of its text (Zhong and
    Chen 2021, section 4.3).
    """
    own = read.of_instance[chosen]
    order = np.argsort(own, kind="stable")
    _, counts = np.unique(own, return_counts=True)
    within = np.empty(len(own), dtype=np.int64)
    within[order] = np.arange(len(own)) - np.repeat(np.cumsum(counts) - counts, counts)
    part, within = np.divmod(within, MOST_SHARING)
    keys, rows, counts = np.unique(np.stack([own, part]), axis=1, return_inverse=True, return_counts=True)
    texts = [read.texts[n] for n in keys[0]]
    lengths = np.array([len(text) for text in texts])
    places = (lengths[rows] + 2 * within)[:, None] + np.arange(2)

    width = int((lengths + 2 * counts).max())
    pieces = _padded(texts, width)
    positions = np.broadcast_to(np.arange(width), pieces.shape) * (np.arange(width) < lengths[:, None])
    # Who a piece belongs to: 0 for the text, -1 for padding, and a number of its own for each instance.
    owner = np.where(np.arange(width) < lengths[:, None], 0, -1)
    pieces[rows[:, None], places] = marks[chosen]
    positions[rows[:, None], places] = read.starts[chosen]
    owner[rows[:, None], places] = 1 + np.arange(len(chosen))[:, None]
    seen, sees = owner[:, None, :], owner[:, :, None]
    mask = ((seen == 0) | ((seen == sees) & (seen > 0))).astype(np.int64)
    return PieceBatch(*map(_tensor, (pieces, mask, positions, rows, places)))


def _padded(texts: Sequence[Numbers], width: int) -> Numbers:
    """Return texts as rows that are filled up with zeros; Shape: (R, width)."""
    pieces = np.zeros((len(texts), width), dtype=np.int64)
    for row, text in enumerate(texts):
        pieces[row, : len(text)] = text
    return pieces


def _tensor(numbers: Numbers) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(numbers))


def precise(precision: str, device: str) -> torch.autocast:
    """Return a context in which matrix products have a precision, ``float32`` or ``bfloat16``."""
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")


@torch.inference_mode()
def probabilities(network: PairClassifier, read: Read, precision: str, device: str) -> NDArray[np.float32]:
    """Return the probability of each label; Shape: (n, labels) float32."""
    network.eval()
    found = np.zeros((len(read.of_instance), network.output.out_features), dtype=np.float32)
    with precise(precision, device):
        for chosen in _batches(read):
            found[chosen] = network(*make_batch(read, chosen).to(device)).softmax(1).cpu().numpy()
    return found


def _batches(read: Read) -> Iterator[Numbers]:
    """Yield the number of each instance once, in batches whose rows have about equal lengths."""
    rows, lengths = _rows(read)
    order, start = np.argsort(lengths, kind="stable"), 0
    while start < len(order):
        # In the order of length the last of a batch is its longest.
        pieces = lengths[order[start:]] * np.arange(1, len(order) - start + 1)
        stop = start + max(1, int(np.searchsorted(pieces, SCORED_PIECES, side="right")))
        yield np.concatenate([rows[n] for n in order[start:stop]])
        start = stop


def _rows(read: Read) -> tuple[list[Numbers], Numbers]:
    """Return the instances of each row, and the pieces in it: one instance, or a text with up to MOST_SHARING."""
    if read.marks is None:
        return [np.array([n]) for n in range(len(read.of_instance))], read.lengths
    order = np.argsort(read.of_instance, kind="stable")
    by_text = np.split(order, np.flatnonzero(np.diff(read.of_instance[order])) + 1) if len(order) else []
    rows = [part for of_text in by_text for part in np.split(of_text, range(MOST_SHARING, len(of_text), MOST_SHARING))]
    lengths = read.lengths
    return rows, np.array([lengths[row[0]] + 2 * len(row) for row in rows], dtype=np.int64)
