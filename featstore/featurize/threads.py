"""The number of threads of the matrix products, for as long as something is measured or encoded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def running_threads(count: int) -> Iterator[None]:
    """Let torch use ``count`` threads; an encoder that has not imported it has none."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
