"""An ablation as Markdown, CSV and JSON.

In: an :class:`~classifier.ablate.ablation.Ablation`. Out: the tables of :mod:`classifier.ablate.tables` as Markdown
for people, and the same figures unrounded, row by row and cell by cell, for programs.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

from classifier.ablate.ablation import Ablation, RowResult
from classifier.ablate.tables import tables
from classifier.ablate.verdict import verdict
from classifier.ablate.words import facts, title
from featstore.addresses import spelled
from featstore.markdown import markdown_table, markdown_text


def markdown(ablation: Ablation, command: str, made: date) -> str:
    """Return the report as Markdown.

    Args:
        ablation: the ablation.
        command: the command line that made it.
        made: the day on which the report is made.
    """
    known = [*facts(ablation), ("report made", made.isoformat())]
    parts = [
        f"# {markdown_text(title(ablation))}",
        "\n".join(f"- {name}: {markdown_text(value)}" for name, value in known),
        markdown_text(" ".join(verdict(ablation))),
        f"    {command}",
    ]
    for table in tables(ablation):
        note = [markdown_text(table.note)] if table.note else []
        parts += [f"## {markdown_text(table.title)}", markdown_table(table.header, table.rows), *note]
    return "\n\n".join(parts) + "\n"


def rows_csv(ablation: Ablation) -> str:
    """Return one line for each row, unrounded."""
    return _csv([_flat(r) for r in ablation.rows])


def _flat(r: RowResult) -> dict[str, object]:
    summary = {name: value for name, value in asdict(r.summary).items() if name != "folds"}
    return {
        **asdict(r.row),
        "cells": r.cells,
        **summary,
        "f1_low": r.interval.low if r.interval else None,
        "f1_high": r.interval.high if r.interval else None,
        "fold_deviation": r.fold_deviation,
        "seed_deviation": r.seed_deviation,
        "f1_without_exact_leaks": r.without_exact.f1,
        "f1_without_near_leaks": r.without_near.f1,
        **asdict(r.cost),
        "extraction_ms": r.cost.extraction_ms,
        "f1_paper": r.paper and r.paper.f1,
    }


def cells(ablation: Ablation) -> list[dict[str, object]]:
    """Return one entry for each cell that is complete or failed, unrounded."""
    complete = [
        {
            **asdict(row),
            "fold": result.fold,
            "seed": result.config.seed,
            "precision": result.metrics.micro.precision,
            "recall": result.metrics.micro.recall,
            "f1": result.metrics.micro.f1,
            "dev_f1": result.epochs[result.best_epoch - 1].dev_f1,
            "best_epoch": result.best_epoch,
            "epochs": len(result.epochs),
            "train_seconds": result.seconds,
            "peak_memory": result.peak_memory,
            "folder": spelled(result.folder),
            "error": "",
        }
        for row, results in ablation.results.items()
        for result in results
    ]
    failed = [
        {**asdict(e.cell.row), "fold": e.cell.fold, "seed": e.cell.config.seed, "error": e.error}
        for e in ablation.failed
    ]
    return complete + failed


def cells_csv(ablation: Ablation) -> str:
    """Return one line for each cell, unrounded."""
    return _csv(cells(ablation))


def _csv(lines: Sequence[dict[str, object]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def as_json(ablation: Ablation, command: str, made: date) -> dict[str, object]:
    """Return everything as plain data that ``json.dumps`` takes."""
    everything = {
        "version": 1,
        "command": command,
        "made": made.isoformat(),
        "corpus": {
            name: value for name, value in asdict(ablation.corpus).items() if name in ("spec", "name", "digest")
        },
        "positive": ablation.positive,
        "rows": [_flat(r) for r in ablation.rows],
        "tests": [asdict(test) for test in ablation.tests],
        "tags_against_replacement": [asdict(gain) for gain in ablation.gains],
        "cells": cells(ablation),
    }
    plain: dict[str, object] = json.loads(json.dumps(everything, allow_nan=False))
    return plain
