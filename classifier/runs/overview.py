"""Runs side by side, for ``cli runs``.

In: the folder of runs. Out: what each run is and how far it came; of several runs what differs in them, their F1 fold
by fold, and paired tests. All of it is read from the run folders; the corpus is loaded only to know which test
instances share a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from classifier.runs.compare import compare, f1
from classifier.runs.config import CONFIG, PREDICTIONS, RunConfig, read_config, run_corpus, trained_folds
from classifier.runs.facts import METRICS, RUN, read_run
from classifier.runs.find import list_runs
from classifier.runs.results import differences, results_of
from classifier.scores.significance import Comparison
from classifier.scores.summary import Summary, summarise
from featstore.copies import files_at_once
from featstore.errors import UsageError


@dataclass(frozen=True, slots=True)
class RunOverview:
    """A run and how far it came.

    Attributes:
        folder: where it lies.
        config: its configuration.
        trained: the folds that are trained.
        evaluated: those that are evaluated, too.
        summary: over the evaluated folds; None if there is none.
        seconds: that training them took.
    """

    folder: Path
    config: RunConfig
    trained: tuple[int, ...]
    evaluated: tuple[int, ...]
    summary: Summary | None
    seconds: float


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """Runs side by side.

    Attributes:
        folders: the runs.
        differing: facts that are not the same in all of them, with the value in each.
        scores: for each fold that all have evaluated, the F1 of each.
        tests: the first run against each of the others.
    """

    folders: tuple[Path, ...]
    differing: Mapping[str, Sequence[str]]
    scores: Mapping[int, Sequence[float]]
    tests: tuple[Comparison, ...]


def overview(runs: Path) -> list[RunOverview]:
    """Return all runs below a folder or an address, by name; their files are fetched from an address all at once."""
    with files_at_once(runs, (CONFIG, RUN, METRICS), (PREDICTIONS,)) as place:
        return [_overview(folder, runs / folder.relative_to(place)) for folder in list_runs(place)]


def overview_of(folder: Path) -> RunOverview:
    """Return what a run is and how far it came.

    Raises:
        MissingFileError, DataError: it is no run, or not as it was written.
    """
    with files_at_once(folder, (CONFIG, RUN, METRICS), (PREDICTIONS,)) as place:
        return _overview(place, folder)


def _overview(place: Path, folder: Path) -> RunOverview:
    """Return what the run in a place of this machine is, which lies in, or was copied from, a folder or an address."""
    results, trained = results_of(place), trained_folds(place)
    return RunOverview(
        folder=folder,
        config=read_config(place),
        trained=trained,
        evaluated=tuple(result.fold for result in results),
        summary=summarise([result.metrics for result in results]) if results else None,
        seconds=sum(read_run(place / f"fold-{fold}").training.seconds for fold in trained),
    )


def compare_runs(folders: Sequence[Path], *, across_refit: bool = False) -> ComparedRuns:
    """Compare runs.

    Args:
        folders: at least two.
        across_refit: compare also a run with ``refit`` with one without it.

    Raises:
        UsageError: fewer than two runs, runs that have no evaluated fold in common, or runs with and without ``refit``.
        MismatchError: they are of different corpora, or of different versions of one.
    """
    if len(folders) < 2:
        raise UsageError("one run cannot be compared; name at least two.")
    results = [results_of(folder) for folder in folders]
    shared = set.intersection(*({result.fold for result in each} for each in results))
    if not shared:
        raise UsageError("the runs have no evaluated fold in common; evaluate the same of each (`cli eval --fold`).")
    chosen = [[result for result in each if result.fold in shared] for each in results]
    sentence_of = {instance.id: instance.group for instance in run_corpus(read_config(folders[0])).instances}
    return ComparedRuns(
        folders=tuple(folders),
        differing=differences([each[0] for each in chosen]),
        scores={fold: [fmean(f1(r) for r in each if r.fold == fold) for each in chosen] for fold in sorted(shared)},
        tests=tuple(compare(chosen[0], other, sentence_of, across_refit=across_refit) for other in chosen[1:]),
    )
