"""How the pairs of a corpus were made: what extraction must do again to text that has no pairs yet.

In: the instances that a head is trained on. Out: which types of entity make a pair, in which order, and whether words
stood in place of the mentions. A head knows nothing of other types, and expects mentions to look as they did.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from featstore.records import Instance
from featstore.types import shown

_MASK = re.compile(r"@\w+\$")  # the form of the words that corpora are released with, such as @GENE$


@dataclass(frozen=True, slots=True)
class Pairing:
    """How pairs were made.

    Attributes:
        kinds: types of the first and the second entity, as the tags spell them: ``(("chem", "gene"),)``.
        words: for each type the word that stood in place of its mentions, where one did: ``{"gene": "@GENE$"}``.
    """

    kinds: tuple[tuple[str, str], ...]
    words: Mapping[str, str]

    @property
    def types(self) -> tuple[str, ...]:
        """Each type of ``kinds`` once, in their order."""
        return tuple(dict.fromkeys(kind for pair in self.kinds for kind in pair))

    @property
    def in_words(self) -> str:
        """What is paired, as people write it: ``CHEMICAL and GENE or GENE and DISEASE``."""
        return " or ".join(f"{shown(head)} and {shown(tail)}" for head, tail in self.kinds)

    def masks(self, indicators: str) -> bool:
        """Tell whether ``words`` must stand in place of the mentions of other text before it is marked.

        Args:
            indicators: how it is marked; ``replace`` and ``blind`` put words there anyway.
        """
        return indicators == "tags" and bool(self.words)


def pairing_of(instances: Sequence[Instance], indicators: str) -> Pairing:
    """Return how the pairs of ``instances`` were made.

    Args:
        instances: of one corpus, marked with ``indicators``.
        indicators: ``tags``, ``replace`` or ``blind``.
    """
    kinds, words = set(), set()
    for instance in instances:
        kinds.add((instance.head_type, instance.tail_type))
        for kind, span in ((instance.head_type, instance.head), (instance.tail_type, instance.tail)):
            words.add((kind, " ".join(map(instance.word, instance.layout[slice(*span)]))))
    by_kind = dict(words)
    # Elsewhere the mentions (or their nouns) stand there, unless the corpus itself had put one word in place of each.
    masked = len(by_kind) == len(words) and (indicators == "replace" or all(map(_MASK.fullmatch, by_kind.values())))
    return Pairing(tuple(sorted(kinds)), dict(sorted(by_kind.items())) if masked else {})
