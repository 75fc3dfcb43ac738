"""Text to the batches that a word biLM learns from.

In: lines. Out: sentences, the vocabulary, and :class:`WordBatch`: sentences of similar length, with the characters of
each distinct word once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.encoders.elmo import character_ids
from featstore.errors import DataError
from featstore.pretrain.text import sentences

BEGIN, END, UNKNOWN = "<S>", "</S>", "<unk>"
SPECIAL = (UNKNOWN, BEGIN, END)


def pieces(lines: Iterable[str], max_tokens: int) -> Iterator[list[str]]:
    """Yield the tokens of each sentence of each line. A sentence of more than ``max_tokens`` comes in several
    pieces."""
    for line in lines:
        for tokens in sentences(line):
            for start in range(0, len(tokens), max_tokens):
                yield tokens[start : start + max_tokens]


def count_tokens(text: Iterable[list[str]]) -> int:
    """Return how many tokens there are to predict in sentences, each one's end included."""
    return sum(len(sentence) + 1 for sentence in text)


def learn_words(text: Iterable[list[str]], size: int, least: int) -> tuple[tuple[str, ...], int]:
    """Return the vocabulary, most frequent first, after ``<unk>``, ``<S>`` and ``</S>``; and what there is to predict.

    Args:
        size: largest number of words.
        least: number of occurrences that a word needs.

    Raises:
        DataError: there are fewer than 100 such words.
    """
    counts: Counter[str] = Counter()
    read = 0
    for sentence in text:
        counts.update(sentence)
        read += len(sentence) + 1  # the sentence's end is predicted too
    words = sorted((w for w, n in counts.items() if n >= least), key=lambda w: (-counts[w], w))[:size]
    if len(words) < 100:
        raise DataError(
            f"only {len(words)} words occur {least} times or more in {read:,} words of text; a word model needs "
            "more text, or a smaller least count."
        )
    return (*SPECIAL, *words), read


@dataclass(frozen=True, slots=True)
class WordBatch:
    """Sentences of similar length, ready for the network.

    Attributes:
        characters: the distinct words' character ids, shortest words first; Shape: (N, max_characters).
        words: rows of ``characters``; Shape: (2, T, B), forward then backward, each from its own beginning.
        targets: the word to predict at each place, or -1 after a sentence's end; Shape: (2, T, B).
        tokens: number of predictions in each direction.
    """

    characters: NDArray[np.int16]
    words: NDArray[np.int64]
    targets: NDArray[np.int64]
    tokens: int


class WordBatcher:
    """Cuts sentences into batches: pools of them are sorted by length, cut, and the pieces taken in random order."""

    def __init__(self, vocabulary: Sequence[str], max_characters: int, tokens: int) -> None:
        self._index = {word: i for i, word in enumerate(vocabulary)}
        self._max = max_characters
        self.tokens = tokens

    def batches(self, pool: Sequence[list[str]], seed: int | None) -> list[list[list[str]]]:
        """Cut a pool into lists of sentences with about the wanted number of tokens each."""
        ordered = sorted(pool, key=len)
        pieces: list[list[list[str]]] = [[]]
        for sentence in ordered:
            if (len(pieces[-1]) + 1) * (len(sentence) + 1) > self.tokens and pieces[-1]:
                pieces.append([])
            pieces[-1].append(sentence)
        if seed is not None:
            order = np.random.default_rng(seed).permutation(len(pieces))
            pieces = [pieces[i] for i in order]
        return pieces

    def build(self, piece: Sequence[list[str]]) -> WordBatch:
        """Turn sentences into arrays."""
        distinct = {BEGIN, END}.union(*piece)
        ordered = sorted(distinct, key=lambda w: (len(w.encode("utf-8")), w))
        row = {word: i for i, word in enumerate(ordered)}
        steps = max(map(len, piece)) + 1
        words = np.zeros((2, steps, len(piece)), np.int64)
        targets = np.full((2, steps, len(piece)), -1, np.int64)
        for b, sentence in enumerate(piece):
            whole = [BEGIN, *sentence, END]
            for direction, run in enumerate((whole, whole[::-1])):
                words[direction, : len(run) - 1, b] = [row[w] for w in run[:-1]]
                targets[direction, : len(run) - 1, b] = [self._index.get(w, 0) for w in run[1:]]
        characters = np.array([character_ids(word, self._max) for word in ordered], np.int16)
        return WordBatch(characters, words, targets, sum(map(len, piece)) + len(piece))
