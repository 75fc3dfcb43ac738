"""The outcome of an ablation: its rows, tests between them, the effect of indicators, and costs.

In: a grid, the outcome of each cell, and the folder of the runs. Out: an :class:`Ablation` of plain data, from which
:mod:`classifier.ablate.tables` and :mod:`classifier.ablate.html` make what people read. Only complete cells count, and
each row states how many it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from classifier.ablate.cells import FAILED, CellEvent
from classifier.ablate.costs import Cost, extent, row_cost
from classifier.ablate.grid import Grid, GridRow, rows_of
from classifier.ablate.paper import OTHERS, TAGS_GAIN, PaperRow, called_in_paper, corpus_name, light_row
from classifier.runs.compare import check_one_corpus, check_one_encoder, compare, f1
from classifier.runs.config import RunConfig, run_corpus
from classifier.runs.facts import CorpusFacts
from classifier.runs.results import FoldResult, SavedPredictions, read_predictions, read_result
from classifier.scores.bootstrap import Interval, ScoredFold, f1_interval
from classifier.scores.metrics import score
from classifier.scores.significance import Comparison, Scored, holm, number_sentences
from classifier.scores.summary import Summary, summarise
from featstore.corpora import read_corpus
from featstore.corpora.audit import Leaked, leaked_instances
from featstore.errors import DataError, ResourceError


@dataclass(frozen=True, slots=True)
class Clean:
    """A row's F1 without the test instances that its training part already shows.

    Attributes:
        f1: mean over the cells; None if a test part has no positive instance left.
        left_out: share of the test instances that were left out.
    """

    f1: float | None
    left_out: float


@dataclass(frozen=True, slots=True)
class RowResult:
    """A row, all its cells together.

    Attributes:
        row: the row.
        cells: number of complete cells.
        of: number of cells in the grid.
        summary: means over the cells; its ``f1_deviation`` is over all of them.
        interval: the 95 % interval of the mean F1, by a bootstrap over the test sentences; None if F1 is not defined.
        fold_deviation: sample standard deviation over the folds, after averaging over seeds; None for one fold.
        seed_deviation: sample standard deviation over the seeds, after averaging over folds; None for one seed.
        without_exact: F1 without test sentences that also occur in the training part.
        without_near: F1 without those and without test sentences that have a near duplicate in the training part.
        cost: its costs.
        paper: the paper's row, which for a head is that with tags, for a row that is tagged or blinded; None if the
            paper has no such row.
    """

    row: GridRow
    cells: int
    of: int
    summary: Summary
    interval: Interval | None
    fold_deviation: float | None
    seed_deviation: float | None
    without_exact: Clean
    without_near: Clean
    cost: Cost
    paper: PaperRow | None


@dataclass(frozen=True, slots=True)
class RowTest:
    """A paired test between two rows.

    Attributes:
        first, second: the rows.
        comparison: the test.
        p_holm: the p-value, adjusted for all tests of the ablation (Holm 1979); None if the data allow no test.
    """

    first: GridRow
    second: GridRow
    comparison: Comparison
    p_holm: float | None


@dataclass(frozen=True, slots=True)
class TagsGain:
    """The gain of tags over replacement (the paper's Table 5), with everything else equal.

    Attributes:
        tags, replace: the two rows.
        gain: difference of their mean F1.
        p: p-value of the paired test between them.
        paper: the paper's difference; None for another corpus.
    """

    tags: GridRow
    replace: GridRow
    gain: float
    p: float | None
    paper: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Ablation:
    """All that a report shows.

    Attributes:
        grid: the grid.
        corpus: the corpus, marked as in the first row.
        positive: the labels that F1 counts.
        rows: the rows that have a complete cell, in the grid's order.
        tests: the tests between all pairs of rows that share a fold.
        gains: the gains of tags over replacement.
        results: the complete cells of each row.
        failed: the cells that failed.
    """

    grid: Grid
    corpus: CorpusFacts
    positive: tuple[str, ...]
    rows: tuple[RowResult, ...]
    tests: tuple[RowTest, ...]
    gains: tuple[TagsGain, ...]
    results: Mapping[GridRow, Sequence[FoldResult]]
    failed: tuple[CellEvent, ...]


def summarise_grid(grid: Grid, events: Sequence[CellEvent], store_root: str | Path, runs: Path) -> Ablation:
    """Read the complete cells of a grid and make its report.

    Args:
        grid: the grid.
        events: the outcome of each cell.
        store_root: the store, for the costs of a row.
        runs: the folder of the run folders.

    Raises:
        DataError: no cell is complete.
        ResourceError: likewise, because disk, memory or a permission was lacking.
        MismatchError: cells belong to different versions of the corpus, or to different encoders of one name.
    """
    failed = tuple(event for event in events if event.status == FAILED)
    of_no_use = {event.cell.folder(runs) for event in failed}
    complete = [cell.folder(runs) for cell in grid.cells() if cell.is_complete(runs)]
    results = [read_result(folder) for folder in complete if folder not in of_no_use]
    if not results:
        why = f"; the first failed with: {failed[0].error}" if failed else "."
        kind = ResourceError if any(event.is_resource for event in failed) else DataError
        raise kind(f"no cell of the grid is complete{why}")
    check_one_corpus(results)
    check_one_encoder(results)
    by_row = rows_of(results)
    by_row = {row: by_row[row] for row in grid.rows() if row in by_row}
    plain = read_corpus(replace(grid.cells()[0].config.corpus, context="sentence"))
    leaked = leaked_instances(plain)
    expected = len(grid.folds) * len(grid.seeds)
    sentence_of = {instance.id: instance.group for instance in plain.instances}
    extents = {mark: extent(run_corpus(config)) for mark, config in _markings(grid).items()}
    rows = tuple(
        _row_result(row, own, expected, leaked, sentence_of, row_cost(own, str(store_root), extents[_marking(row)]))
        for row, own in by_row.items()
    )
    tests = _tests(by_row, sentence_of)
    return Ablation(
        grid=grid,
        corpus=results[0].corpus,
        positive=results[0].metrics.positive,
        rows=rows,
        tests=tests,
        gains=_gains(tests, grid.corpus),
        results=by_row,
        failed=failed,
    )


def _row_result(
    row: GridRow,
    results: Sequence[FoldResult],
    expected: int,
    leaked: Mapping[int, Leaked],
    sentence_of: Mapping[str, str],
    cost: Cost,
) -> RowResult:
    predictions = [read_predictions(result) for result in results]
    exact, near = (
        _without(results, predictions, [getattr(leaked[result.fold], kind) for result in results])
        for kind in ("exact", "near")
    )
    return RowResult(
        row=row,
        cells=len(results),
        of=expected,
        summary=summarise([result.metrics for result in results]),
        interval=_interval(results, predictions, sentence_of),
        fold_deviation=_deviation([(result.fold, f1(result)) for result in results]),
        seed_deviation=_deviation([(result.config.seed, f1(result)) for result in results]),
        without_exact=exact,
        without_near=near,
        cost=cost,
        paper=paper_row(results[0].config.corpus.spec, row),
    )


def paper_row(spec: str, row: GridRow) -> PaperRow | None:
    """Return the row of the paper's Table 2 that a row repeats, or None."""
    if not row.is_head:
        return OTHERS.get(corpus_name(spec), {}).get(called_in_paper(row.features) or "")
    return None if row.indicators == "replace" else light_row(spec, row.features)


def _interval(
    results: Sequence[FoldResult], predictions: Sequence[SavedPredictions], sentence_of: Mapping[str, str]
) -> Interval | None:
    """Return the 95 % interval of a row's mean F1; the seeds of a fold share its test sentences."""
    metrics = results[0].metrics
    positive = [metrics.labels.index(label) for label in metrics.positive]
    by_fold: dict[int, list[SavedPredictions]] = {}
    for result, saved in zip(results, predictions, strict=True):
        by_fold.setdefault(result.fold, []).append(saved)
    folds = [
        ScoredFold([Scored(each.gold, each.predicted) for each in seeds], number_sentences(seeds[0].ids, sentence_of))
        for seeds in by_fold.values()
    ]
    return f1_interval(folds, positive)


def _marking(row: GridRow) -> tuple[str, str]:
    return row.indicators, row.context


def _markings(grid: Grid) -> dict[tuple[str, str], RunConfig]:
    """Return the ways in which the grid marks its corpus, and a configuration for each."""
    return {_marking(cell.row): cell.config for cell in grid.cells()}


def _deviation(scores: Sequence[tuple[int, float]]) -> float | None:
    """Return the sample standard deviation between the groups' means; None for one group."""
    groups = {group: [value for other, value in scores if other == group] for group, _ in scores}
    return stdev(map(fmean, groups.values())) if len(groups) > 1 else None


def _without(
    results: Sequence[FoldResult], predictions: Sequence[SavedPredictions], left_out: Sequence[frozenset[str]]
) -> Clean:
    """Score the cells again without some of their test instances."""
    scores: list[float | None] = []
    dropped = total = 0
    for result, saved, leaked in zip(results, predictions, left_out, strict=True):
        stays = np.array([i not in leaked for i in saved.ids])
        dropped, total = dropped + int((~stays).sum()), total + len(stays)
        metrics = result.metrics
        if stays.any():
            rest = score(saved.gold[stays], saved.predicted[stays], metrics.labels, metrics.positive)
        scores.append(rest.micro.f1 if stays.any() else None)
    known = [value for value in scores if value is not None]
    return Clean(fmean(known) if len(known) == len(scores) else None, dropped / total)


def _tests(by_row: Mapping[GridRow, Sequence[FoldResult]], sentence_of: Mapping[str, str]) -> tuple[RowTest, ...]:
    pairs = [
        (one, other)
        for one, other in combinations(by_row, 2)
        if {r.fold for r in by_row[one]} & {r.fold for r in by_row[other]}
    ]
    comparisons = [compare(by_row[one], by_row[other], sentence_of) for one, other in pairs]
    adjusted = holm([comparison.p for comparison in comparisons])
    return tuple(
        RowTest(one, other, comparison, p)
        for (one, other), comparison, p in zip(pairs, comparisons, adjusted, strict=True)
    )


def _gains(tests: Sequence[RowTest], spec: str) -> tuple[TagsGain, ...]:
    gains = []
    for test in tests:
        marks = {test.first.indicators: test.first, test.second.indicators: test.second}
        if marks.keys() == {"tags", "replace"} and replace(marks["tags"], indicators="replace") == marks["replace"]:
            sign = 1 if test.first == marks["tags"] else -1
            gain = sign * test.comparison.difference
            paper = TAGS_GAIN.get(corpus_name(spec))
            gains.append(TagsGain(marks["tags"], marks["replace"], gain, test.comparison.p, paper))
    return tuple(gains)
