"""An ablation as plots, each with the caption that explains the marks that it has.

In: an :class:`~classifier.ablate.ablation.Ablation`. Out: a :class:`Figure` of HTML with inline SVG, in which every
name is escaped, and its caption as plain text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from classifier.ablate.ablation import Ablation
from classifier.ablate.svg import Point, curves, has_front, heat_map, intervals, scatter
from classifier.ablate.words import best_row, class_name, every_result, names
from classifier.runs.results import FoldResult


@dataclass(frozen=True, slots=True)
class Figure:
    """Drawings and their caption.

    Attributes:
        html: the drawings; empty if there is nothing to draw.
        caption: the meaning of the marks, in plain text.
    """

    html: str
    caption: str


def scores_figure(ablation: Ablation) -> Figure:
    """Draw the score of each row as a dot with its interval."""
    points = _points(ablation, [1.0] * len(ablation.rows))
    return Figure(intervals(points, "F1, per cent"), _about_marks(points)) if points else Figure("", "")


def _points(ablation: Ablation, costs: Sequence[float | None]) -> list[Point]:
    """Return a point for each row that has a score and a cost."""
    called = names(ablation)
    points = []
    for n, (result, cost) in enumerate(zip(ablation.rows, costs, strict=True), 1):
        f1 = result.summary.f1
        if cost and f1 is not None:
            low, high = (result.interval.low, result.interval.high) if result.interval else (f1, f1)
            paper = result.paper.f1 if result.paper else None
            points.append(Point(str(n), called[result.row], f1, low, high, cost, paper))
    return points


def _about_marks(points: Sequence[Point]) -> str:
    """Explain the marks that a plot has."""
    bars = any(p.low < p.high for p in points)
    diamonds = any(p.reference is not None for p in points)
    said = "A dot is the mean F1" + (", and its bar is the 95 % interval." if bars else ".")
    return said + (" A diamond is the paper's figure." if diamonds else "")


def costs_figure(ablation: Ablation) -> Figure:
    """Draw F1 against the cost of extraction and of training."""
    drawn = []
    for label, costs_of_rows in (
        ("extraction, ms an instance", [r.cost.extraction_ms for r in ablation.rows]),
        ("training, s a cell", [r.cost.train_seconds for r in ablation.rows]),
    ):
        points = _points(ablation, costs_of_rows)
        if points:
            drawn.append((points, scatter(points, label, "F1")))
    every = [p for points, _ in drawn for p in points]
    if not every:
        return Figure("", "")
    note = f"{_about_marks(every)} {_legend(ablation)}"
    if any(has_front(points) for points, _ in drawn):
        note += " The dotted line joins the rows that no other row beats in both F1 and cost."
    return Figure(f'<div class="plots">{"".join(plot for _, plot in drawn)}</div>', note)


def _legend(ablation: Ablation) -> str:
    called = names(ablation)
    return "Rows: " + "; ".join(f"{n} {called[r.row]}" for n, r in enumerate(ablation.rows, 1)) + "."


def curves_figure(ablation: Ablation) -> Figure:
    """Draw how each cell learned."""
    called = names(ablation)
    every = [e.dev_f1 for r in every_result(ablation) for e in r.epochs]
    bounds = (min(every) - 0.01, max(every) + 0.01)
    plots = [
        curves(
            called[row],
            [[e.dev_f1 for e in r.epochs] for r in results],
            [r.best_epoch for r in results],
            [([e.train_loss for e in r.epochs], [e.dev_loss for e in r.epochs]) for r in results],
            bounds,
        )
        for row, results in ablation.results.items()
    ]
    note = (
        "Each line is one cell. The upper part shows F1 on the dev part, with a dot at the epoch whose weights were "
        "kept. The lower part shows the loss, solid in training and dashed on the dev part."
    )
    return Figure(f'<div class="plots">{"".join(plots)}</div>', note)


def confusion_figure(ablation: Ablation) -> Figure:
    """Draw the confusion matrix of the best row, and of the others folded away."""
    called, best = names(ablation), best_row(ablation).row
    labels = ablation.results[best][0].metrics.labels
    meanings = [class_name(label, ablation.grid.corpus) for label in labels]

    def plot(results: Sequence[FoldResult]) -> str:
        total = np.sum([r.metrics.confusion for r in results], axis=0)
        return heat_map(total.tolist(), labels, meanings)

    rest = [
        f"<div><h3>{escape(called[row])}</h3>{plot(results)}</div>"
        for row, results in ablation.results.items()
        if row != best
    ]
    others = (
        f'<details><summary>the other rows</summary><div class="plots">{"".join(rest)}</div></details>' if rest else ""
    )
    note = "Counts are test instances of all cells. The shade is the share of the gold label."
    explained = [meaning for label, meaning in zip(labels, meanings, strict=True) if meaning != label]
    note += f" Classes: {'; '.join(explained)}." if explained else ""
    return Figure(f"<h3>{escape(called[best])}</h3>{plot(ablation.results[best])}{others}", note)
