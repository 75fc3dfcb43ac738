"""Markdown that any text fits into: what stands in a cell cannot break its table.

In: words, or a header and rows of finished text. Out: Markdown for model cards and reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_text(text: str) -> str:
    """Return a text as one line of Markdown that shows it as it is."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; every row has as many cells as the header."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(markdown_text(cell) for cell in line) + " |" for line in lines)
