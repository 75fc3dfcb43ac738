"""The score over a corpus's gold standard, where that holds more than the labels of the corpus's instances.

In: the test instances of ChemProt and what a head says of them. Out: precision, recall and F1 as the official
evaluation counts them: over all relations of the gold standard, also those between mentions that no instance covers,
and a pair with two relations counts twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from classifier.scores.metrics import Scores, scores
from classifier.training.predict import Predictions
from featstore.records import Corpus, Instance


def against_gold_standard(corpus: Corpus, instances: Sequence[Instance], predictions: Predictions) -> Scores | None:
    """Return the micro scores over the positive labels, or None where the corpus has no gold standard of its own.

    Args:
        corpus: the corpus; its notes say how many relations of each label the gold standard of the test part has.
        instances: the test part.
        predictions: of ``instances``.
    """
    gold = sum(corpus.notes.get(f"gold test {label}", 0) for label in corpus.positive)
    if not gold:
        return None
    named = [corpus.labels[number] for number in predictions.labels]
    positive = [(i, label) for i, label in zip(instances, named, strict=True) if label in corpus.positive]
    right = sum(label in instance.source["gold"].split(",") for instance, label in positive)
    return scores(gold=gold, predicted=len(positive), tp=right)
