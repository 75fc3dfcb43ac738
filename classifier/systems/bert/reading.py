"""Instances to word pieces: what a transformer reads of a pair.

In: instances, marked in either context. Out: for each the numbers of its word pieces, special ones included, and where
its two mentions start. A pair that is longer than the model can read is read in a window around its mentions; how many
were is counted, so that nothing is cut silently.

Words are tokenised one by one, each distinct word once. The marks around the mentions (``<gene>``) are pieces of their
own, numbered after the vocabulary: their vectors are learned.

A reader that shares texts leaves the marks out of the text, so that all pairs of a sentence have one text between them
(Zhong and Chen 2021, section 4.3). The two opening marks of each pair are then put behind it; see
:mod:`classifier.systems.bert.scoring`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from featstore.records import Instance

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What a transformer reads of some instances.

    Attributes:
        texts: numbers of the word pieces of each text. Shape: m arrays (T_i,).
        of_instance: number of each instance's text; without sharing, instance i has text i. Shape: (n,).
        starts: where the head and the tail start, as places in the text. Shape: (n, 2).
        marks: the pieces that mark the head and the tail of an instance whose text has no marks, or None where the
            marks stand in the text. Shape: (n, 2).
        windowed: how many of the instances are longer than the model can read.
    """

    texts: tuple[Numbers, ...]
    of_instance: Numbers
    starts: Numbers
    marks: Numbers | None
    windowed: int

    @property
    def lengths(self) -> Numbers:
        """The number of pieces of each instance's text. Shape: (n,)."""
        return np.array([len(text) for text in self.texts], dtype=np.int64)[self.of_instance]


@dataclass(frozen=True, slots=True, eq=False)
class PieceReader:
    """Reads instances as word pieces.

    Attributes:
        tokenizer: of the checkpoint.
        marks: the marks that are pieces of their own.
        vocabulary: number of the first mark.
        before, after: the special pieces at both ends.
        unknown: the piece of a word that has none.
        longest: number of pieces that are read at most, special ones included.
        shared: leave the marks out of the text, so that pairs of one sentence share it.
    """

    tokenizer: Tokenizer
    marks: tuple[str, ...]
    vocabulary: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    unknown: int
    longest: int
    shared: bool = False

    def read(self, instances: Sequence[Instance]) -> Read:
        """Read instances; Shape: see :class:`Read`."""
        told = [instance.words for instance in instances]
        known = self._known(sorted({word for words in told for word in words}))
        texts, number_of = list[Numbers](), dict[bytes, int]()
        of_instance, windowed = np.zeros(len(instances), dtype=np.int64), 0
        starts, marks = np.zeros((2, len(instances), 2), dtype=np.int64)
        for n, (instance, words) in enumerate(zip(instances, told, strict=True)):
            own = [known[word] for word in words]
            if self.shared:
                marks[n] = [self._mark(kind) for kind in (instance.head_type, instance.tail_type)]
                own = [[] if pieces_of[0] >= self.vocabulary else pieces_of for pieces_of in own]
            ends = np.cumsum([len(each) for each in own])
            spans = [
                (int(ends[first] - len(own[first])), int(ends[max(first, span[1] - 1)]))
                for span, first in zip((instance.head, instance.tail), instance.begins, strict=True)
            ]
            flat = np.array([piece for each in own for piece in each], dtype=np.int64)
            room = self.longest - len(self.before) - len(self.after)
            if len(flat) > room:
                windowed += 1
                kept = around(len(flat), spans, room)
                flat = flat[kept]
                spans = [(int(np.searchsorted(kept, start)), end) for start, end in spans]
            starts[n] = [len(self.before) + start for start, _ in spans]
            text = np.concatenate([self.before, flat, self.after]).astype(np.int64)
            of_instance[n] = number_of.setdefault(text.tobytes(), len(texts)) if self.shared else n
            if of_instance[n] == len(texts):
                texts.append(text)
        return Read(tuple(texts), of_instance, starts, marks if self.shared else None, windowed)

    def _mark(self, kind: str) -> int:
        """Return the piece that opens a mention of a kind."""
        return self.vocabulary + self.marks.index(f"<{kind}>")

    def _known(self, words: Sequence[str]) -> dict[str, list[int]]:
        """Return the pieces of each word, as if it stood alone."""
        found = self.tokenizer.encode_batch([[word] for word in words], is_pretokenized=True, add_special_tokens=False)
        known = {word: own.ids or [self.unknown] for word, own in zip(words, found, strict=True)}
        return known | {mark: [self.vocabulary + n] for n, mark in enumerate(self.marks)}


def marks_of(instances: Sequence[Instance]) -> tuple[str, ...]:
    """Return the marks that stand in instances, sorted."""
    kinds = {kind for instance in instances for kind in (instance.head_type, instance.tail_type)}
    possible = {mark for kind in kinds for mark in (f"<{kind}>", f"</{kind}>")}
    return tuple(sorted(possible & {word for instance in instances for word in instance.words}))


def around(length: int, spans: Sequence[tuple[int, int]], room: int) -> Numbers:
    """Return which ``room`` of ``length`` places are kept, rising.

    If both spans and all between them have room, the window has them in its middle. Otherwise those places are kept
    that are nearest to the start of either span.

    Args:
        length: number of places, more than ``room``.
        spans: first place and the place after the last of both mentions.
        room: number of places to keep, at least 2.
    """
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    if last - first <= room:
        begin = min(max(0, first - (room - (last - first)) // 2), length - room)
        return np.arange(begin, begin + room)
    places = np.arange(length)
    distance = np.min([np.abs(places - start) for start, _ in spans], axis=0)
    return np.sort(np.argsort(distance, kind="stable")[:room])
