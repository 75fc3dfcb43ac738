"""Near duplicates: which sentences share most of their words.

In: sentences as sets of words. Out: all pairs whose Jaccard similarity reaches a threshold, exactly, without comparing
each with each. The way is the prefix filter of Chaudhuri et al. 2006 and Bayardo et al. 2007: with the words of each
set in one fixed order, the rarest first, two sets of similarity t must share a word among the first
``n - ceil(t n) + 1`` of each.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence


def near_duplicates(sets: Sequence[frozenset[str]], threshold: float) -> Iterator[tuple[int, int]]:
    """Yield all pairs of positions ``(i, j)``, i < j, whose sets have a Jaccard similarity of ``threshold`` or more.

    Args:
        sets: one set of words a sentence; empty sets are similar to nothing.
        threshold: above 0, at most 1.
    """
    ordered = _rarest_first(sets)
    # word -> positions of the sets that have it in their prefix
    holders: dict[str, list[int]] = defaultdict(list)
    for position in sorted(range(len(sets)), key=lambda p: len(sets[p])):
        words, size = sets[position], len(sets[position])
        # A hair below the product: 0.8 * 5 may come out above 4.
        least = math.ceil(threshold * size - 1e-9)
        prefix = ordered[position][: size - least + 1]
        for other in {other for word in prefix for other in holders[word]}:
            if len(sets[other]) >= least and _jaccard(words, sets[other]) >= threshold:
                yield min(position, other), max(position, other)
        for word in prefix:
            holders[word].append(position)


def near_pairs(
    ones: Sequence[frozenset[str]], others: Sequence[frozenset[str]], threshold: float
) -> Iterator[tuple[int, int]]:
    """Yield all pairs of a position in ``ones`` and one in ``others`` whose sets are as similar as ``threshold``.

    Args:
        ones, others: one set a text, of words or of runs of words; empty sets are similar to nothing.
        threshold: above 0, at most 1.
    """
    ordered = _rarest_first([*ones, *others])
    holders: dict[str, list[int]] = defaultdict(list)
    for position, words in enumerate(ordered[len(ones) :]):
        for word in words[: _prefix(len(words), threshold)]:
            holders[word].append(position)
    for position, words in enumerate(ordered[: len(ones)]):
        mine = ones[position]
        for other in sorted({o for word in words[: _prefix(len(words), threshold)] for o in holders[word]}):
            theirs = others[other]
            shorter, longer = sorted((len(mine), len(theirs)))
            if shorter >= threshold * longer - 1e-9 and _jaccard(mine, theirs) >= threshold:
                yield position, other


def _rarest_first(sets: Sequence[frozenset[str]]) -> list[list[str]]:
    """Return the words of each set in one fixed order, in which a word that few sets have comes early."""
    count = Counter(word for words in sets for word in words)
    return [sorted(words, key=lambda word: (count[word], word)) for words in sets]


def _prefix(size: int, threshold: float) -> int:
    """Return how many of the first words of a set must be looked at."""
    return size - math.ceil(threshold * size - 1e-9) + 1 if size else 0


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
