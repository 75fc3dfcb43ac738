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

# M_MMAP_THRESHOLD and M_TRIM_THRESHOLD as malloc.h numbers them, what they are inside, and outside the largest that
# glibc would come to by itself; in bytes.
_THRESHOLDS = ((-3, 1 << 30, 32 << 20), (-1, 1 << 30, 64 << 20))

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
            for threshold, kept, usual in _THRESHOLDS:
                library.mallopt(threshold, kept if _inside else usual)


@cache
def _glibc() -> ctypes.CDLL | None:
    """Return the C library, or None if it has no such thresholds."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "mallopt") else None
