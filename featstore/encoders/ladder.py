"""Encoding when memory is short: batches become smaller, and sentences that still do not fit are named.

In: an encoder and sentences. Out: the vectors of those that could be encoded, and which they are. A batch that
does not fit is halved until single sentences are left; a sentence that does not fit alone is left out and logged, so
that one very long sentence does not end a run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from featstore.encoders.contract import Encoder
from featstore.ragged import Ragged

log = logging.getLogger(__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether ``error`` means that a device or the machine has no memory left; torch has no single class for it."""
    import torch  # only here: encoders that need no torch pass through this module too

    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    )


def encode_what_fits(encoder: Encoder, batch: Sequence[Sequence[str]]) -> tuple[list[int], Ragged]:
    """Encode as many sentences of ``batch`` as memory allows.

    Returns:
        the positions in ``batch`` that were encoded, rising, and their vectors; Shape: values (sum T, D).
    """
    positions: list[int] = []
    parts: list[Ragged] = []
    waiting = [range(len(batch))]
    while waiting:
        some = waiting.pop()
        vectors = _try(encoder, [batch[i] for i in some])
        if vectors is not None:
            positions += some
            parts.append(vectors)
        elif len(some) > 1:
            middle = len(some) // 2
            waiting += [some[middle:], some[:middle]]
        else:
            tokens = batch[some[0]]
            log.error(
                "out of memory for one sentence of %d tokens, '%.60s'; it is left out", len(tokens), " ".join(tokens)
            )
    return positions, Ragged.joined(parts) if parts else Ragged.from_list([], encoder.dim)


def _try(encoder: Encoder, batch: Sequence[Sequence[str]]) -> Ragged | None:
    """Return the vectors, or None if memory ran out; the memory of the failed attempt is free again then."""
    try:
        return encoder.encode(batch)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        log.warning("out of memory for a batch of %d sentences", len(batch))
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
