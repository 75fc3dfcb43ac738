"""Apply a trained head to instances whose vectors are stored.

In: a checkpoint, instances and open stores. Out: :class:`~classifier.training.predict.Predictions`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from classifier.data.batch import Batcher
from classifier.data.features import FeatureSpec
from classifier.data.vectors import RAM_BUDGET, DistinctSentences, Vectors
from classifier.runs.checkpoint import Checkpoint
from classifier.training.predict import predict
from classifier.training.predictions import Predictions
from featstore.errors import MismatchError
from featstore.records import Instance
from featstore.stores import FeatureStore


def classify(
    checkpoint: Checkpoint,
    instances: Sequence[Instance],
    stores: Sequence[FeatureStore],
    ram_budget: int = RAM_BUDGET,
) -> Predictions:
    """Apply a checkpoint to instances whose vectors are in ``stores``, one for each of its features.

    Raises:
        MismatchError: the vectors are not of the encoders it was trained on; the text names both.
        MissingFeatureError: the vectors of a sentence are not stored.
    """
    vectors = Vectors(checkpoint.parsed_features, stores, DistinctSentences.of(instances), ram_budget)
    check_features(checkpoint.features, vectors.specs)
    batcher = Batcher(instances, vectors, checkpoint.labels, checkpoint.tags)
    return predict(checkpoint.head, batcher, np.arange(len(instances)))


def check_features(trained_on: Sequence[FeatureSpec], given: Sequence[FeatureSpec]) -> None:
    """Make sure that vectors are those that a head was trained on.

    Raises:
        MismatchError: they are not.
    """
    for expected, actual in zip(trained_on, given, strict=True):
        if expected != actual:
            raise MismatchError(f"the head was trained on {expected}, the vectors given are of {actual}.")
