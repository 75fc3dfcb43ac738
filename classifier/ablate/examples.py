"""The attention of a trained head over a few test sentences.

In: an evaluated fold, its corpus and the store. Out: an :class:`Example` for each of a few test instances: positives
that were found or missed, and negatives that were called positive. Of each kind, those with the highest probability are
taken. The sentences are written only to the report, which a user makes of the user's own corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifier.data.features import open_features
from classifier.data.vectors import DistinctSentences
from classifier.runs.checkpoint import load_checkpoint
from classifier.runs.classify import classify
from classifier.runs.prepare import featurize_command
from classifier.runs.results import FoldResult, read_predictions
from featstore.copies import on_this_machine
from featstore.records import Corpus, Instance

FOUND, MISSED, INVENTED = "found", "missed", "invented"
EACH = 2  # examples of each kind
LONGEST = 80  # tokens; a longer sentence is hard to read in a report


@dataclass(frozen=True, slots=True)
class Example:
    """A test instance and the prediction of the head.

    Attributes:
        id: id of the instance.
        kind: :data:`FOUND`, :data:`MISSED` or :data:`INVENTED`.
        gold, predicted: the two labels.
        probability: probability of the predicted label.
        words: the words that the head read, including tags.
        weights: attention of each word; the weights sum to 1.
        entities: whether a word belongs to one of the two mentions.
    """

    id: str
    kind: str
    gold: str
    predicted: str
    probability: float
    words: tuple[str, ...]
    weights: tuple[float, ...]
    entities: tuple[bool, ...]


def attention_examples(result: FoldResult, corpus: Corpus, store_root: str | Path) -> list[Example]:
    """Score a few test instances of a fold again and return the attention.

    Args:
        result: the fold.
        corpus: the corpus as the run loads it.
        store_root: the store that holds its vectors.

    Raises:
        MissingFeatureError, MismatchError: the store no longer holds the vectors that the head was trained on.
    """
    instances = _candidates(result, corpus)
    if not instances:
        return []
    checkpoint = load_checkpoint(on_this_machine(result.folder))
    keys = DistinctSentences.of(instances).keys
    features = checkpoint.parsed_features
    with open_features(
        features, store_root, keys, featurize_command(result.config, store_root), checkpoint.features
    ) as stores:
        predictions = classify(checkpoint, instances, stores)
    examples: list[Example] = []
    order = np.argsort(-predictions.probabilities.max(1), kind="stable")
    for n in order:
        label = checkpoint.labels[predictions.labels[n]]
        kind = _kind(instances[n].label or "", label, checkpoint.positive)
        if kind and sum(example.kind == kind for example in examples) < EACH:
            weights, certainty = predictions.attention[n], float(predictions.probabilities[n].max())
            examples.append(_example(instances[n], kind, label, certainty, tuple(map(float, weights))))
    return sorted(examples, key=lambda example: (FOUND, MISSED, INVENTED).index(example.kind))


def _candidates(result: FoldResult, corpus: Corpus) -> list[Instance]:
    """Return test instances of the kinds that are shown, at most a hundred of each kind, with short sentences only."""
    saved, labels = read_predictions(result), result.metrics.labels
    by_id = {instance.id: instance for instance in corpus.instances}
    found: dict[str, list[Instance]] = {}
    for name, gold, predicted in zip(saved.ids, saved.gold, saved.predicted, strict=True):
        kind = _kind(labels[gold], labels[predicted], result.metrics.positive)
        chosen = found.setdefault(kind, [])
        if kind and len(chosen) < 100 and name in by_id and len(by_id[name].layout) <= LONGEST:
            chosen.append(by_id[name])
    return [instance for kind in (FOUND, MISSED, INVENTED) for instance in found.get(kind, [])]


def _kind(gold: str, predicted: str, positive: tuple[str, ...]) -> str:
    if gold == predicted:
        return FOUND if gold in positive else ""
    return MISSED if gold in positive else INVENTED


def _example(instance: Instance, kind: str, predicted: str, probability: float, weights: tuple[float, ...]) -> Example:
    spans = [range(*instance.head), range(*instance.tail)]
    return Example(
        id=instance.id,
        kind=kind,
        gold=instance.label or "",
        predicted=predicted,
        probability=probability,
        words=tuple(instance.words),
        weights=weights,
        entities=tuple(any(place in span for span in spans) for place in range(len(instance.layout))),
    )
