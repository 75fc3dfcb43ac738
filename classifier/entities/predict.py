"""A trained network and vectors to mentions.

In: batches of sentences whose vectors are at hand. Out: the mentions of each, in tokens of the sentence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from classifier.entities.batch import SentenceBatcher
from classifier.entities.model import Network
from classifier.entities.sentences import TokenSpan, spans_of

BATCH = 128


def find_mentions(
    network: Network, batcher: SentenceBatcher, positions: NDArray[np.int64]
) -> dict[int, list[TokenSpan]]:
    """Return the mentions of the sentences at ``positions``, by position."""
    was_training = network.training
    network.eval()
    found: dict[int, list[TokenSpan]] = {}
    for batch in batcher.in_order(positions, BATCH):
        tags = network.tag(batch.rows, batch.surface, batch.index, batch.lengths).T.tolist()
        for position, row, length in zip(batch.positions, tags, batch.lengths.tolist(), strict=True):
            found[int(position)] = spans_of(row[:length], network.config.types)
    network.train(was_training)
    return found
