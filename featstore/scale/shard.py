"""A share of a job: which sentences, and which blocks of documents, one of N jobs works on.

In: ``I/N``, as a batch scheduler numbers the jobs of an array. Out: the part of the work that is job I's. The rules are
stable: whoever applies them, on whichever machine and in whichever order the jobs run, every sentence and every block
is in exactly one share.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from featstore.errors import UsageError
from featstore.records import KeyedSentences

_WRITTEN = re.compile(r"(\d{1,9})/(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Shard:
    """Share ``number`` of ``count``.

    Attributes:
        number: which share, counted from 1.
        count: how many shares there are.

    Raises:
        UsageError: there is no such share.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise UsageError(f"there is no shard {self.number} of {self.count}; shards are numbered 1/N, 2/N, .. N/N.")

    @classmethod
    def read(cls, text: str) -> Shard:
        """Return the shard that is written ``I/N``.

        Raises:
            UsageError: it is not written so, or there is no such shard.
        """
        found = _WRITTEN.fullmatch(text)
        if not found:
            raise UsageError(f"'{text}' is no shard; write I/N, for example 3/8 for the third of eight jobs.")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def sentences(self, sentences: KeyedSentences) -> dict[bytes, Sequence[str]]:
        """Return those of ``sentences`` that are in this share: their key, as a number, leaves I-1 when N divides it.

        Keys are hashes, so the shares are about equal, and a sentence stays in its share whatever else the corpus
        holds.
        """
        return {key: tokens for key, tokens in sentences.items() if self._has(int.from_bytes(key, "little"))}

    def has_block(self, number: int) -> bool:
        """Return whether a block of documents, numbered from 0 in the order of the input, is in this share."""
        return self._has(number)

    def _has(self, number: int) -> bool:
        return number % self.count == self.number - 1
