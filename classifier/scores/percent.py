"""Shares of 1 as people read them."""

from __future__ import annotations


def percent(share: float | None, *, signed: bool = False) -> str:
    """Return a share of 1 in per cent with two digits, ``-`` for None: the paper's way to give precision and F1."""
    return "-" if share is None else f"{100 * share:{'+' if signed else ''}.2f}"
