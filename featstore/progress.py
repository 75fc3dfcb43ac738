"""How long work reports its progress: one type of callback for all of it.

A command draws a bar from it; a program that calls the library may pass its own, or none.
"""

from __future__ import annotations

from collections.abc import Callable

# Called with what is done and what there is to do in all; None: that is not known.
Progress = Callable[[int, int | None], None]
