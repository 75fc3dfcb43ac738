"""Freed memory is kept inside, also by two at a time, and given back outside."""

from __future__ import annotations

import ctypes
import sys

import pytest
import torch

from featstore.allocation import freed_memory_kept


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


def asked_for(megabytes: int) -> bool:
    """Tell whether a block that is new to the process comes from the system alone, as glibc does it with large ones.

    What was freed before serves a block that is no larger. Each block of the tests is larger than those before it.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        pytest.skip("the C library does not tell")
    library.mallinfo2.restype = Mallinfo
    before = library.mallinfo2().hblkhd
    block = torch.empty(megabytes << 20, dtype=torch.uint8)
    asked = library.mallinfo2().hblkhd - before
    assert asked in (0, *range(len(block), len(block) + (1 << 20)))
    return bool(asked)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has thresholds")
def test_a_large_block_stays_with_the_process_inside_and_goes_back_outside() -> None:
    with freed_memory_kept():
        assert not asked_for(400)
        with freed_memory_kept():
            assert not asked_for(420)
        assert not asked_for(440), "the inner one must not end what the outer one began"
    assert asked_for(500)
    with pytest.raises(ValueError, match="as it must"), freed_memory_kept():
        raise ValueError("as it must")
    assert asked_for(520), "it ends when the work fails, too"
