"""The report of an ablation as one HTML file that needs nothing else: no script, no font, no picture from anywhere.

In: an :class:`~classifier.ablate.ablation.Ablation` and attention examples. Out: a page with the verdict, plots
(inline SVG, :mod:`classifier.ablate.svg`) and tables, in light or dark as the reader's system has it, and fit to
print. Everything that comes from data is escaped, and a policy in the page forbids it to load anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from classifier.ablate.ablation import Ablation
from classifier.ablate.examples import FOUND, INVENTED, MISSED, Example
from classifier.ablate.svg import Point, curves, heat_map, scatter
from classifier.ablate.tables import SIGNIFICANT, Table, best_row, names, percent, probability, tables, title, verdict
from classifier.runs.results import FoldResult

STYLE = """
:root{color-scheme:light dark;--bg:#fcfcfb;--card:#fff;--ink:#1b1f24;--soft:#5c6670;--line:#dfe3e6;--accent:#1f6f8b;
--warm:#c2571a;--good:#2a7d4f;--on:#fff}
@media (prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1c2024;--ink:#e8eaec;--soft:#9aa4ad;--line:#333a40;
--accent:#5cb3d0;--warm:#ee9257;--good:#6cc492;--on:#0d1114}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:0 0 10px}
.lead{font-size:16px;max-width:75ch}.soft,.note{color:var(--soft)}.note{font-size:13px;max-width:95ch}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:12px;margin:18px 0}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:8px}
.tile{padding:12px 14px}.tile b{display:block;font-size:24px;line-height:1.25;overflow-wrap:anywhere}
section{padding:16px 18px;margin:14px 0}
.plots{display:flex;flex-wrap:wrap;gap:14px}svg{max-width:100%;height:auto}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:5px 10px;text-align:right;border-bottom:1px solid var(--line)}th{color:var(--soft);font-weight:600}
td{white-space:nowrap}.matrix td{padding:4px 6px;font-size:12.5px}
th:first-child,td:first-child{text-align:left}tr.best td{font-weight:650}td.error{white-space:pre-wrap;text-align:left}
td.up{color:var(--good)}td.down{color:var(--warm)}td.sure{font-weight:650}
.bar-cell{background:linear-gradient(90deg,color-mix(in srgb,var(--accent) 26%,transparent) var(--w),transparent 0)}
code,pre{font:13px/1.5 ui-monospace,monospace}pre{overflow-x:auto;white-space:pre-wrap;margin:6px 0;color:var(--soft)}
details summary{cursor:pointer;color:var(--accent)}
text{font:11.5px system-ui,sans-serif;fill:var(--ink)}text.tick,text.axis{fill:var(--soft)}
text.on{fill:var(--on)}path{fill:none;stroke:var(--soft)}
path.grid{stroke:var(--line)}path.lead{stroke:var(--line)}path.front{stroke:var(--accent);stroke-dasharray:2 4}
path.bar{stroke:var(--accent);stroke-opacity:.5;stroke-width:2}path.paper{stroke:var(--warm);stroke-width:1.6}
path.curve{stroke:var(--accent);stroke-width:1.4;stroke-opacity:.75}path.dashed{stroke:var(--warm);stroke-dasharray:4 3}
circle.dot{fill:var(--accent)}circle.best{fill:var(--accent)}
rect.right{fill:var(--accent)}rect.wrong{fill:var(--warm)}
.sentence{line-height:2.1;margin:4px 0 16px}.word{padding:2px 3px;border-radius:4px;
background:color-mix(in srgb,var(--accent) var(--a),transparent)}.word.entity{border-bottom:2px solid var(--warm)}
.chip{font-size:12px;border:1px solid var(--line);border-radius:99px;padding:1px 9px;margin-right:8px}
td code{white-space:normal;overflow-wrap:anywhere}
@media print{@page{size:A4 landscape;margin:11mm}body{background:#fff;font-size:12px}main{max-width:none;padding:0}
section,.tile{border-color:#ccc}.tile,tr,.plots>*{break-inside:avoid}h2{break-after:avoid}.scroll{overflow:visible}
table{font-size:10.5px}th,td{padding:2px 7px}.matrix td{padding:2px 4px;font-size:9px}svg{max-height:66mm;width:auto}
.word,.bar-cell,rect{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;block-size:auto}}
"""
WIDE = 7  # rows whose names still fit above the columns of the test matrix
KINDS = {
    FOUND: "positive, found",
    MISSED: "positive, missed or called another class",
    INVENTED: "negative, called positive",
}


def html_report(ablation: Ablation, examples: Sequence[Example], command: str, *, no_examples: str = "") -> str:
    """Return the page.

    Args:
        ablation: what it shows.
        examples: attention of the best row.
        command: the line that made it.
        no_examples: why there are none.
    """
    corpus = ablation.corpus
    heading = escape(title(ablation))
    body = [
        f"<h1>{heading}</h1>",
        f'<p class="soft">corpus <code>{escape(corpus["spec"])}</code>, '
        f"digest <code>{escape(corpus['digest'][:16])}</code></p>",
        f'<p class="lead">{escape(" ".join(verdict(ablation)))}</p>',
        _tiles(ablation),
        _main_table(ablation),
        _scatters(ablation),
        _test_matrix(ablation),
        *(_plain(table) for table in tables(ablation)[1:] if table.title != "Paired tests"),
        _curves(ablation),
        _confusions(ablation),
        _attention(ablation, examples) or _section("Where the head looks", escape(no_examples)),
        _provenance(ablation, command),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{heading}</title><style>{STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _section(title: str, content: str, note: str = "") -> str:
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{content}{below}</section>" if content else ""


def _tiles(ablation: Ablation) -> str:
    called, best = names(ablation), best_row(ablation)
    total = sum(r.seconds for results in ablation.results.values() for r in results)
    within = [
        r for r in ablation.rows if (r.summary.f1 or 0) >= (best.summary.f1 or 0) - (best.summary.f1_deviation or 0)
    ]
    cheap = min(within, key=lambda r: r.cost.extraction_ms or r.cost.train_seconds)
    spread = f" ± {percent(best.summary.f1_deviation)}" if best.summary.f1_deviation is not None else ""
    tiles = [
        ("highest mean F1", percent(best.summary.f1) + spread, called[best.row]),
        ("cheapest within one sd of it", percent(cheap.summary.f1), called[cheap.row]),
        ("cells", f"{sum(r.cells for r in ablation.rows)}", f"{len(ablation.failed)} failed"),
        ("training in all", _duration(total), "sum over the cells"),
    ]
    cards = (
        f'<div class="tile"><span class="soft">{escape(a)}</span><b>{escape(b)}</b>{escape(c)}</div>'
        for a, b, c in tiles
    )
    return f'<div class="tiles">{"".join(cards)}</div>'


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _main_table(ablation: Ablation) -> str:
    """The scores, each F1 with a bar that begins a little below the lowest."""
    table, best = tables(ablation)[0], best_row(ablation)
    scores = [r.summary.f1 or 0.0 for r in ablation.rows]
    low, high = min(scores) - 0.02, max(scores)
    lines = []
    for result, score, cells in zip(ablation.rows, scores, table.rows, strict=True):
        width = f'style="--w:{100 * (score - low) / (high - low):.0f}%"'
        columns = [
            f'<td class="bar-cell" {width}>{escape(cell)}</td>' if name == "F1" else f"<td>{escape(cell)}</td>"
            for name, cell in zip(table.header, cells, strict=True)
        ]
        kind = ' class="best"' if result is best else ""
        lines.append(f"<tr{kind}>{''.join(columns)}</tr>")
    return _section(table.title, _grid(table.header, lines), table.note)


def _grid(header: Sequence[str], lines: Sequence[str], kind: str = "") -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in header)
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<div class="scroll {kind}">{table}</div>'


def _plain(table: Table) -> str:
    lines = []
    for row in table.rows:
        kinds = [' class="error"' if name == "error" else "" for name in table.header]
        cells = [f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return _section(table.title, _grid(table.header, lines), table.note)


def _scatters(ablation: Ablation) -> str:
    called = names(ablation)

    def plot(costs: Sequence[float | None], label: str) -> str:
        points = [
            Point(called[r.row], cost, r.summary.f1, r.summary.f1_deviation, r.paper)
            for r, cost in zip(ablation.rows, costs, strict=True)
            if cost and r.summary.f1 is not None
        ]
        return scatter(points, label, "F1") if points else ""

    plots = plot([r.cost.extraction_ms for r in ablation.rows], "extraction, ms an instance") + plot(
        [r.cost.train_seconds for r in ablation.rows], "training, s a cell"
    )
    note = "Dots: mean, with one standard deviation. Dotted line: what no other row beats in both. Diamonds: the paper."
    return _section("F1 against cost", f'<div class="plots">{plots}</div>', note)


def _test_matrix(ablation: Ablation) -> str:
    """Differences between all rows, row less column; p below each."""
    called = names(ablation)
    tests = {(t.first, t.second): t for t in ablation.tests}
    if not tests:
        return ""
    numbered = len(called) > WIDE
    lines = []
    for n, one in enumerate(called, 1):
        cells = [f"<td>{f'{n}: ' if numbered else ''}{escape(called[one])}</td>"]
        for other in called:
            test, sign = (tests[one, other], 1) if (one, other) in tests else (tests.get((other, one)), -1)
            if test is None:
                cells.append("<td></td>")
                continue
            gap = sign * test.comparison.difference
            sure = " sure" if test.p_holm is not None and test.p_holm < SIGNIFICANT else ""
            tip = f"{test.comparison.method}, {test.comparison.pairs} pairs, p {probability(test.comparison.p)}, "
            tip += f"after Holm {probability(test.p_holm)}"
            cells.append(
                f'<td class="{"up" if gap > 0 else "down"}{sure}" title="{escape(tip)}">{percent(gap, signed=True)}'
                f'<br><span class="soft">p {escape(probability(test.p_holm))}</span></td>'
            )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    columns = [str(n) for n in range(1, len(called) + 1)] if numbered else list(called.values())
    methods = ", ".join(sorted({t.comparison.method for t in ablation.tests}))
    note = (
        f"F1 of the row less that of the column, and Holm's p over all {len(tests)} tests ({methods}); bold: "
        f"p < {SIGNIFICANT}."
    )
    return _section("Is it more than chance?", _grid(["", *columns], lines, kind="matrix"), note)


def _curves(ablation: Ablation) -> str:
    called = names(ablation)
    every = [e.dev_f1 for results in ablation.results.values() for r in results for e in r.epochs]
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
        "One line a cell. Above F1 on the dev part, a dot at the epoch that was kept; below the loss, dashed on the "
        "dev part."
    )
    return _section("Learning curves", f'<div class="plots">{"".join(plots)}</div>', note)


def _confusions(ablation: Ablation) -> str:
    called, best = names(ablation), best_row(ablation).row

    def plot(results: Sequence[FoldResult]) -> str:
        total = np.sum([r.metrics.confusion for r in results], axis=0)
        return heat_map(total.tolist(), results[0].metrics.labels)

    rest = [
        f"<div><p>{escape(called[row])}</p>{plot(results)}</div>"
        for row, results in ablation.results.items()
        if row != best
    ]
    others = (
        f'<details><summary>the other rows</summary><div class="plots">{"".join(rest)}</div></details>' if rest else ""
    )
    note = "Test instances of all cells. Rows gold, columns predicted; the shade is the share of the gold label."
    return _section("Confusion", f"<p>{escape(called[best])}</p>{plot(ablation.results[best])}{others}", note)


def _attention(ablation: Ablation, examples: Sequence[Example]) -> str:
    """The sentences, each word as strong as its weight; a shade of one is the sentence's largest."""
    out = []
    for example in examples:
        largest = max(example.weights)
        words = [
            f'<span class="word{" entity" if entity else ""}" style="--a:{65 * weight / largest:.0f}%" '
            f'title="{weight:.3f}">{escape(word)}</span>'
            for word, weight, entity in zip(example.words, example.weights, example.entities, strict=True)
        ]
        said = f"gold {example.gold}, said {example.predicted} with {example.probability:.2f}"
        out.append(
            f'<div><span class="chip">{KINDS[example.kind]}</span><span class="soft">{escape(said)} '
            f'({escape(example.id)})</span><p class="sentence">{" ".join(words)}</p></div>'
        )
    called = names(ablation)[best_row(ablation).row]
    note = f"Test sentences that {called} was surest of, of each kind. Underlined: the marked pair."
    return _section("Where the head looks", "".join(out), note)


def _provenance(ablation: Ablation, command: str) -> str:
    results = [r for row in ablation.results.values() for r in row]
    encoders = {f"{s.name} {s.identity[:16]} ({s.dtype})" for r in results for s in r.features}
    versions = {", ".join(f"{name} {value}" for name, value in r.versions.items()) for r in results}
    facts = [
        ("made by", command),
        ("corpus", f"{ablation.corpus['spec']}, digest {ablation.corpus['digest']}"),
        ("encoders", "; ".join(sorted(encoders))),
        ("versions", "; ".join(sorted(versions))),
        ("threads a process", ", ".join(sorted({str(r.config.train.threads) for r in results}))),
        ("runs", "; ".join(sorted({str(r.folder.parent) for r in results}))),
    ]
    lines = [
        f"<tr><td>{escape(a)}</td><td style='text-align:left'><code>{escape(b)}</code></td></tr>" for a, b in facts
    ]
    return _section("How it was made", f'<div class="scroll"><table><tbody>{"".join(lines)}</tbody></table></div>')
