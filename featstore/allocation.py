"""Freed memory stays with the process while it computes.

glibc gives large blocks back to the system as soon as they are freed, and the system fills every page with zeros when
it is asked for it again. A network that needs the same tens of megabytes at each step waits longer for that than for
some of its products.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as malloc.h numbers them
_ALL = 1 << 30  # bytes; blocks up to this size are kept
_USUAL = 32 << 20  # the largest size that glibc would come to by itself

_lock = Lock()
_inside = 0


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Inside, memory that is freed is kept for the next block that needs it; where the C library is not glibc, nothing
    changes. Threads may be inside at the same time."""
    _enter(1)
    try:
        yield
    finally:
        _enter(-1)


def _enter(change: int) -> None:
    """Count who is inside, and set glibc's thresholds when the first one enters or the last one leaves."""
    global _inside
    library = _glibc()
    if library is None:
        return
    with _lock:
        before, _inside = _inside, _inside + change
        if (before == 0) != (_inside == 0):
            size = _ALL if _inside else _USUAL
            library.mallopt(_MMAP_THRESHOLD, size)
            library.mallopt(_TRIM_THRESHOLD, 2 * size if size == _USUAL else size)


@cache
def _glibc() -> ctypes.CDLL | None:
    """Return the C library, or None if it has no such thresholds."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "mallopt") else None
