"""The gold standard of a corpus: the relations that its official score counts.

In: nothing; these are plain frozen data. Out: what the readers of corpora make and the scores of a run read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# A document and two arguments, entities or concepts, in alphabetical order: which is named first does not matter.
GoldPair = tuple[str, str, str]


def gold_pair(document: str, head: str, tail: str) -> GoldPair:
    """Return the pair of two arguments of a document."""
    return (document, head, tail) if head <= tail else (document, tail, head)


@dataclass(frozen=True, slots=True)
class GoldRelation:
    """A relation of a gold standard.

    Attributes:
        pair: the document and the arguments.
        label: the relation's label.
        split: the part of the corpus that the document is in.
    """

    pair: GoldPair
    label: str
    split: str | None


@dataclass(frozen=True, slots=True)
class GoldStandard:
    """What a corpus's official score counts, where that is more than the labels of its instances.

    It holds relations that no instance can find (between mentions in different sentences), and those between
    concepts, for which several pairs of mentions stand.

    Attributes:
        relations: all relations.
        pairs: id of an instance -> the pairs of the gold standard that it stands for: one pair of mentions, or each
            concept of the one mention with each of the other.
    """

    relations: tuple[GoldRelation, ...]
    pairs: Mapping[str, tuple[GoldPair, ...]]
