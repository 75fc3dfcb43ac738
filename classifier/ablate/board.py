"""The progress of a grid, from the events of its cells.

In: a grid and one :class:`~classifier.ablate.CellEvent` after the other. Out: one line a row for a table that is drawn
live, and one line a finished cell for a log.
"""

from __future__ import annotations

from statistics import fmean

from classifier.ablate.cells import DONE, FAILED, KEPT, RUNNING, CellEvent
from classifier.ablate.grid import Cell, Grid, GridRow, row_name
from classifier.scores.percent import percent

HEADER = ("row", "cells", "failed", "mean F1", "now")


class Board:
    """The progress of a grid."""

    def __init__(self, grid: Grid) -> None:
        rows = grid.rows()
        self._names = {row: row_name(row, rows) for row in rows}
        self._cells: dict[GridRow, list[Cell]] = {row: [] for row in rows}
        for cell in grid.cells():
            self._cells[cell.row].append(cell)
        self._last: dict[Cell, CellEvent] = {}
        self._total = len(grid.cells())

    def update(self, event: CellEvent) -> str:
        """Take in an event and return a line for the log, which is empty while the cell is being trained."""
        self._last[event.cell] = event
        if event.status == RUNNING:
            return ""
        over = sum(e.status != RUNNING for e in self._last.values())
        said = {DONE: f"F1 {percent(event.f1)}", KEPT: f"was there, F1 {percent(event.f1)}"}
        what = said.get(event.status, f"failed: {event.error.splitlines()[0] if event.error else 'no reason given'}")
        return f"{over}/{self._total} {self._names[event.cell.row]}, {_place(event.cell)}: {what}"

    def lines(self) -> list[tuple[str, ...]]:
        """Return the table, one line a row, in the columns of :data:`HEADER`."""
        return [
            self._line(row, [self._last[c] for c in cells if c in self._last]) for row, cells in self._cells.items()
        ]

    def _line(self, row: GridRow, events: list[CellEvent]) -> tuple[str, ...]:
        scores = [e.f1 for e in events if e.f1 is not None]
        failed = sum(e.status == FAILED for e in events)
        over = sum(e.status in (DONE, KEPT) for e in events)
        now = [f"{_place(e.cell)}{_epoch(e)}" for e in events if e.status == RUNNING]
        return (
            self._names[row],
            f"{over}/{len(self._cells[row])}",
            str(failed or ""),
            percent(fmean(scores)) if scores else "",
            "; ".join(now),
        )


def _place(cell: Cell) -> str:
    return f"fold {cell.fold} seed {cell.config.seed}"


def _epoch(event: CellEvent) -> str:
    if event.epoch is None:
        return ""
    return f": epoch {event.epoch.number}/{event.epoch.of}, dev F1 {percent(event.epoch.dev_f1)}"
