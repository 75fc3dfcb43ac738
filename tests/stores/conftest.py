"""Vectors and feature sets that the tests of the stores share."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from featstore.fingerprint import fingerprint
from featstore.ragged import Ragged
from featstore.stores import FeatureMeta

Batch = tuple[list[bytes], Ragged]


SHARED_MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory where there is one: what these tests would mostly wait for is the disk's fsync."""
    memory = str(SHARED_MEMORY) if os.access(SHARED_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="featstore-test-", dir=memory) as folder:
        yield Path(folder)


def _key(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., Batch]:
    """Return a function that makes the vectors of sentences named by numbers: a number always gives the same."""

    def make(numbers: range | list[int], dim: int = 8, dtype: str = "float16") -> Batch:
        parts = []
        for number in numbers:
            draw = np.random.default_rng(number)
            parts.append(draw.standard_normal((int(draw.integers(1, 9)), dim)).astype(dtype))
        return [_key(n) for n in numbers], Ragged.from_list(parts, dim, dtype)

    return make


@pytest.fixture(scope="session")
def make_meta() -> Callable[..., FeatureMeta]:
    """Return a function that makes the facts of a feature set; facts differ as its arguments differ."""

    def make(backend: str, dtype: str = "float16", dim: int = 8, name: str = "toy", **facts: object) -> FeatureMeta:
        declared = {"kind": name, "dim": dim, **facts}
        return FeatureMeta(name, fingerprint(declared), dim, 1, dtype, backend, declared)

    return make
