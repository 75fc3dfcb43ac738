"""Documents in blocks: the pieces by which an extraction is shared among jobs.

In: documents in the order of the input. Out: blocks of a fixed number of them, the last one shorter. Windows
(:mod:`classifier.extract.work`) end where a block ends. What a model says of a block's documents does therefore not
depend on which other blocks are extracted, by whom, or in which order; this holds to the last digit for every system,
also for one whose answers depend a little on what is scored together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

# Some ten windows of abstracts: half a minute of work at most, and a window's rest is little of it.
BLOCK_DOCUMENTS = 256
T = TypeVar("T")


def blocks(documents: Iterable[T], after: int = 0) -> Iterator[Iterator[T]]:
    """Yield documents block by block; each block has to be used up before the next is asked for.

    Args:
        documents: read one by one, none before it is asked for.
        after: how many of the input came before them; the first block is what is left of the one they lie in.
    """
    rest = iter(documents)
    room = BLOCK_DOCUMENTS - after % BLOCK_DOCUMENTS
    for first in rest:
        yield chain([first], islice(rest, room - 1))
        room = BLOCK_DOCUMENTS
