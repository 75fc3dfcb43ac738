"""Sentences and vectors to batches of about equal lengths, the same for the same seed.

In: tagged sentences, the types that the corpus of each annotates, and the vectors of their tokens. Out: batches whose
rows are those of distinct sentences, with the tags that each token may have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classifier.data.batch import WINDOW, bucketed, fitting, shard_windows
from classifier.data.vectors import DistinctSentences, Vectors
from classifier.entities.sentences import TaggedSentence, tag_names, tags_of
from classifier.entities.surface import surface_of


@dataclass(frozen=True, slots=True, eq=False)
class TaggerBatch:
    """What a tagger scores at once; longest sequence first.

    Shape: ``rows`` (R, layers * D) for each feature; ``surface`` (R, KINDS) int64; ``index`` (T, B) int64; ``lengths``
    (B,) int64; ``possible`` (T, B, K) bool, all true at padding; ``positions`` (B,), the sentences' positions.
    """

    rows: tuple[Tensor, ...]
    surface: Tensor
    index: Tensor
    lengths: Tensor
    possible: Tensor
    positions: NDArray[np.int64]


def distinct(sentences: Sequence[TaggedSentence], names: Sequence[str] = ()) -> DistinctSentences:
    """Return the distinct sentences among ``sentences``; ``names`` are what messages call them."""
    numbers: dict[bytes, int] = {}
    first: list[int] = []
    of_instance = np.zeros(len(sentences), dtype=np.int64)
    for n, sentence in enumerate(sentences):
        of_instance[n] = numbers.setdefault(sentence.key, len(numbers))
        if len(first) < len(numbers):
            first.append(n)
    lengths = np.array([len(sentences[n].tokens) for n in first], dtype=np.int64)
    return DistinctSentences(tuple(numbers), lengths, of_instance, tuple(names[n] if names else str(n) for n in first))


class SentenceBatcher:
    """Makes batches of ``sentences``.

    Args:
        sentences: in the order that ``vectors.sentences`` was made of.
        annotated: for each sentence the types that its corpus annotates.
        vectors: of their tokens.
        types: the types that the tagger gives.
    """

    def __init__(
        self,
        sentences: Sequence[TaggedSentence],
        annotated: Sequence[Sequence[str]],
        vectors: Vectors,
        types: Sequence[str],
    ) -> None:
        self._vectors, self._tags = vectors, len(tag_names(types))
        self.lengths = np.array([len(sentence.tokens) for sentence in sentences], dtype=np.int64)
        self._offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self._possible = np.zeros(int(self._offsets[-1]), dtype=np.int32)
        for start, sentence, known in zip(self._offsets[:-1], sentences, annotated, strict=True):
            bits = possible_bits(sentence, known, types)
            self._possible[start : start + len(bits)] = bits
        places = np.unique(vectors.sentences.of_instance, return_index=True)[1]
        self._surface = surface_of(token for n in places for token in sentences[n].tokens).astype(np.int32)
        lengths = vectors.sentences.lengths
        self._starts = np.cumsum(lengths) - lengths

    def shuffled(self, positions: NDArray[np.int64], size: int, seed: Sequence[int]) -> Iterator[TaggerBatch]:
        """Yield each of ``positions`` once, in an order that ``seed`` determines; see ``classifier.data.batch``."""
        sentences = self._vectors.sentences.of_instance[positions]
        rng = np.random.default_rng(seed)
        for window in shard_windows(self._vectors.shards[sentences], rng, WINDOW):
            part = positions[window]
            for chosen in bucketed(self.lengths[part], sentences[window], size, rng):
                yield self.batch(part[chosen])

    def in_order(self, positions: NDArray[np.int64], size: int) -> Iterator[TaggerBatch]:
        """Yield each of ``positions`` once, by length, as many at once as make a batch."""
        order = positions[np.lexsort((positions, self.lengths[positions]))]
        lengths, start = self.lengths[order], 0
        while start < len(order):
            stop = start + fitting(lengths[start : start + size])
            yield self.batch(order[start:stop])
            start = stop

    def batch(self, positions: NDArray[np.int64]) -> TaggerBatch:
        """Make the batch of the sentences at ``positions``."""
        positions = positions[np.argsort(-self.lengths[positions], kind="stable")]
        lengths = self.lengths[positions]
        sentences, which = np.unique(self._vectors.sentences.of_instance[positions], return_inverse=True)
        tokens = self._vectors.sentences.lengths[sentences]
        rows = np.concatenate([np.arange(s, s + n) for s, n in zip(self._starts[sentences], tokens, strict=True)])
        starts = (np.cumsum(tokens) - tokens)[which]

        steps = np.arange(lengths[0])
        inside = steps < lengths[:, None]
        index = np.where(inside, starts[:, None] + steps, 0)
        bits = np.full(inside.shape, -1, dtype=np.int32)
        bits[inside] = self._possible[(self._offsets[positions][:, None] + steps)[inside]]
        possible = (bits.T[:, :, None] >> np.arange(self._tags, dtype=np.int32)) & 1
        return TaggerBatch(
            rows=self._vectors.rows(sentences),
            surface=torch.from_numpy(self._surface[rows].astype(np.int64)),
            index=torch.from_numpy(np.ascontiguousarray(index.T)),
            lengths=torch.from_numpy(lengths),
            possible=torch.from_numpy(possible.astype(np.bool_)),
            positions=positions,
        )


def possible_bits(sentence: TaggedSentence, annotated: Sequence[str], types: Sequence[str]) -> NDArray[np.int32]:
    """Return the tags that each token may have, bit k for tag k.

    A token of a mention has the mention's tag. Any other is ``O`` or has a tag of a type that is not annotated.

    Shape: (T,) int32.
    """
    unknown = sum(0b1111 << (1 + 4 * n) for n, type_ in enumerate(types) if type_ not in annotated)
    tags = tags_of(sentence.mentions, len(sentence.tokens), types)
    bits: NDArray[np.int32] = np.where(tags > 0, 1 << tags, 1 | unknown).astype(np.int32)
    return bits
