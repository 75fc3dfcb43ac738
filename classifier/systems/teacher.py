"""The teacher of a head: a trained run of any system whose probabilities the head learns besides the labels.

In: a configuration that names a run's folder. Out: a :class:`~classifier.runs.prepare.Teacher` for one fold, which
scores instances from the same store.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.data.features import open_features
from classifier.data.split import training_parts
from classifier.data.vectors import DistinctSentences
from classifier.runs.config import RunConfig
from classifier.runs.facts import CorpusFacts, read_run
from classifier.runs.prepare import Teacher, featurize_command
from classifier.systems.saved import load_model, scored
from featstore.copies import on_this_machine
from featstore.corpora.unlabelled import read_unlabelled
from featstore.errors import MismatchError, UsageError, count_of
from featstore.fingerprint import fingerprint
from featstore.records import Corpus, Instance


def teacher_of(config: RunConfig, corpus: Corpus, store_root: str | Path, fold: int) -> Teacher | None:
    """Return the teacher that a configuration names, or None.

    Args:
        config: of the head that is to learn.
        corpus: loaded as ``config`` says.
        store_root: the store that holds the vectors that the teacher reads; some systems need none.
        fold: the fold that both learn from.

    Raises:
        MissingFileError: the teacher has not trained the fold.
        MismatchError: it was trained on another corpus, or marked otherwise.
        UsageError: it has learnt from the dev part, by which the head's epoch is to be chosen, or from a part of it.
    """
    if not config.train.teacher:
        return None
    folder = on_this_machine(Path(config.train.teacher) / f"fold-{fold}")
    facts = read_run(folder)
    if facts.corpus != CorpusFacts.of(corpus) or facts.labels != corpus.labels:
        raise MismatchError(
            f"the teacher {folder} was trained on {facts.corpus.spec} ({facts.corpus.indicators}, "
            f"{facts.corpus.context}, digest {facts.corpus.digest[:12]}), which is not this head's corpus as it is "
            "marked here. Choose a teacher of the same corpus, with the same indicators and context."
        )
    if facts.training.refit:
        raise UsageError(
            f"the teacher {folder} has learnt from the dev part too (--refit), so the dev part could no longer choose "
            "the head's epoch. Choose a teacher that was trained without --refit."
        )
    _, dev = training_parts(corpus, fold, config.train.dev_share)
    if (known := facts.training.instances.dev) != len(dev):
        theirs = count_of(known, "instance")
        raise UsageError(
            f"the teacher {folder} was trained with another dev part ({theirs} there, {len(dev):,} here), so it may "
            "have learnt from this head's. Give both the same --dev-share."
        )
    model = load_model(folder)

    def probabilities(instances: Sequence[Instance]) -> NDArray[np.float32]:
        keys, command = DistinctSentences.of(instances).keys, featurize_command(config, store_root)
        with open_features(model.parsed_features, store_root, keys, command, model.features) as stores:
            return scored(model, instances, stores).probabilities

    if not config.train.unlabelled:
        return Teacher(model.fingerprint, probabilities)
    held_out = [corpus.instances[position] for position in (*dev, *corpus.partition(fold).test)]
    found = read_unlabelled(config.train.unlabelled, corpus, held_out)
    return Teacher(fingerprint({"model": model.fingerprint, "pairs": found.digest}), probabilities, found.instances)
