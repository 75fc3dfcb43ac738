"""The files of a report.

In: an :class:`~classifier.ablate.ablation.Ablation`. Out, in one folder or at an address: ``report.html`` for people,
``report.md`` for a repository, ``rows.csv``, ``cells.csv`` and ``report.json`` for programs. Each is replaced as a
whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from classifier.ablate.ablation import Ablation
from classifier.ablate.examples import Example, attention_examples
from classifier.ablate.export import as_json, cells_csv, markdown, rows_csv
from classifier.ablate.html import html_report
from classifier.ablate.words import best_row
from classifier.runs.config import run_corpus
from classifier.runs.facts import to_json
from featstore.addresses import address_of
from featstore.errors import MismatchError, MissingFeatureError
from featstore.files import make_folder, write_file

HTML, MARKDOWN, ROWS, CELLS, JSON = "report.html", "report.md", "rows.csv", "cells.csv", "report.json"


def write_report(ablation: Ablation, store_root: str | Path, out: Path, command: str) -> None:
    """Write a report.

    Args:
        ablation: the ablation.
        store_root: the store, for the attention of the best row. If the vectors are missing, the report says so.
        out: the folder, which is created, or its address.
        command: the command line that made it.
    """
    shown = ablation.results[best_row(ablation).row][0]
    examples: Sequence[Example] = ()
    reason = "No test sentence is short enough to show."
    try:
        if shown.config.system:
            reason = f"The best row is no head, and {shown.config.label} tells of no attention."
        else:
            examples = attention_examples(shown, run_corpus(shown.config), store_root)
    except (MissingFeatureError, MismatchError) as error:
        reason = str(error)
    made = datetime.now(UTC).date()
    if address_of(out) is None:
        make_folder(out)
    files = {
        HTML: html_report(ablation, examples, command, made, no_examples=reason).encode("utf-8"),
        MARKDOWN: markdown(ablation, command, made).encode("utf-8"),
        ROWS: rows_csv(ablation).encode("utf-8"),
        CELLS: cells_csv(ablation).encode("utf-8"),
        JSON: to_json(as_json(ablation, command, made)),
    }
    for name, content in files.items():
        write_file(out / name, content)
