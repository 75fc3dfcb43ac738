"""Which relations of a document are wanted: which pairs that a head has scored become output.

In: the probabilities of candidate pairs and the options of extraction. Out: relations, with their place in the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from classifier.extract.candidates import Candidate
from featstore.documents import Document, Problem, Relation
from featstore.errors import UsageError
from featstore.formats.contract import Nothing
from featstore.pairing import Pairing
from featstore.records import Instance
from featstore.types import kind_of, shown

if TYPE_CHECKING:  # torch takes a second to import, and only a model that is loaded needs it
    from classifier.systems.saved import AnyModel


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which relations are wanted, and what of them.

    Attributes:
        threshold: a pair gets its most probable positive label, and is kept if that has at least this probability;
            None: it is kept if that label is more probable than all others.
        top: the number of relations that are kept of a document, the most probable ones; None: all.
        max_distance: the greatest number of tokens between the mentions of a candidate; None: any number.
        explain: whether relations carry the head's attention.
        types: the user's own names for types of mentions: (name in the documents, type that is meant).

    Raises:
        UsageError: a number out of range.
    """

    threshold: float | None = None
    top: int | None = None
    max_distance: int | None = None
    explain: bool = False
    types: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        limits = {
            "0 <= threshold <= 1": self.threshold is None or 0 <= self.threshold <= 1,
            "top >= 1": self.top is None or self.top >= 1,
            "max_distance >= 0": self.max_distance is None or self.max_distance >= 0,
        }
        if broken := [rule for rule, holds in limits.items() if not holds]:
            raise UsageError(f"the options of extraction must satisfy {'; '.join(broken)}.")


@dataclass(frozen=True, slots=True)
class Extraction:
    """What a model says of one document.

    Attributes:
        document: the document.
        relations: those that are wanted, in the order of their candidates.
        pairs: how many candidates it has.
        nothing: why there are no relations, if there are none.
        problems: what of the document was left out or changed, as it was read and as its pairs were found.
    """

    document: Document
    relations: tuple[Relation, ...]
    pairs: int
    nothing: Nothing | None = None
    problems: tuple[Problem, ...] = ()


def checked_pairing(model: AnyModel, wanted: Wanted) -> Pairing:
    """Return what makes a pair, if the model says it and can give what is wanted.

    Raises:
        UsageError: it does not say it; the options name types that it does not have, or want attention of a system that
            has none.
    """
    pairing = model.pairing
    if wanted.explain and not model.has_attention:
        raise UsageError("the model has no attention on the tokens to show, as it is no head; leave --explain out.")
    if pairing is None:
        raise UsageError(
            "the model does not say which types of entity make a pair, as an earlier version trained it; train it "
            "again, or give it pairs (--format pairs)."
        )
    for _, meant in wanted.types:
        if kind_of(meant, pairing.types) is None:
            types = ", ".join(map(shown, pairing.types))
            raise UsageError(f"the model has no type '{meant}' that a mention can be named by; it has {types}.")
    return pairing


def relation_of(
    candidate: Candidate,
    instance: Instance,
    checkpoint: AnyModel,
    row: NDArray[np.float32],
    attention: NDArray[np.float32],
    wanted: Wanted,
) -> Relation | None:
    """Return the relation of a pair if it is wanted.

    Args:
        candidate: the pair.
        instance: the pair as it was marked.
        checkpoint: the model that scored it.
        row: probability of each label. Shape: (labels,).
        attention: weight of each step of the layout. Shape: (T,).
        wanted: the options.
    """
    probabilities = dict(zip(checkpoint.labels, map(float, row), strict=True))
    label = max(checkpoint.positive, key=probabilities.__getitem__)
    least = max(probabilities.values()) if wanted.threshold is None else wanted.threshold
    if probabilities[label] < least:
        return None
    return Relation(
        head=candidate.head,
        tail=candidate.tail,
        label=label,
        probability=probabilities[label],
        probabilities=probabilities,
        sentence=candidate.sentence,
        attention=_in_text(instance, attention) if wanted.explain else (),
    )


def likeliest(relations: Sequence[Relation], top: int | None) -> tuple[Relation, ...]:
    """Return the ``top`` relations of the highest probability, in the order given; of equal ones the earlier."""
    best = sorted(range(len(relations)), key=lambda n: (-relations[n].probability, n))[:top]
    return tuple(relations[n] for n in sorted(best))


def _in_text(instance: Instance, attention: NDArray[np.float32]) -> tuple[tuple[int, int, float], ...]:
    """Return (start, end, weight) of each token that stands in the text; what inserted tags get is left out."""
    weights = [
        (*instance.offsets[place], float(weight))
        for place, weight in zip(instance.layout, attention, strict=True)
        if place >= 0 and instance.offsets[place][0] >= 0
    ]
    return tuple(sorted(weights))
