"""A dev part for corpora that release none: a tenth of the training part, always the same.

In: the instances of a training part. Out: which of them are the dev part. Instances of one group (the same
sentence) stay together, so that no dev sentence is trained on. Which groups are taken depends on the hash of their
name alone, not on a seed or on the order: runs of different seeds are comparable, and a corpus that grows keeps most
of its dev part. Groups are drawn label by label, so that the dev part's share of each label comes as near to the tenth
as whole groups allow.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from featstore.errors import DataError
from featstore.records import Instance


def dev_split(
    instances: Sequence[Instance], train: Sequence[int], share: float
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Part ``train`` (positions in ``instances``) in a train and a dev part.

    Args:
        instances: the corpus.
        train: positions of its training part.
        share: of the training part that becomes the dev part, 0 < share < 1.

    Returns:
        The positions of the train and of the dev part, in the order given.

    Raises:
        DataError: the dev part comes out empty: too few sentences.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for position in train:
        groups[instances[position].group or instances[position].key.hex()].append(position)
    totals = Counter(instances[position].label for position in train)
    # A group counts for its rarest label, so that rare labels are not left to chance.
    strata: dict[str | None, list[list[int]]] = defaultdict(list)
    for name in sorted(groups, key=_hash):
        members = groups[name]
        rarest = min((instances[p].label for p in members), key=lambda label: (totals[label], label or ""))
        strata[rarest].append(members)

    dev: set[int] = set()
    for stratum in strata.values():
        wanted = share * sum(map(len, stratum))
        taken = 0
        for members in stratum:
            if taken + len(members) / 2 <= wanted:  # nearer to what is wanted with the group than without
                dev.update(members)
                taken += len(members)
    if not dev:
        raise DataError(f"{len(groups)} sentences for training are too few to set {share:.0%} aside as a dev part.")
    return tuple(p for p in train if p not in dev), tuple(p for p in train if p in dev)


def _hash(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8"), digest_size=16, person=b"featstore dev").digest()
