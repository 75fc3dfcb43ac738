"""Sentences that belong in one batch, because they share much of their text.

In: sentences. Out: groups of them. An encoder that reads what sentences share only once gains most if they are encoded
together. The pairs of a sentence are such copies of it, each with its own mentions marked: two of them share what comes
before the first mark and what comes after the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

ENOUGH = 0.25  # of the longer of two sentences; less is an opening that many sentences have


def alike(sentences: Sequence[Sequence[str]]) -> list[list[int]]:
    """Return groups of positions, the sentences of each in the order of their tokens.

    Two sentences are in one group if both begin alike or both end alike for a quarter of the longer one, or if a chain
    of such sentences joins them.
    """
    parents = list(range(len(sentences)))

    def root(of: int) -> int:
        while parents[of] != of:
            parents[of] = parents[parents[of]]
            of = parents[of]
        return of

    ordered: list[int] = []
    for texts in ([tuple(reversed(tokens)) for tokens in sentences], [tuple(tokens) for tokens in sentences]):
        ordered = sorted(range(len(texts)), key=texts.__getitem__)
        for one, other in pairwise(ordered):
            if _begin_alike(texts[one], texts[other]):
                parents[root(one)] = root(other)
    groups: dict[int, list[int]] = {}
    for position in ordered:
        groups.setdefault(root(position), []).append(position)
    return list(groups.values())


def _begin_alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two sentences share enough of their beginning."""
    enough = max(1, int(ENOUGH * max(len(one), len(other))))
    return one[:enough] == other[:enough]
