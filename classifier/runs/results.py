"""What a run's folder says of itself, read back: nothing is computed, and no weights are loaded.

In: folders that :mod:`classifier.runs.folds` wrote. Out: a :class:`FoldResult` for each fold that was trained and
evaluated, its predictions, and what differs between runs. This is what reports are made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.data.features import FeatureSpec
from classifier.runs.config import CONFIG, PREDICTIONS, RunConfig, fold_files, options_of, read_config
from classifier.runs.facts import METRICS, RUN, CorpusFacts, PartSizes, read_metrics, read_run
from classifier.scores.metrics import Metrics
from classifier.training.epoch import Epoch
from featstore.addresses import files_below, spelled
from featstore.copies import files_at_once
from featstore.errors import DataError
from featstore.files import read_text

COMPLETE = {CONFIG, RUN, METRICS, PREDICTIONS}  # the files of a fold that is trained and evaluated


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One fold, trained and evaluated.

    Attributes:
        folder: where it lies.
        format: of the checkpoint; heads of different formats are not the same head.
        config: the run's configuration.
        fold: the fold.
        corpus: the corpus.
        features: the encoders, by identity.
        metrics: on the test part.
        instances: of the train and the dev part.
        epochs: all epochs.
        best_epoch: the one whose weights were kept.
        seconds: that training took.
        peak_memory: bytes resident at most while it was trained; None where the system does not tell.
        classify_ms: milliseconds to read and score one test instance; None for a fold of an older version.
        versions: of python and the libraries.
        sources: sha256 of each file that a system other than the head was fitted from.
    """

    folder: Path
    format: int
    config: RunConfig
    fold: int
    corpus: CorpusFacts
    features: tuple[FeatureSpec, ...]
    metrics: Metrics
    instances: PartSizes
    epochs: tuple[Epoch, ...]
    best_epoch: int
    seconds: float
    peak_memory: int | None
    classify_ms: float | None
    versions: Mapping[str, str]
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class SavedPredictions:
    """The predictions on a test part, as ``predictions.tsv`` keeps them.

    Attributes:
        ids: of the instances.
        gold: places in the labels. Shape: (n,).
        predicted: places in the labels. Shape: (n,).
    """

    ids: tuple[str, ...]
    gold: NDArray[np.int64]
    predicted: NDArray[np.int64]


def is_complete(folder: Path) -> bool:
    """Say whether a fold's folder, or its address, holds a trained and evaluated fold."""
    return files_below(folder).keys() >= COMPLETE


def read_result(folder: Path) -> FoldResult:
    """Read a fold's folder.

    Raises:
        MissingFileError: it was not trained, or not evaluated.
        DataError: a file that is not as it was written.
    """
    config = read_config(folder)
    facts = read_run(folder)
    training, evaluation = facts.training, facts.evaluation
    return FoldResult(
        folder=folder,
        format=facts.format,
        config=config,
        fold=facts.fold,
        corpus=facts.corpus,
        features=facts.features,
        metrics=read_metrics(folder),
        instances=training.instances,
        epochs=training.epochs,
        best_epoch=training.best_epoch,
        seconds=training.seconds,
        peak_memory=training.peak_memory,
        classify_ms=1000 * evaluation.seconds / evaluation.instances if evaluation else None,
        versions=facts.versions,
        sources=facts.system.sources if facts.system else {},
    )


def results_of(run_dir: Path) -> list[FoldResult]:
    """Read all folds of a run, in a folder or at an address, that were trained and evaluated, in order."""
    with files_at_once(run_dir, (CONFIG, RUN, METRICS), (PREDICTIONS,)) as place:
        folds = [fold for fold, names in fold_files(place).items() if names >= COMPLETE]
        return [replace(read_result(place / f"fold-{fold}"), folder=run_dir / f"fold-{fold}") for fold in folds]


def read_predictions(result: FoldResult) -> SavedPredictions:
    """Read the predictions of a fold.

    Raises:
        DataError: the table is not as it was written.
    """
    path = result.folder / PREDICTIONS
    numbers = {label: n for n, label in enumerate(result.metrics.labels)}
    try:
        text = read_text(path, "; `cli eval` makes it.")
        rows = [line.split("\t")[:3] for line in text.splitlines()[1:]]
        ids, gold, predicted = zip(*rows, strict=True)
        columns = (np.array([numbers[label] for label in column], dtype=np.int64) for column in (gold, predicted))
        return SavedPredictions(tuple(ids), *columns)
    except (KeyError, ValueError) as error:
        raise DataError(f"{spelled(path)} is not a table of predictions ({error}); evaluate the fold again.") from error


def differences(results: Sequence[FoldResult]) -> dict[str, list[str]]:
    """Return the facts in which runs differ: name -> the value of each.

    Seconds and memory are no facts of this kind; configuration, corpus, encoders and versions are.
    """
    facts = [facts_of(result) for result in results]
    names = dict.fromkeys(name for each in facts for name in each)
    table = {name: [each.get(name, "-") for each in facts] for name in names}
    return {name: values for name, values in table.items() if len(set(values)) > 1}


def facts_of(result: FoldResult) -> dict[str, str]:
    """Return what a fold was made of: configuration, corpus, encoders, versions."""
    facts = {**options_of(result.config), "format": result.format, "corpus digest": result.corpus.digest}
    facts |= {f"encoder {spec.name}": f"{spec.identity} ({spec.dtype})" for spec in result.features}
    facts |= {f"sha256 of {name}": digest for name, digest in result.sources.items()}
    return {name: str(value) for name, value in (facts | dict(result.versions)).items()}
