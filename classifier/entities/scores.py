"""Mention scores: exact and relaxed precision, recall and F1 by type.

In: for each document the annotated and the found mentions. Out: :class:`MentionScores`. *Exact*: a found mention is
right if the same characters are annotated with the same type. *Relaxed*: it is right if it shares a character with an
annotated mention of its type; an annotated mention is found if it shares one with a found mention of its type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TypedSpan = tuple[int, int, str]  # first character, the one after the last, type


@dataclass(frozen=True, slots=True)
class MentionScore:
    """Precision, recall and F1 of one type, or of several together.

    Attributes:
        annotated: mentions that are annotated.
        found: mentions that the tagger found.
        right: found mentions that are right.
        recalled: annotated mentions that were found; differs from ``right`` in the relaxed score alone.
    """

    annotated: int
    found: int
    right: int
    recalled: int

    @property
    def precision(self) -> float | None:
        """Share of the found mentions that is right; None if none was found."""
        return self.right / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Share of the annotated mentions that was found; None if none is annotated."""
        return self.recalled / self.annotated if self.annotated else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; 0 if nothing is right, None if there is no mention at all."""
        if not self.annotated and not self.found:
            return None
        precision, recall = self.precision or 0.0, self.recall or 0.0
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@dataclass(frozen=True, slots=True)
class MentionScores:
    """What a tagger scores on some documents.

    Attributes:
        exact: by type, and under ``all`` over all types together.
        relaxed: the same with overlap for a match.
    """

    exact: dict[str, MentionScore]
    relaxed: dict[str, MentionScore]


def score_mentions(
    annotated: Iterable[Iterable[TypedSpan]], found: Iterable[Iterable[TypedSpan]], types: Sequence[str]
) -> MentionScores:
    """Score found mentions.

    Args:
        annotated: the annotated mentions of each document.
        found: those that were found in it.
        types: the types that count; mentions of others are passed over on both sides.
    """
    counts: dict[str, Counter[str]] = {type_: Counter() for type_ in types}
    for gold_given, found_given in zip(annotated, found, strict=True):
        gold, said = set(gold_given), set(found_given)
        for type_ in types:
            ours = sorted(m for m in said if m[2] == type_)
            theirs = sorted(m for m in gold if m[2] == type_)
            counts[type_].update(
                annotated=len(theirs),
                found=len(ours),
                right=len(said & set(theirs)),
                touching=_touching(ours, theirs),
                touched=_touching(theirs, ours),
            )
    whole: Counter[str] = sum(counts.values(), Counter())
    rows = {**counts, "all": whole}
    return MentionScores(
        {name: MentionScore(c["annotated"], c["found"], c["right"], c["right"]) for name, c in rows.items()},
        {name: MentionScore(c["annotated"], c["found"], c["touching"], c["touched"]) for name, c in rows.items()},
    )


def _touching(these: Sequence[TypedSpan], those: Sequence[TypedSpan]) -> int:
    """Return how many of ``these`` share a character with one of ``those``."""
    return sum(any(start < other[1] and other[0] < end for other in those) for start, end, _ in these)
