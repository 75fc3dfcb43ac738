"""How a report names things: rows, classes, figures, and the facts at its head.

In: an :class:`~classifier.ablate.ablation.Ablation` or a figure of it. Out: text. F1 and its kin are shown in per
cent, as the paper does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from classifier.ablate.ablation import Ablation, RowResult
from classifier.ablate.grid import GridRow, row_name
from classifier.ablate.paper import corpus_name
from classifier.runs.results import FoldResult
from classifier.scores.percent import percent
from featstore.errors import count_of
from featstore.labels import meaning_of

FEWEST_PAIRS = 5  # a paired test over fewer folds or sentences cannot find any but huge differences


def interval(result: RowResult) -> str:
    """Return the 95 % interval of a row's F1 in per cent, ``-`` if there is none."""
    return f"{percent(result.interval.low)} to {percent(result.interval.high)}" if result.interval else "-"


def probability(p: float | None) -> str:
    """Return a p-value with three digits."""
    return "-" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def class_name(label: str, corpus: str) -> str:
    """Return a label with its meaning, ``CPR:4 (down-regulation)``; the label alone if none is known.

    Args:
        label: the label.
        corpus: the corpus's spec.
    """
    name = corpus_name(corpus)
    meaning = meaning_of(label, "gad" if corpus == "sample" else name)  # the sample has GAD's labels
    return f"{label} ({meaning.name})" if meaning else label


def names(ablation: Ablation) -> dict[GridRow, str]:
    """Return the name of each row."""
    rows = [result.row for result in ablation.rows]
    return {row: row_name(row, rows) for row in rows}


def best_row(ablation: Ablation) -> RowResult:
    """Return the row with the highest mean F1 on the test parts: a description, not a choice of a model."""
    return max(ablation.rows, key=lambda r: r.summary.f1 or 0.0)


def title(ablation: Ablation) -> str:
    """Return the report's title."""
    return f"Ablation on {corpus_name(ablation.grid.corpus)}"


def facts(ablation: Ablation) -> list[tuple[str, str]]:
    """Return the facts that a reader needs first, as pairs of a name and a value."""
    results = every_result(ablation)
    limits = _numbers({r.epochs[-1].of for r in results})
    kept = [r.best_epoch for r in results]
    ran = [len(r.epochs) for r in results]
    return [
        ("corpus", ablation.grid.corpus),
        ("F1 counts", ", ".join(class_name(label, ablation.grid.corpus) for label in ablation.positive)),
        ("head", ", ".join(dict.fromkeys(r.row.head for r in ablation.rows if r.row.is_head)) or "none"),
        ("epochs", f"{limits} at most, {_range(ran)} run, weights of epoch {_range(kept)} kept"),
        ("folds", _numbers({r.fold for r in results})),
        ("seeds", _numbers({r.config.seed for r in results})),
    ]


def every_result(ablation: Ablation) -> list[FoldResult]:
    """Return the complete cells of all rows."""
    return [result for results in ablation.results.values() for result in results]


def _numbers(values: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(values)))


def _range(values: Sequence[int]) -> str:
    return f"{min(values)} to {max(values)}" if min(values) < max(values) else str(min(values))


def about_tests(ablation: Ablation) -> str:
    """Return a sentence on which tests these are, and on their power if they have none."""
    methods = " and ".join(sorted({test.comparison.method for test in ablation.tests}))
    number = len(ablation.tests)
    adjusted = f"; p (Holm) is adjusted for {number} tests" if number > 1 else ""
    return f"Two-sided {methods}{adjusted}. {no_power(ablation)}".strip()


def no_power(ablation: Ablation) -> str:
    """Return a warning if a test rests on so few pairs that it cannot tell rows apart; empty if none does."""
    fewest = min((t.comparison.pairs for t in ablation.tests), default=FEWEST_PAIRS)
    if fewest >= FEWEST_PAIRS:
        return ""
    return (
        f"The paired test has no power: it compares {count_of(fewest, 'pair')} and needs at least {FEWEST_PAIRS} to "
        "tell rows apart. Evaluate more folds."
    )
