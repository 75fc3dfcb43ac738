"""Small plots as inline SVG, by a few functions of our own.

In: numbers and names. Out: an ``<svg>`` element. Colours are the classes of the page that holds it, so that a plot
follows its light or dark scheme; every name is escaped; what a mark means stands in its ``<title>``, which a browser
shows when the pointer rests on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LINE, LETTER = 15, 6.6  # height of a line of text, and the width of a letter at most, on average


@dataclass(frozen=True, slots=True)
class Point:
    """A mark of a scatter plot.

    Attributes:
        name: its label.
        x: its cost, above 0.
        y: its score, a share of 1.
        deviation: of the score; None: not known.
        reference: a score to set beside it (the paper's); None if there is none.
    """

    name: str
    x: float
    y: float
    deviation: float | None = None
    reference: float | None = None


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
        """Round values, about five of them."""
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


def scatter(points: Sequence[Point], x_label: str, y_label: str) -> str:
    """Draw scores against costs, the cost on a logarithmic scale; a line joins what no other point beats in both."""
    height, left, bottom, top = 340, 52, 44, 14
    right = 26 + LETTER * max(len(p.name) for p in points)
    width = max(540.0, left + 240 + right)
    spread = [p.deviation or 0.0 for p in points]
    values = [p.y + s for p, s in zip(points, spread, strict=True)] + [
        p.y - s for p, s in zip(points, spread, strict=True)
    ]
    values += [p.reference for p in points if p.reference is not None]
    margin = max(0.005, 0.08 * (max(values) - min(values)))
    costs = [p.x for p in points]
    x = Axis(min(costs) / 1.3, max(costs) * 1.3, left, width - right, log=True)
    y = Axis(min(values) - margin, max(values) + margin, height - bottom, top)
    out = [_axes(x, y, x_label, y_label, percent=True)]
    front = [p for p in sorted(points, key=lambda p: p.x) if all(q.y < p.y for q in points if q.x <= p.x and q != p)]
    out.append(_path([(x(p.x), y(p.y)) for p in front], "front"))
    for p, s in zip(points, spread, strict=True):
        tip = f"{p.name}: F1 {100 * p.y:.2f}" + (f" (sd {100 * s:.2f})" if s else "") + f", {p.x:.4g} {x_label}"
        if s:
            out.append(_path([(x(p.x), y(p.y - s)), (x(p.x), y(p.y + s))], "bar"))
        if p.reference is not None:
            a, b = x(p.x), y(p.reference)
            tip_paper = escape(f"{p.name}: {100 * p.reference:.2f} in the paper")
            out.append(f'<path class="paper" d="M{a:.1f} {b - 5:.1f}l5 5l-5 5l-5-5z"><title>{tip_paper}</title></path>')
        out.append(
            f'<circle class="dot" cx="{x(p.x):.1f}" cy="{y(p.y):.1f}" r="5"><title>{escape(tip)}</title></circle>'
        )
    out.append(_labels([(x(p.x), y(p.y), p.name) for p in points], x.stop + 14, top, height - bottom))
    return _svg(width, height, f"{y_label} against {x_label}", out)


def _labels(marks: Sequence[tuple[float, float, str]], column: float, top: float, bottom: float) -> str:
    """Write names in a column on the right, in the order of their marks, none upon another, each led to its mark."""
    wanted = sorted(marks, key=lambda mark: mark[1])
    heights: list[float] = []
    for n, (_, y, _) in enumerate(wanted):
        least = top + LINE * 0.7 + n * LINE if not heights else heights[-1] + LINE
        heights.append(max(least, y))
    excess = max(0.0, heights[-1] - bottom)
    for n in reversed(range(len(heights))):  # push back what ran out at the bottom
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


def heat_map(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """Draw a confusion matrix: rows gold, columns predicted, shade by the share of the row."""
    cell, left, top = 62, 78, 44
    size = len(labels)
    out = [f'<text class="axis" x="{left + cell * size / 2}" y="14" text-anchor="middle">predicted</text>']
    for n, label in enumerate(labels):
        middle = left + cell * (n + 0.5)
        out.append(f'<text class="name" x="{middle}" y="{top - 10}" text-anchor="middle">{escape(label)}</text>')
        y = top + 36 * (n + 0.5) + 4
        out.append(f'<text class="name" x="{left - 8}" y="{y}" text-anchor="end">{escape(label)}</text>')
    for row, (gold, line) in enumerate(zip(labels, counts, strict=True)):
        for column, (predicted, count) in enumerate(zip(labels, line, strict=True)):
            share = count / max(1, sum(line))
            kind = "right" if row == column else "wrong"
            x, y = left + cell * column, top + 36 * row
            tip = escape(f"{count:,} of {sum(line):,} {gold} were called {predicted} ({share:.1%})")
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
        (y_label, f"translate(11 {(y.start + y.stop) / 2:.1f}) rotate(-90)"),
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
