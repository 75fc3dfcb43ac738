"""Saving the state of a training now and then, so that little is lost if it is interrupted and little time is spent."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

SECONDS_BETWEEN_SAVES = 60.0

S = TypeVar("S")


class Saver(Generic[S]):
    """Saves after an epoch, once a minute at most; the minute begins with the training.

    Args:
        save: writes a state; None: nothing is saved.
    """

    def __init__(self, save: Callable[[S], None] | None) -> None:
        self._save = save
        self._last = time.monotonic()

    def __call__(self, state: Callable[[], S]) -> None:
        """Save what ``state`` returns if it is time; otherwise it is not called, as states are copies."""
        if self._save and time.monotonic() - self._last >= SECONDS_BETWEEN_SAVES:
            self._save(state())
            self._last = time.monotonic()
