"""The train and dev part of a fold, with a dev part for corpora that release none.

In: a corpus and a fold. Out: the instances of the train and of the dev part, checked to be fit for training. A dev part
that is not released is a tenth of the training part. Instances of one group (the same sentence) stay together, so that
no dev sentence is trained on. Which groups are taken depends on the hash of their name alone, not
on a seed or on the order: runs of different seeds are comparable, and a corpus that grows keeps most of its dev part.
Groups are drawn label by label, so that the dev part's share of each label comes as near to the tenth as whole groups
allow.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from featstore.errors import DataError, count_of
from featstore.records import Corpus, Instance


def dev_split(
    instances: Sequence[Instance], train: Sequence[int], share: float
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split ``train`` (positions in ``instances``) into a train and a dev part.

    Args:
        instances: the corpus.
        train: positions of its training part.
        share: of the training part that becomes the dev part, 0 < share < 1.

    Returns:
        The positions of the train and of the dev part, in the order given.

    Raises:
        DataError: there are too few sentences, so the dev part would be empty.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for position in train:
        groups[instances[position].sentence].append(position)
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
            if taken + len(members) / 2 <= wanted:  # the share is closer to the target with the group than without it
                dev.update(members)
                taken += len(members)
    if not dev:
        raise DataError(f"{len(groups)} sentences for training are too few to set {share:.0%} aside as a dev part.")
    return tuple(p for p in train if p not in dev), tuple(p for p in train if p in dev)


def share_of_part(instances: Sequence[Instance], part: Sequence[int], share: float) -> tuple[int, ...]:
    """Return the positions of a share of a part, sentence by sentence; a smaller share is a part of every larger one.

    Args:
        instances: the corpus.
        part: positions of the part.
        share: of its instances, 0 < share <= 1; at least one sentence is taken.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for position in part:
        groups[instances[position].sentence].append(position)
    taken: set[int] = set()
    for name in sorted(groups, key=_hash):
        if taken and len(taken) + len(groups[name]) / 2 > share * len(part):
            break
        taken.update(groups[name])
    return tuple(position for position in part if position in taken)


def training_parts(
    corpus: Corpus, fold: int, dev_share: float, train_share: float = 1.0
) -> tuple[Sequence[int], Sequence[int]]:
    """Return the positions of the train and of the dev part of a fold, both fit for training.

    Args:
        corpus: the corpus.
        fold: the fold.
        dev_share: share of the training part that becomes the dev part where the corpus has none.
        train_share: share of the train part that is taken (:func:`share_of_part`).

    Raises:
        UsageError: no such fold.
        DataError: a part is empty or holds an instance without a label or no positive one, or the training part has
            instances of one label alone.
    """
    partition = corpus.partition(fold)
    train_part, dev_part = partition.train, partition.dev
    if not train_part:
        unplaced = sum(instance.split is None and instance.fold is None for instance in corpus.instances)
        raise DataError(
            f"fold {fold} of {corpus.spec} has no instance to train on: {unplaced:,} of its {len(corpus.instances):,} "
            "instances have neither a split nor a fold. Give each of them a 'split' (train, dev or test) or a 'fold' "
            "(a number from 1)."
        )
    if not dev_part:
        train_part, dev_part = dev_split(corpus.instances, partition.train, dev_share)
    if train_share < 1:
        train_part = share_of_part(corpus.instances, train_part, train_share)
    for name, part in (("train", train_part), ("dev", dev_part)):
        what = f"the {name} part of fold {fold} of {corpus.spec}"
        instances = [corpus.instances[position] for position in part]
        check_labelled(instances, what)
        _check_learnable(instances, corpus, name, what)
    return train_part, dev_part


def unseen_labels(labels: Sequence[str], train: Iterable[Instance]) -> tuple[str, ...]:
    """Return the labels that no training instance has, so that no system can learn to predict them."""
    seen = {instance.label for instance in train}
    return tuple(label for label in labels if label not in seen)


def check_labelled(instances: Sequence[Instance], what: str) -> None:
    """Make sure that a part can be trained or scored on.

    Raises:
        DataError: it is empty, or an instance has no label.
    """
    if not instances:
        raise DataError(f"{what} is empty.")
    bare = [instance.id for instance in instances if instance.label is None]
    if bare:
        raise DataError(f"{what} has {count_of(len(bare), 'instance')} without a label, the first is '{bare[0]}'.")


def _check_learnable(instances: Sequence[Instance], corpus: Corpus, name: str, what: str) -> None:
    """Make sure that there is a positive label to learn or to choose by, and something to tell it from."""
    seen = {instance.label for instance in instances}
    if not seen & set(corpus.positive):
        purpose = "there is nothing to learn" if name == "train" else "no epoch can be chosen by it"
        raise DataError(
            f"{what} has no instance of a positive label ({', '.join(corpus.positive)}), so {purpose}. "
            "Take another fold or corpus."
        )
    if name == "train" and len(seen) == 1:
        raise DataError(
            f"{what} has the label {seen.pop()} alone, and a system learns to tell two labels or more apart. "
            "Take another fold or corpus."
        )


def _hash(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8"), digest_size=16, person=b"featstore dev").digest()
