"""The score over a corpus's gold standard, where that holds more than the labels of the corpus's instances.

In: the test instances of a corpus and what a head says of them. Out: precision, recall and F1 as the official
evaluation counts them: over all relations of the gold standard, also those between mentions that no instance covers.
A pair with two relations counts twice. Where relations are between concepts, several pairs of mentions stand for one
pair of concepts: it is predicted if any of them is, with the label of the one that is surest.
"""

from __future__ import annotations

from collections.abc import Sequence

from classifier.scores.metrics import Scores, scores
from classifier.training.predictions import Predictions
from featstore.gold import GoldPair
from featstore.records import Corpus, Instance


def against_gold_standard(corpus: Corpus, instances: Sequence[Instance], predictions: Predictions) -> Scores | None:
    """Return the micro scores over the positive labels, or None where the corpus has no gold standard of its own.

    Args:
        corpus: the corpus.
        instances: the test part.
        predictions: of ``instances``.
    """
    if corpus.gold is None:
        return None
    parts = {instance.split for instance in instances}
    gold = {
        (relation.pair, relation.label)
        for relation in corpus.gold.relations
        if relation.split in parts and relation.label in corpus.positive
    }
    surest: dict[GoldPair, tuple[float, str]] = {}
    for instance, number, row in zip(instances, predictions.labels, predictions.probabilities, strict=True):
        label, probability = corpus.labels[number], float(row[number])
        if label in corpus.positive:
            for pair in corpus.gold.pairs[instance.id]:
                surest[pair] = max(surest.get(pair, (0.0, "")), (probability, label))
    predicted = {(pair, label) for pair, (_, label) in surest.items()}
    return scores(gold=len(gold), predicted=len(predicted), tp=len(gold & predicted))
