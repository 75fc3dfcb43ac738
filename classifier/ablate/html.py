"""The report of an ablation as one HTML file that needs nothing else: no script, no font, no picture from anywhere.

In: an :class:`~classifier.ablate.ablation.Ablation` and attention examples. Out: a page with the verdict, plots
(inline SVG, :mod:`classifier.ablate.svg`) and tables. On a narrow screen each line of a table becomes a small list, so
that no column is cut off. Everything that comes from data is escaped, and a policy in the page forbids it to load
anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from html import escape

from classifier.ablate.ablation import Ablation
from classifier.ablate.examples import FOUND, INVENTED, MISSED, Example
from classifier.ablate.plots import Figure, confusion_figure, costs_figure, curves_figure, scores_figure
from classifier.ablate.style import STYLE
from classifier.ablate.tables import (
    Table,
    beside_paper,
    costs,
    failures,
    scores,
    spread,
    tags_gains,
)
from classifier.ablate.verdict import SIGNIFICANT, verdict
from classifier.ablate.words import (
    about_tests,
    best_row,
    class_name,
    every_result,
    facts,
    interval,
    names,
    probability,
    title,
)
from classifier.scores.percent import percent
from featstore.addresses import spelled
from featstore.errors import count_of

KINDS = {
    FOUND: "positive, found",
    MISSED: "positive, missed or called another class",
    INVENTED: "negative, called positive",
}


def html_report(
    ablation: Ablation, examples: Sequence[Example], command: str, made: date, *, no_examples: str = ""
) -> str:
    """Return the page.

    Args:
        ablation: the ablation.
        examples: sentences with the attention of the best row.
        command: the command line that made it.
        made: the day on which the report is made.
        no_examples: the reason if there are no examples.
    """
    heading = escape(title(ablation))
    body = [
        f"<h1>{heading}</h1>",
        _facts(ablation, made),
        f'<p class="lead">{escape(" ".join(verdict(ablation)))}</p>',
        _tiles(ablation),
        _main_table(ablation),
        _plain(spread(ablation)),
        _figure("F1 against cost", costs_figure(ablation)),
        _test_matrix(ablation),
        *(_plain(table) for table in (costs(ablation), beside_paper(ablation), tags_gains(ablation))),
        _figure("Learning curves", curves_figure(ablation)),
        _figure("Confusion", confusion_figure(ablation)),
        _attention(ablation, examples) or _section("Where the head looks", f"<p>{escape(no_examples)}</p>"),
        _plain(failures(ablation)),
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


def _figure(title: str, figure: Figure) -> str:
    return _section(title, figure.html, figure.caption)


def _facts(ablation: Ablation, made: date) -> str:
    pairs = [*facts(ablation), ("report made", made.isoformat())]
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f'<dl class="facts">{items}</dl>'


def _tiles(ablation: Ablation) -> str:
    called, best = names(ablation), best_row(ablation)
    total = sum(r.seconds for r in every_result(ablation))
    floor = best.interval.low if best.interval else best.summary.f1 or 0
    within = [r for r in ablation.rows if (r.summary.f1 or 0) >= floor]
    cheap = min(within, key=lambda r: r.cost.extraction_ms or r.cost.train_seconds)
    tiles = [
        ("highest mean F1", percent(best.summary.f1), f"{called[best.row]}; 95 % interval {interval(best)}"),
        ("cheapest row within that interval", percent(cheap.summary.f1), called[cheap.row]),
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
    """Return the scores, as dots with intervals and as a table."""
    table, best = scores(ablation), best_row(ablation)
    if table is None:
        return ""
    lines = [
        _line(table, cells, "best" if r is best else "") for r, cells in zip(ablation.rows, table.rows, strict=True)
    ]
    figure = scores_figure(ablation)
    drawn = f'<div class="plots">{figure.html}{_grid(table.header, lines, "stack")}</div>'
    return _section(table.title, drawn, f"{table.note} {figure.caption}".strip())


def _line(table: Table, cells: Sequence[str], kind: str = "") -> str:
    columns = []
    for name, cell in zip(table.header, cells, strict=True):
        error = ' class="error"' if name == "error" else ""
        columns.append(f'<td{error} data-label="{escape(name)}">{escape(cell)}</td>')
    return f'<tr class="{kind}">{"".join(columns)}</tr>'


def _grid(header: Sequence[str], lines: Sequence[str], kind: str) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in header)
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<div class="scroll {kind}">{table}</div>'


def _plain(table: Table | None) -> str:
    if table is None:
        return ""
    lines = [_line(table, cells) for cells in table.rows]
    return _section(table.title, _grid(table.header, lines, "stack"), table.note)


def _test_matrix(ablation: Ablation) -> str:
    """Return the differences between all rows, row less column, with the p-value below."""
    called = names(ablation)
    tests = {(t.first, t.second): t for t in ablation.tests}
    if not tests:
        return ""
    lines, bold = [], False
    for n, one in enumerate(called, 1):
        cells = [f"<td>{n} {escape(called[one])}</td>"]
        for other in called:
            test, sign = (tests[one, other], 1) if (one, other) in tests else (tests.get((other, one)), -1)
            if test is None:
                cells.append("<td></td>")
                continue
            gap = sign * test.comparison.difference
            sure = test.p_holm is not None and test.p_holm < SIGNIFICANT
            bold |= sure
            pairs = count_of(test.comparison.pairs, "pair")
            tip = f"{test.comparison.method}, {pairs}, p {probability(test.comparison.p)}, "
            tip += f"after Holm {probability(test.p_holm)}"
            kind = f"{'up' if gap > 0 else 'down'}{' sure' if sure else ''}"
            cells.append(
                f'<td class="{kind}" title="{escape(tip)}">{percent(gap, signed=True)}'
                f'<br><span class="soft">p {escape(probability(test.p_holm))}</span></td>'
            )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    columns = [str(n) for n in range(1, len(called) + 1)]
    note = f"Each field is F1 of its row less F1 of its column, with p (Holm) below. {about_tests(ablation)}"
    note += f" Bold: p < {SIGNIFICANT}." if bold else ""
    return _section("Is it more than chance?", _grid(["", *columns], lines, "matrix"), note)


def _attention(ablation: Ablation, examples: Sequence[Example]) -> str:
    """Return the example sentences. A word is shaded by its weight, on a scale of its sentence from 0 to the largest
    weight."""
    out = []
    for example in examples:
        largest = max(example.weights)
        words = [
            f'<span class="word{" entity" if entity else ""}" style="--a:{65 * weight / largest:.0f}%" '
            f'title="{weight:.3f}">{escape(word)}</span>'
            for word, weight, entity in zip(example.words, example.weights, example.entities, strict=True)
        ]
        gold, predicted = (class_name(label, ablation.grid.corpus) for label in (example.gold, example.predicted))
        said = f"gold {gold}, predicted {predicted} with probability {example.probability:.2f}"
        out.append(
            f'<div><span class="chip">{KINDS[example.kind]}</span><span class="soft">{escape(said)} '
            f'({escape(example.id)})</span><span class="scale">attention 0<i></i>{largest:.2f}</span>'
            f'<p class="sentence">{" ".join(words)}</p></div>'
        )
    called = names(ablation)[best_row(ablation).row]
    note = (
        f"These are the test sentences of each kind for which {called} gave its prediction the highest probability. "
        "The marked pair is underlined. The attention weights of a sentence sum to 1."
    )
    return _section("Where the head looks", "".join(out), note)


def _provenance(ablation: Ablation, command: str) -> str:
    results = every_result(ablation)
    encoders = {f"{s.name} {s.identity[:16]} ({s.dtype})" for r in results for s in r.features}
    versions = {", ".join(f"{name} {value}" for name, value in r.versions.items()) for r in results}
    facts = [
        ("made by", command),
        ("corpus", f"{ablation.corpus.spec}, digest {ablation.corpus.digest}"),
        ("encoders", "; ".join(sorted(encoders))),
        ("versions", "; ".join(sorted(versions))),
        ("threads a process", ", ".join(sorted({str(r.config.threads) for r in results}))),
        ("runs", "; ".join(sorted({spelled(r.folder.parent) for r in results}))),
    ]
    items = "".join(f"<dt>{escape(a)}</dt><dd><code>{escape(b)}</code></dd>" for a, b in facts)
    return _section("How it was made", f'<dl class="facts">{items}</dl>')
