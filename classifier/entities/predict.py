"""A trained network and vectors to mentions.

In: sentences whose vectors are at hand. Out: the mentions of each, in characters of its document.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from classifier.entities.batch import SentenceBatcher
from classifier.entities.model import Network
from classifier.entities.scores import Mention
from classifier.entities.sentences import TaggedSentence, spans_of

BATCH = 128


def find_mentions(
    network: Network,
    batcher: SentenceBatcher,
    sentences: Sequence[TaggedSentence],
    positions: NDArray[np.int64],
) -> dict[int, list[Mention]]:
    """Return the mentions of the sentences at ``positions``, by position, in characters of their documents."""
    was_training = network.training
    network.eval()
    found: dict[int, list[Mention]] = {}
    for batch in batcher.in_order(positions, BATCH):
        tags = network.tag(batch.rows, batch.surface, batch.index, batch.lengths)
        for column, (position, length) in enumerate(zip(batch.positions, batch.lengths.tolist(), strict=True)):
            offsets = sentences[position].offsets
            found[int(position)] = [
                (offsets[span.start][0], offsets[span.end - 1][1], span.type)
                for span in spans_of(tags[:length, column].tolist(), network.config.types)
            ]
    network.train(was_training)
    return found
