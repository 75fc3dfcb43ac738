"""Small plots as inline SVG, by a few functions of our own.

In: numbers and names. Out: an ``<svg>`` element. Colours are the classes of the page that holds it, so that a plot
follows its light or dark scheme; every name is escaped; the meaning of a mark is its ``<title>``, which a browser shows
when the pointer rests on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LINE, LETTER = 15, 6.6  # height of a line of text, and average width of a letter


@dataclass(frozen=True, slots=True)
class Point:
    """A row as plots show it.

    Attributes:
        label: the text beside its mark.
        name: its name in full.
        score: F1, a share of 1.
        low, high: the ends of the interval of the score, shares of 1; both equal the score if there is none.
        cost: its cost, above 0; plots without costs do not use it.
        reference: a score to set beside it (the paper's), a share of 1; None if there is none.
    """

    label: str
    name: str
    score: float
    low: float
    high: float
    cost: float = 1.0
    reference: float | None = None

    @property
    def tip(self) -> str:
        """The text that a browser shows when the pointer rests on the mark."""
        interval = f" (95 % interval {100 * self.low:.2f} to {100 * self.high:.2f})" if self.low < self.high else ""
        return f"{self.name}: F1 {100 * self.score:.2f}{interval}"


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values onto pixels.

    Attributes:
        low, high: the values at its two ends.
        start, stop: the pixels there.
        log: whether distances are ratios.
    """

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (map(math.log, (self.low, self.high, value))) if self.log else (self.low, self.high, value)
        return self.start + (value - low) / (high - low) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Return about five round values."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            ratio = self.high / self.low
            steps = (1, 1.5, 2, 3, 5, 7) if ratio < 10 else (1, 2, 5) if ratio < 1000 else (1,)
            found = [m * 10.0**e for e in range(first, last + 1) for m in steps]
        else:
            raw = (self.high - self.low) / 5
            size = 10.0 ** math.floor(math.log10(raw))
            step = next(m * size for m in (1, 2, 2.5, 5, 10) if m * size >= raw * (1 - 1e-9))
            begin = math.ceil(self.low / step)
            found = [(begin + i) * step for i in range(8)]
        return [value for value in found if self.low <= value <= self.high * (1 + 1e-9)]


def _bounds(points: Sequence[Point]) -> tuple[float, float]:
    """Return the ends of an axis that holds all scores, their intervals and references."""
    values = [value for p in points for value in (p.low, p.high)]
    values += [p.reference for p in points if p.reference is not None]
    margin = max(0.005, 0.08 * (max(values) - min(values)))
    return min(values) - margin, max(values) + margin


def intervals(points: Sequence[Point], x_label: str) -> str:
    """Draw a line for each row: a dot at its score, a bar over its interval, a diamond at its reference."""
    width, left, right, step, top = 340, 10, 14, 38, 8
    bottom = top + step * len(points)
    x = Axis(*_bounds(points), left, width - right)
    out = []
    for value in x.ticks():
        out.append(_path([(x(value), top), (x(value), bottom + 4)], "grid"))
        out.append(
            f'<text class="tick" x="{x(value):.1f}" y="{bottom + 18}" text-anchor="middle">{100 * value:g}</text>'
        )
    for n, p in enumerate(points):
        at = top + step * n + 26
        out.append(f'<text class="name" x="{left}" y="{at - 12}">{escape(f"{p.label} {p.name}")}</text>')
        out.append(_path([(x(p.low), at), (x(p.high), at)], "bar"))
        out.append(_reference(p, x(p.reference), at) if p.reference is not None else "")
        out.append(_dot(p, x(p.score), at))
    middle = (x.start + x.stop) / 2
    out.append(f'<text class="axis" x="{middle}" y="{bottom + 34}" text-anchor="middle">{escape(x_label)}</text>')
    return _svg(width, bottom + 40, f"{x_label} of each row", out)


def has_front(points: Sequence[Point]) -> bool:
    """Say whether the line that a scatter plot draws through the best points joins at least two."""
    return len(_front(points)) > 1


def _front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other one beats in both, the cheap ones first."""
    ordered = sorted(points, key=lambda p: p.cost)
    return [p for p in ordered if all(q.score < p.score for q in points if q.cost <= p.cost and q != p)]


def scatter(points: Sequence[Point], x_label: str, y_label: str) -> str:
    """Draw scores against costs on a logarithmic scale. A line joins the points that no other point beats in both."""
    width, height, left, bottom, top = 340, 290, 46, 44, 14
    right = 26 + LETTER * max(len(p.label) for p in points)
    x = Axis(min(p.cost for p in points) / 1.3, max(p.cost for p in points) * 1.3, left, width - right, log=True)
    y = Axis(*_bounds(points), height - bottom, top)
    out = [_axes(x, y, x_label, y_label, percent=True)]
    out.append(_path([(x(p.cost), y(p.score)) for p in _front(points)], "front"))
    for p in points:
        at = x(p.cost)
        if p.low < p.high:
            out.append(_path([(at, y(p.low)), (at, y(p.high))], "bar"))
        out.append(_reference(p, at, y(p.reference)) if p.reference is not None else "")
        out.append(_dot(p, at, y(p.score), f", {p.cost:.4g} {x_label}"))
    out.append(_labels([(x(p.cost), y(p.score), p.label) for p in points], x.stop + 14, top, height - bottom))
    return _svg(width, height, f"{y_label} against {x_label}", out)


def _dot(point: Point, x: float, y: float, more: str = "") -> str:
    tip = escape(point.tip + more)
    return f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{tip}</title></circle>'


def _reference(point: Point, x: float, y: float) -> str:
    tip = escape(f"{point.name}: {100 * (point.reference or 0):.2f} in the paper")
    return f'<path class="paper" d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5-5z"><title>{tip}</title></path>'


def _labels(marks: Sequence[tuple[float, float, str]], column: float, top: float, bottom: float) -> str:
    """Write names in a column on the right, in the order of their marks and without overlap, each with a line to its
    mark."""
    wanted = sorted(marks, key=lambda mark: mark[1])
    heights: list[float] = []
    for n, (_, y, _) in enumerate(wanted):
        least = top + LINE * 0.7 + n * LINE if not heights else heights[-1] + LINE
        heights.append(max(least, y))
    excess = max(0.0, heights[-1] - bottom)
    for n in reversed(range(len(heights))):  # push back the names that run out at the bottom
        limit = heights[n + 1] - LINE if n + 1 < len(heights) else heights[-1] - excess
        heights[n] = min(heights[n], limit)
    out = []
    for (x, y, name), at in zip(wanted, heights, strict=True):
        out.append(_path([(x + 6, y), (column - 4, at)], "lead"))
        out.append(f'<text class="name" x="{column:.1f}" y="{at + 4:.1f}">{escape(name)}</text>')
    return "".join(out)


def curves(
    title: str,
    scores: Sequence[Sequence[float]],
    best: Sequence[int],
    losses: Sequence[tuple[Sequence[float], Sequence[float]]],
    bounds: tuple[float, float],
) -> str:
    """Draw the training of a row's cells: dev F1 above, training (solid) and dev loss (dashed) below.

    Args:
        title: the row.
        scores: dev F1 of each epoch, for each cell.
        best: the best epoch of each, counted from 1.
        losses: training and dev loss of each epoch, for each cell.
        bounds: lowest and highest F1 of the axis, the same for all rows.
    """
    width, height, left, right = 300, 250, 48, 10
    longest = max(2, *map(len, scores))
    x = Axis(1, longest, left, width - right)
    upper = Axis(bounds[0], bounds[1], 128, 26)
    flat = [value for pair in losses for series in pair for value in series]
    lower = Axis(0, max(flat) * 1.05 or 1.0, 216, 146)
    out = [f'<text class="name" x="{left}" y="14">{escape(title)}</text>']
    out += [_axes(x, upper, "", "dev F1", percent=True), _axes(x, lower, "epoch", "loss")]
    for series, chosen in zip(scores, best, strict=True):
        out.append(_path([(x(n + 1), upper(value)) for n, value in enumerate(series)], "curve"))
        tip = f"epoch {chosen}: dev F1 {100 * series[chosen - 1]:.2f}"
        at = f'cx="{x(chosen):.1f}" cy="{upper(series[chosen - 1]):.1f}"'
        out.append(f'<circle class="best" {at} r="3"><title>{tip}</title></circle>')
    for pair in losses:
        for series, kind in zip(pair, ("curve", "curve dashed"), strict=True):
            out.append(_path([(x(n + 1), lower(value)) for n, value in enumerate(series)], kind))
    return _svg(width, height, f"Learning curves of {title}", out)


def heat_map(counts: Sequence[Sequence[int]], labels: Sequence[str], meanings: Sequence[str]) -> str:
    """Draw a confusion matrix: rows gold, columns predicted, shade by the share of the row.

    Args:
        counts: instances; row gold, column predicted.
        labels: what stands beside rows and above columns.
        meanings: each label in full, for the tips.
    """
    size = len(labels)
    longest = LETTER * max(map(len, labels))
    cell, left, top = max(46.0, longest + 10), longest + 34, 44
    out = [
        f'<text class="axis" x="{left + cell * size / 2}" y="14" text-anchor="middle">predicted</text>',
        f'<text class="axis" transform="translate(11 {top + 18 * size}) rotate(-90)" text-anchor="middle">gold</text>',
    ]
    for n, label in enumerate(labels):
        middle = left + cell * (n + 0.5)
        out.append(f'<text class="name" x="{middle}" y="{top - 10}" text-anchor="middle">{escape(label)}</text>')
        y = top + 36 * (n + 0.5) + 4
        out.append(f'<text class="name" x="{left - 6}" y="{y}" text-anchor="end">{escape(label)}</text>')
    for row, (gold, line) in enumerate(zip(meanings, counts, strict=True)):
        for column, (predicted, count) in enumerate(zip(meanings, line, strict=True)):
            share = count / max(1, sum(line))
            kind = "right" if row == column else "wrong"
            x, y = left + cell * column, top + 36 * row
            tip = escape(f"{count:,} of {sum(line):,} {gold} were predicted as {predicted} ({share:.1%})")
            out.append(
                f'<g><title>{tip}</title><rect class="{kind}" x="{x + 1}" y="{y + 1}" width="{cell - 2}" height="34" '
                f'style="fill-opacity:{0.06 + 0.8 * share:.2f}"/><text class="{"on" if share > 0.55 else "count"}" '
                f'x="{x + cell / 2}" y="{y + 22}" text-anchor="middle">{count:,}</text></g>'
            )
    return _svg(left + cell * size + 8, top + 36 * size + 8, "Confusion, rows gold, columns predicted", out)


def _axes(x: Axis, y: Axis, x_label: str, y_label: str, percent: bool = False) -> str:
    out = []
    for value in y.ticks():
        at = y(value)
        text = f"{100 * value:g}" if percent else f"{value:g}"
        out.append(_path([(x.start, at), (x.stop, at)], "grid"))
        out.append(f'<text class="tick" x="{x.start - 6}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    if x_label:
        for value in x.ticks():
            if not x.log and value != int(value):
                continue
            at = x(value)
            out.append(_path([(at, y.start), (at, y.start + 4)], "grid"))
            out.append(f'<text class="tick" x="{at:.1f}" y="{y.start + 16}" text-anchor="middle">{value:g}</text>')
    for label, where in (
        (y_label, f"translate(10 {(y.start + y.stop) / 2:.1f}) rotate(-90)"),
        (x_label, f"translate({(x.start + x.stop) / 2:.1f} {y.start + 32})"),
    ):
        out.append(f'<text class="axis" transform="{where}" text-anchor="middle">{escape(label)}</text>')
    return "".join(out)


def _path(points: Sequence[tuple[float, float]], kind: str) -> str:
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="{kind}" d="M{steps}"/>' if points else ""


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )
