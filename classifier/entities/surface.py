"""What a token looks like, as numbers of a hashed table: for names that no encoder has read.

In: a token. Out: the rows of a learned table that are its spelling, its beginning, its end and its shape. A table of
hashes needs no vocabulary (Weinberger et al. 2009), so that any text has an answer. The hash is CRC-32, the same on
every machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

ROWS = 1 << 14
KINDS = 7  # numbers that a token has, see below
_RUNS = re.compile(r"(.)\1+")


def surface_of(tokens: Iterable[str]) -> NDArray[np.int64]:
    """Return the numbers of each token's looks; Shape: (n, KINDS), from 0 to ROWS - 1."""
    found = [_numbers(token) for token in tokens]
    return np.array(found, dtype=np.int64).reshape(-1, KINDS)


@lru_cache(maxsize=1 << 16)
def _numbers(token: str) -> tuple[int, ...]:
    lower, shape = token.lower(), _shape(token)
    looks = (lower, lower[:3], lower[-2:], lower[-3:], lower[-4:], shape, _RUNS.sub(r"\1", shape))
    return tuple(crc32(f"{kind} {look}".encode("utf-8", "surrogatepass")) % ROWS for kind, look in enumerate(looks))


def _shape(token: str) -> str:
    """Return a token with a letter for each kind of character: ``COX`` is ``XXX``, ``p53`` is ``xdd``."""
    signs = ("X" if c.isupper() else "x" if c.islower() else "d" if c.isdigit() else c for c in token[:12])
    return "".join(signs)
