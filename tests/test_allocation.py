"""Freed memory is kept inside, also by two at a time, and given back outside."""

from __future__ import annotations

import ctypes
import sys

import pytest
import torch

from featstore.allocation import freed_memory_kept

LARGE = 48 << 20  # bytes; outside glibc asks the system for such a block and gives it back


class Mallinfo(ctypes.Structure):
    """``struct mallinfo2`` of malloc.h."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keep",
        )
    ]


def asked_for() -> int:
    """Return how many bytes more the process has of the system's own blocks while it uses a large one."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        pytest.skip("the C library does not tell")
    library.mallinfo2.restype = Mallinfo
    before = library.mallinfo2().hblkhd
    block = torch.empty(LARGE, dtype=torch.uint8)
    asked = int(library.mallinfo2().hblkhd - before)
    del block
    return asked


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has thresholds")
def test_a_large_block_stays_with_the_process_inside_and_goes_back_outside() -> None:
    with freed_memory_kept():
        assert asked_for() == 0
        with freed_memory_kept():
            assert asked_for() == 0
        assert asked_for() == 0, "the inner one must not end what the outer one began"
    assert asked_for() >= LARGE


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has thresholds")
def test_it_ends_when_the_work_fails() -> None:
    with pytest.raises(ValueError, match="as it must"), freed_memory_kept():
        raise ValueError("as it must")
    assert asked_for() >= LARGE
