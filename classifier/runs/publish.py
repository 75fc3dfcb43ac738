"""What a fold's folder gets of any system: its configuration, what was fitted, its evaluation, its card.

In: a configuration, a way to write what was fitted, the predictions on the test part. Out: the files of
``fold-K/``, each written whole, in an order such that a process that is killed in between leaves nothing that reads as
finished and is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifier.data.split import check_labelled
from classifier.runs.card import card
from classifier.runs.checkpoint import note_evaluation
from classifier.runs.config import CARD, CONFIG, PREDICTIONS, RunConfig, config_toml
from classifier.runs.facts import METRICS, CorpusFacts, EvaluationFacts, RunFacts, read_run, to_json
from classifier.runs.outputs import predictions_tsv
from classifier.scores.metrics import Metrics, score
from classifier.training.predictions import Predictions
from classifier.training.resume import forget_unfinished
from featstore.errors import MismatchError
from featstore.files import make_folder, write_file
from featstore.records import Corpus, Instance


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One fold, evaluated.

    Attributes:
        fold: the fold.
        metrics: on its test part.
        instances: the test part.
        predictions: of its instances.
    """

    fold: int
    metrics: Metrics
    instances: tuple[Instance, ...]
    predictions: Predictions


def tested_part(corpus: Corpus, fold: int) -> tuple[Instance, ...]:
    """Return the test part of a fold, fit for an evaluation.

    Raises:
        UsageError: no such fold.
        DataError: it is empty or holds an instance without a label.
    """
    instances = tuple(corpus.instances[position] for position in corpus.partition(fold).test)
    check_labelled(instances, f"the test part of fold {fold}")
    return instances


def check_same_corpus(folder: Path, trained_on: CorpusFacts, corpus: Corpus) -> None:
    """Make sure that a fold was trained on the corpus as it is now.

    Raises:
        MismatchError: it was not.
    """
    if trained_on != CorpusFacts.of(corpus):
        raise MismatchError(
            f"{folder} was trained on another version of the corpus (digest {trained_on.digest[:12]}, now "
            f"{corpus.digest[:12]}); train it again, or in another folder (--run)."
        )


def publish(config: RunConfig, run_dir: Path, folder: Path, save: Callable[[], RunFacts]) -> None:
    """Write a trained fold, in the place of the one before.

    The old evaluation goes first, and ``run.json``, by which a fold is trained, comes when all that it needs is there.

    Args:
        config: the run.
        run_dir: its folder.
        folder: that of the fold.
        save: writes what was fitted and, last, ``run.json``.
    """
    for name in (METRICS, PREDICTIONS):
        (folder / name).unlink(missing_ok=True)
    for place in (folder, run_dir):
        make_folder(place)
        write_file(place / CONFIG, config_toml(config).encode("utf-8"))
    facts = save()
    forget_unfinished(folder)
    write_file(folder / CARD, card(facts, None).encode("utf-8"))


def write_evaluation(
    folder: Path, instances: tuple[Instance, ...], predictions: Predictions, seconds: float
) -> Evaluation:
    """Score the predictions on a test part and write ``metrics.json``, ``predictions.tsv`` and the card.

    Args:
        folder: of a trained fold.
        instances: its test part, with labels.
        predictions: of ``instances``.
        seconds: that reading and scoring took.
    """
    facts = read_run(folder)
    gold = np.array([facts.labels.index(instance.label or "") for instance in instances])
    metrics = score(gold, predictions.labels, facts.labels, facts.positive)
    # Not among the metrics: those are the same to the last digit when a run is repeated.
    facts = note_evaluation(folder, EvaluationFacts(len(instances), seconds))
    write_file(folder / CARD, card(facts, metrics).encode("utf-8"))
    tsv = predictions_tsv(instances, predictions, facts.labels)
    write_file(folder / PREDICTIONS, tsv.encode("utf-8"))
    write_file(folder / METRICS, to_json(metrics))
    return Evaluation(facts.fold, metrics, instances, predictions)
