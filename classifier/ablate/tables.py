"""An ablation in words and tables.

In: an :class:`~classifier.ablate.ablation.Ablation`. Out: sentences, and tables of finished text, which Markdown,
HTML and a terminal show alike. F1 and its kin are shown in per cent, as the paper does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from classifier.ablate.ablation import Ablation, RowResult, TagsGain
from classifier.ablate.grid import Row, row_name
from classifier.ablate.paper import OTHERS, corpus_name

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Table:
    """A table of finished text.

    Attributes:
        title: what it shows.
        header: names of the columns; the first holds words, the others figures.
        rows: the cells.
        note: what the reader must know; may be empty.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def percent(share: float | None, signed: bool = False) -> str:
    """Return a share of 1 in per cent with two digits, ``-`` for None."""
    return "-" if share is None else f"{100 * share:{'+' if signed else ''}.2f}"


def probability(p: float | None) -> str:
    """Return a p-value with three digits."""
    return "-" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def names(ablation: Ablation) -> dict[Row, str]:
    """Return the name of each row."""
    rows = [result.row for result in ablation.rows]
    return {row: row_name(row, rows) for row in rows}


def best_row(ablation: Ablation) -> RowResult:
    """Return the row with the highest mean F1 on the test parts: a description, not a choice of a model."""
    return max(ablation.rows, key=lambda r: r.summary.f1 or 0.0)


def title(ablation: Ablation) -> str:
    """Return the report's title."""
    return f"Ablation on {corpus_name(ablation.grid.corpus)}"


def verdict(ablation: Ablation) -> list[str]:
    """Return what the figures say, in sentences."""
    called, best = names(ablation), best_row(ablation)
    folds = sorted({result.fold for results in ablation.results.values() for result in results})
    seeds = sorted({r.config.train.seed for results in ablation.results.values() for r in results})
    said = [
        f"{called[best.row]} has the highest mean F1, {percent(best.summary.f1)}, over {_count(len(folds), 'fold')} "
        f"and {_count(len(seeds), 'seed')}."
    ]
    rivals = [t for t in ablation.tests if best.row in (t.first, t.second)]
    beaten = [t for t in rivals if t.p_holm is not None and t.p_holm < SIGNIFICANT]
    if rivals and any(t.p_holm is not None for t in rivals):
        whom = f"{len(beaten) or 'none'} of the {len(rivals)} other rows" if len(rivals) > 1 else "the other row"
        verb = "differs" if beaten or len(rivals) > 1 else "does not differ"
        said.append(f"It {verb} significantly from {whom} (p < {SIGNIFICANT} after Holm's adjustment).")
    elif rivals:
        said.append("With so few folds no test can tell the rows apart; add folds.")
    near = best.without_near
    if near.left_out and near.f1 is not None and best.summary.f1 is not None:
        said.append(
            f"Without the {100 * near.left_out:.1f} % of its test instances that nearly stand in training, it is "
            f"{percent(near.f1)} ({percent(near.f1 - best.summary.f1, signed=True)})."
        )
    if ablation.failed:
        said.append(f"{_count(len(ablation.failed), 'cell')} failed and count nowhere.")
    return said


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def tables(ablation: Ablation) -> list[Table]:
    """Return all tables that the ablation has something for."""
    found = [
        _scores(ablation),
        _costs(ablation),
        _paper(ablation),
        _gains(ablation),
        _tests(ablation),
        _failed(ablation),
    ]
    return [_without_empty_columns(table) for table in found if table and table.rows]


def _without_empty_columns(table: Table) -> Table:
    kept = [n for n in range(len(table.header)) if any(row[n] not in ("-", "") for row in table.rows)]
    rows = tuple(tuple(row[n] for n in kept) for row in table.rows)
    return replace(table, header=tuple(table.header[n] for n in kept), rows=rows)


def _scores(ablation: Ablation) -> Table:
    called = names(ablation)
    counted = " + ".join(ablation.positive)
    return Table(
        f"F1 on the test parts, micro over {counted}",
        ("row", "cells", "P", "R", "F1", "sd", "sd of folds", "sd of seeds", "no exact leaks", "no near leaks"),
        tuple(
            (
                called[r.row],
                f"{r.cells}/{r.of}",
                percent(r.summary.precision),
                percent(r.summary.recall),
                percent(r.summary.f1),
                percent(r.summary.f1_deviation),
                percent(r.fold_deviation),
                percent(r.seed_deviation),
                percent(r.without_exact.f1),
                percent(r.without_near.f1),
            )
            for r in ablation.rows
        ),
        "Means over all cells of a row; sd: over all of them, over the folds (seeds averaged) and over the seeds "
        "(folds averaged). Leaks: test instances whose sentence stands in the training part, exactly or with a Jaccard "
        "similarity of the words of at least 0.8.",
    )


def _costs(ablation: Ablation) -> Table:
    called = names(ablation)
    return Table(
        "Cost",
        ("row", "training s", "epochs", "extraction ms", "encoding ms", "head ms", "peak MB", "store MB"),
        tuple(
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
        "Training: of one cell, mean. Extraction: of one test instance, encoding plus head. Peak: the process's "
        "resident memory while it trained. Store: the vectors of this corpus. All as recorded when the work was done.",
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _megabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e6:,.0f}"


def _paper(ablation: Ablation) -> Table | None:
    corpus = corpus_name(ablation.grid.corpus)
    if corpus not in OTHERS:
        return None
    called = names(ablation)
    rows = [
        (called[r.row], percent(r.summary.f1), percent(r.paper), percent((r.summary.f1 or 0) - r.paper, signed=True))
        for r in ablation.rows
        if r.paper is not None
    ]
    others = [(name, "", percent(f1), "") for name, f1 in OTHERS[corpus].items()]
    ours = f"{len(ablation.grid.folds)} folds" if corpus == "gad" else "test part"
    theirs = "ten folds" if corpus == "gad" else "test part"
    return Table(
        "Beside the paper's Table 2, F1",
        ("row", f"here ({ours})", f"paper ({theirs})", "difference"),
        (*rows, *others),
        "The paper's figures are those of its own encoders and training.",
    )


def _gains(ablation: Ablation) -> Table | None:
    if not ablation.gains:
        return None

    def name(gain: TagsGain) -> str:
        return row_name(gain.tags, [each.tags for each in ablation.gains])

    return Table(
        "Tags against replacement (the paper's Table 5), F1 of tags less that of replacement",
        ("row", "here", "p", "paper"),
        tuple(
            (name(g), percent(g.gain, signed=True), probability(g.p), percent(g.paper, signed=True))
            for g in ablation.gains
        ),
    )


def _tests(ablation: Ablation) -> Table:
    called = names(ablation)
    methods = sorted({test.comparison.method for test in ablation.tests})
    return Table(
        "Paired tests",
        ("rows", "difference in F1", "p", "p (Holm)", "pairs"),
        tuple(
            (
                f"{called[t.first]} - {called[t.second]}",
                percent(t.comparison.difference, signed=True),
                probability(t.comparison.p),
                probability(t.p_holm),
                str(t.comparison.pairs),
            )
            for t in ablation.tests
        ),
        f"{', '.join(methods)}; two-sided; adjusted for {len(ablation.tests)} tests.",
    )


def _failed(ablation: Ablation) -> Table:
    rows = [result.row for result in ablation.rows] + [event.cell.row for event in ablation.failed]
    return Table(
        "Failed cells",
        ("row", "fold", "seed", "error"),
        tuple(
            (row_name(e.cell.row, rows), str(e.cell.fold), str(e.cell.config.train.seed), e.error)
            for e in ablation.failed
        ),
    )
