"""An ablation in tables.

In: an :class:`~classifier.ablate.ablation.Ablation`. Out: tables of finished text, which Markdown, HTML and a
terminal show alike. A note names only the columns that its table has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from classifier.ablate.ablation import Ablation, Clean, TagsGain
from classifier.ablate.grid import row_name
from classifier.ablate.paper import PaperRow, corpus_name, rows_of_paper
from classifier.ablate.words import (
    about_tests,
    interval,
    names,
    probability,
)
from classifier.scores.percent import percent
from featstore.errors import count_of


@dataclass(frozen=True, slots=True)
class Table:
    """A table of finished text.

    Attributes:
        title: its title.
        header: names of the columns; the first holds words, the others figures.
        rows: the cells.
        note: explanations for the reader; may be empty.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def tables(ablation: Ablation) -> list[Table]:
    """Return all tables that the ablation has something for."""
    found = [
        scores(ablation),
        spread(ablation),
        costs(ablation),
        beside_paper(ablation),
        tags_gains(ablation),
        paired_tests(ablation),
        failures(ablation),
    ]
    return [table for table in found if table]


def _table(
    heading: str, columns: Sequence[tuple[str, str]], rows: Iterable[tuple[str, ...]], note: str = ""
) -> Table | None:
    """Return a table without its empty columns; None if nothing but the names of the rows is left.

    Args:
        heading: the title.
        columns: the name of each column and its explanation below the table, which may be empty.
        rows: the cells; ``-`` and an empty text count as empty.
        note: an explanation that does not depend on columns.
    """
    cells = list(rows)
    kept = [n for n in range(len(columns)) if any(row[n] not in ("-", "") for row in cells)]
    if len(kept) < 2:
        return None
    remarks = [note, *(columns[n][1] for n in kept)]
    return Table(
        heading,
        tuple(columns[n][0] for n in kept),
        tuple(tuple(row[n] for n in kept) for row in cells),
        " ".join(remark for remark in remarks if remark),
    )


def scores(ablation: Ablation) -> Table | None:
    """Return F1 of each row with its interval, precision and recall."""
    called = names(ablation)
    several = "Micro-F1" if len(ablation.positive) > 1 else "F1"
    return _table(
        f"{several} on the test parts",
        (
            ("row", ""),
            ("F1", ""),
            ("95 % interval", "The interval comes from a bootstrap over the test sentences."),
            ("P", "P is precision and R is recall."),
            ("R", ""),
            ("cells", "A cell is one fold with one seed."),
        ),
        (
            (
                called[r.row],
                percent(r.summary.f1),
                interval(r),
                percent(r.summary.precision),
                percent(r.summary.recall),
                f"{r.cells} of {r.of}",
            )
            for r in ablation.rows
        ),
        "All figures are in per cent, each the mean over the cells of its row. F1 counts "
        f"{' + '.join(ablation.positive)}.",
    )


def spread(ablation: Ablation) -> Table | None:
    """Return how F1 varies between cells, and what it is without test sentences that the training part shows."""
    called = names(ablation)
    both = any(r.fold_deviation is not None and r.seed_deviation is not None for r in ablation.rows)
    varies = any(r.summary.f1_deviation is not None for r in ablation.rows)
    leaks = any(r.without_exact.left_out or r.without_near.left_out for r in ablation.rows)
    return _table(
        "Spread and leakage" if varies and leaks else "Leakage" if leaks else "Spread",
        (
            ("row", ""),
            ("sd", "The sd is the sample standard deviation of F1 over all cells of a row."),
            ("sd of folds", "The sd of folds is over the folds, with seeds averaged."),
            ("sd of seeds", "The sd of seeds is over the seeds, with folds averaged."),
            ("F1, no exact leaks", "Exact leaks are test instances whose sentence also stands in the training part."),
            (
                "F1, no near leaks",
                "Near leaks have a training sentence with a Jaccard similarity of the words of at least 0.8.",
            ),
        ),
        (
            (
                called[r.row],
                percent(r.summary.f1_deviation),
                percent(r.fold_deviation if both else None),
                percent(r.seed_deviation if both else None),
                _clean(r.without_exact),
                _clean(r.without_near),
            )
            for r in ablation.rows
        ),
    )


def _clean(clean: Clean) -> str:
    return percent(clean.f1) if clean.left_out else "-"


def costs(ablation: Ablation) -> Table | None:
    """Return what each row costs."""
    called = names(ablation)
    return _table(
        "Cost",
        (
            ("row", ""),
            ("training s", "Training seconds are the mean of one cell."),
            ("epochs", ""),
            ("extraction ms", "Extraction is the time for one test instance, encoding and head together."),
            ("encoding ms", ""),
            ("head ms", ""),
            ("peak MB", "Peak is the largest resident memory of a process that trained a cell."),
            ("store MB", "Store is the room that the vectors of this corpus take."),
        ),
        (
            (
                called[r.row],
                f"{r.cost.train_seconds:.1f}",
                f"{r.cost.epochs:.1f}",
                _ms(r.cost.extraction_ms),
                _ms(r.cost.encode_ms),
                _ms(r.cost.head_ms),
                _megabytes(r.cost.peak_memory),
                _megabytes(r.cost.store_bytes),
            )
            for r in ablation.rows
        ),
        "Each figure was recorded when the work was done, on the machine that did it.",
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _megabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e6:,.0f}"


def beside_paper(ablation: Ablation) -> Table | None:
    """Return scores and costs here and in the paper, all rows of either; None for a corpus that it does not have."""
    theirs = rows_of_paper(ablation.grid.corpus)
    if not theirs:
        return None
    called = names(ablation)
    rows = [
        (
            called[r.row],
            *map(percent, (r.summary.precision, r.summary.recall, r.summary.f1)),
            *_in_paper(r.paper),
            percent((r.summary.f1 or 0) - r.paper.f1, signed=True) if r.paper else "",
            _ms(r.cost.extraction_ms),
            _ms(r.paper.ms) if r.paper else "",
            _megabytes(r.cost.peak_memory),
        )
        for r in ablation.rows
    ]
    here = [r.paper for r in ablation.rows]
    others = [
        (name, "", "", "", *_in_paper(row), "", "", _ms(row.ms), "") for name, row in theirs.items() if row not in here
    ]
    gad = corpus_name(ablation.grid.corpus) == "gad"
    ours = count_of(len(ablation.grid.folds), "fold") if gad else "the test part"
    timed = any(row.ms for row in theirs.values())
    return _table(
        "Beside the paper's Tables 2 and 3" if timed else "Beside the paper's Table 2",
        (
            ("row", ""),
            *((f"{name} here", "") for name in ("P", "R", "F1")),
            *((f"{name} paper", "") for name in ("P", "R", "F1")),
            ("difference", ""),
            ("ms here", "A time is that of one test instance, encoding and head together, in the paper on a V100."),
            ("ms paper", ""),
            ("peak MB here", "The paper's light models took 2 GB to train, and BioBERT 12 GB."),
        ),
        (*rows, *others),
        f"Here over {ours}, there over {'ten folds' if gad else 'the test part'}. A row without figures from here was "
        "not run, and one without the paper's is not in the paper. The paper's figures come from its own encoders and "
        "its own training.",
    )


def _in_paper(row: PaperRow | None) -> tuple[str, ...]:
    return tuple(map(percent, (row.precision, row.recall, row.f1))) if row else ("", "", "")


def tags_gains(ablation: Ablation) -> Table | None:
    """Return by how much tags beat replacement; None if the grid does not have both."""

    def name(gain: TagsGain) -> str:
        return row_name(gain.tags, [each.tags for each in ablation.gains])

    return _table(
        "Tags against replacement",
        (("row", ""), ("gain", ""), ("p", ""), ("paper", "The paper's gain is in its Table 5.")),
        (
            (name(g), percent(g.gain, signed=True), probability(g.p), percent(g.paper, signed=True))
            for g in ablation.gains
        ),
        "The gain is F1 with tags less F1 with replacement.",
    )


def paired_tests(ablation: Ablation) -> Table | None:
    """Return the paired tests between all rows."""
    called = names(ablation)
    return _table(
        "Paired tests",
        (("rows", ""), ("difference in F1", ""), ("p", ""), ("p (Holm)", ""), ("pairs", "")),
        (
            (
                f"{called[t.first]} - {called[t.second]}",
                percent(t.comparison.difference, signed=True),
                probability(t.comparison.p),
                probability(t.p_holm),
                str(t.comparison.pairs),
            )
            for t in ablation.tests
        ),
        about_tests(ablation),
    )


def failures(ablation: Ablation) -> Table | None:
    """Return the cells that failed."""
    rows = [result.row for result in ablation.rows] + [event.cell.row for event in ablation.failed]
    return _table(
        "Failed cells",
        (("row", ""), ("fold", ""), ("seed", ""), ("error", "")),
        ((row_name(e.cell.row, rows), str(e.cell.fold), str(e.cell.config.seed), e.error) for e in ablation.failed),
    )
