"""Where a run errs: its scores for kinds of pairs, how far its probabilities can be trusted, its surest mistakes.

In: the evaluated folds of a run, of any system, and their corpus. Out: an :class:`ErrorReport`. The scores are those of
pairs, also where the corpus's official score counts relations of concepts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from classifier.runs.config import run_corpus
from classifier.runs.predicted import PredictedPair, read_table
from classifier.runs.results import FoldResult, results_of
from classifier.scores.calibration import Calibration, calibration
from classifier.scores.metrics import Scores, score
from featstore.addresses import spelled
from featstore.errors import MismatchError, UsageError
from featstore.records import Corpus, Instance

# Upper ends of the ranges that numbers are sorted into; the last range has none.
_BETWEEN, _LENGTHS, _PAIRS = (2, 5, 10, 20), (20, 30, 40, 60), (1, 3, 7, 15)
BETWEEN, LENGTH, PAIRS = "tokens between the mentions", "tokens of the sentence", "pairs of the sentence"
ORDER, SENTENCE = "order of the mentions", "sentence"


@dataclass(frozen=True, slots=True)
class PairKind:
    """The scores of one kind of pairs.

    Attributes:
        name: of the kind, such as ``3-5``.
        instances: test instances of it.
        micro: over the positive labels together.
        missed: positive instances for which another label was predicted.
        missed_as_negative: share of ``missed`` for which no positive label was predicted; None if none is missed.
    """

    name: str
    instances: int
    micro: Scores
    missed: int
    missed_as_negative: float | None


@dataclass(frozen=True, slots=True)
class Mistake:
    """An instance with the wrong label.

    Attributes:
        id: of the instance.
        gold, predicted: the two labels.
        probability: of the predicted label.
        text: the tokens of its sentence, with the first mention in ``[..]`` and the second in ``{..}``.
    """

    id: str
    gold: str
    predicted: str
    probability: float
    text: str


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """Where a run errs.

    Attributes:
        run: its folder.
        folds: the evaluated folds, which are taken together.
        instances: their test instances.
        labels: the scores of each label.
        kinds: by what pairs are told apart -> the kinds that occur, in order.
        calibration: of the probabilities.
        mistakes: the surest ones, the surest first.
    """

    run: Path
    folds: tuple[int, ...]
    instances: int
    labels: Mapping[str, Scores]
    kinds: Mapping[str, tuple[PairKind, ...]]
    calibration: Calibration
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True, slots=True)
class _Tested:
    """A test instance and what the run says of it."""

    instance: Instance
    said: PredictedPair
    is_known: bool  # whether its sentence stands in the fold's training part


def error_report(run_dir: Path, mistakes: int = 10) -> ErrorReport:
    """Return where a run errs.

    Args:
        run_dir: its folder, or its address.
        mistakes: how many of the surest mistakes to name.

    Raises:
        UsageError: no fold is evaluated.
        MismatchError: the corpus is no longer the one that was evaluated.
        MissingFileError, DataError: as reading the run and its corpus.
    """
    results = results_of(run_dir)
    if not results:
        name = spelled(run_dir)
        raise UsageError(f"{name} has no evaluated fold; `cli eval --run {name}` evaluates one.")
    config = results[0].config
    # As it can be read, whatever the run saw: the ids of the instances are the same.
    corpus = run_corpus(replace(config, corpus=replace(config.corpus, indicators="tags", context="sentence")))
    tested = [each for result in results for each in _tested(result, corpus)]
    metrics = results[0].metrics
    numbers = {label: n for n, label in enumerate(metrics.labels)}
    gold = np.array([numbers[each.said.gold] for each in tested])
    said = np.array([[each.said.probabilities[label] for label in metrics.labels] for each in tested])
    predicted = np.array([numbers[each.said.predicted] for each in tested])
    return ErrorReport(
        run=run_dir,
        folds=tuple(result.fold for result in results),
        instances=len(tested),
        labels=score(gold, predicted, metrics.labels, metrics.positive).per_class,
        kinds={
            name: _kinds(list(map(kind, tested)), gold, predicted, metrics.labels, metrics.positive)
            for name, kind in _kinds_of(corpus).items()
        },
        calibration=calibration(said, gold),
        mistakes=_surest(tested, mistakes),
    )


def _tested(result: FoldResult, corpus: Corpus) -> list[_Tested]:
    """Return the test instances of a fold with what was said of them.

    Raises:
        MismatchError: one of them is not in the corpus.
    """
    by_id = {instance.id: instance for instance in corpus.instances}
    known = {corpus.instances[place].sentence for place in corpus.partition(result.fold).train}
    rows = read_table(result.folder)
    if corpus.digest != result.corpus.digest or any(row.id not in by_id for row in rows):
        raise MismatchError(
            f"{spelled(result.folder)} was evaluated on {result.corpus.spec} as it was then, and the corpus has "
            "changed since; evaluate the fold again."
        )
    return [_Tested(by_id[row.id], row, by_id[row.id].sentence in known) for row in rows]


def _kinds_of(corpus: Corpus) -> Mapping[str, Callable[[_Tested], tuple[int, str]]]:
    """Return what pairs are told apart by: a name -> what gives a pair's kind, with its place in the order."""
    pairs = Counter(instance.sentence for instance in corpus.instances)
    return {
        BETWEEN: lambda tested: _ranged(_gap(tested.instance), _BETWEEN),
        LENGTH: lambda tested: _ranged(len(_words(tested.instance)), _LENGTHS, least=1),
        PAIRS: lambda tested: _ranged(pairs[tested.instance.sentence], _PAIRS, least=1),
        ORDER: lambda tested: _order(tested.instance),
        SENTENCE: lambda tested: (1, "in the training part too") if tested.is_known else (0, "new"),
    }


def _words(instance: Instance) -> tuple[str, ...]:
    """Return the sentence without tags."""
    return instance.mention((0, len(instance.layout)))


def _ranged(number: int, ends: Sequence[int], least: int = 0) -> tuple[int, str]:
    """Return the range that a number lies in: its place among all, and its name."""
    place = int(np.searchsorted(ends, number))
    low = ends[place - 1] + 1 if place else least
    if place == len(ends):
        return place, f"{low} or more"
    return place, f"{low}-{ends[place]}" if low < ends[place] else str(low)


def _gap(instance: Instance) -> int:
    """Return the number of tokens between the two mentions, tags aside; 0 if they touch or overlap."""
    (_, first_end), (second_start, _) = sorted((instance.head, instance.tail))
    return len(instance.mention((first_end, second_start)))


def _order(instance: Instance) -> tuple[int, str]:
    """Return which mention comes first, by its type."""
    place = int(instance.head > instance.tail)
    types = instance.head_type, instance.tail_type
    return place, f"{(types if types[0] != types[1] else ('head', 'tail'))[place]} first"


def _kinds(
    kinds: Sequence[tuple[int, str]],
    gold: np.ndarray,
    predicted: np.ndarray,
    labels: tuple[str, ...],
    positive: tuple[str, ...],
) -> tuple[PairKind, ...]:
    """Return the scores of each kind that occurs, in order."""
    found = []
    places = np.array([place for place, _ in kinds])
    for place, name in sorted(set(kinds)):
        inside = places == place
        metrics = score(gold[inside], predicted[inside], labels, positive)
        found.append(PairKind(name, int(inside.sum()), metrics.micro, metrics.missed, metrics.missed_as_negative))
    return tuple(found)


def _surest(tested: Sequence[_Tested], count: int) -> tuple[Mistake, ...]:
    """Return the mistakes with the highest probability."""
    wrong = [each for each in tested if each.said.gold != each.said.predicted]
    wrong.sort(key=lambda each: (-each.said.probability, each.said.id))
    return tuple(
        Mistake(each.said.id, each.said.gold, each.said.predicted, each.said.probability, _text(each.instance))
        for each in wrong[:count]
    )


def _text(instance: Instance) -> str:
    """Return the tokens of a sentence with the mentions in brackets."""
    pieces = []
    for place in range(len(instance.layout)):
        word = " ".join(instance.mention((place, place + 1)))
        for (start, end), (opening, closing) in ((instance.head, "[]"), (instance.tail, "{}")):
            if start <= place < end and word:
                word = f"{opening * (place == start)}{word}{closing * (place == end - 1)}"
        pieces.append(word)
    return " ".join(filter(None, pieces))
