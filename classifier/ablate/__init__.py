"""Ablations: a grid of combinations, run cell by cell, and the report on it."""

from classifier.ablate.cells import DONE, FAILED, KEPT, RUNNING, CellEvent, ablate

__all__ = ["DONE", "FAILED", "KEPT", "RUNNING", "CellEvent", "ablate"]
