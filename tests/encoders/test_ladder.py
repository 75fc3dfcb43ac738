"""The ladder down from batches that do not fit, with an encoder whose memory is scripted."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import torch

from featstore.encoders.ladder import encode_what_fits
from featstore.ragged import Ragged


class Scripted:
    """Encodes each token as its length; more than ``room`` tokens in one call do not fit."""

    name, dim, layers, shares_text, identity = "scripted", 1, 1, False, "0" * 64
    facts: Mapping[str, object] = {}

    def __init__(self, room: int, error: Callable[[], Exception]) -> None:
        self.room, self.error, self.calls = room, error, 0

    def encode(self, batch: Sequence[Sequence[str]]) -> Ragged:
        self.calls += 1
        if sum(map(len, batch)) > self.room:
            raise self.error()
        return Ragged.from_list(
            [np.array([[len(t)] for t in tokens], np.float32).reshape(-1, 1) for tokens in batch], 1
        )


ERRORS = [MemoryError, lambda: torch.OutOfMemoryError("CUDA"), lambda: RuntimeError("DefaultCPUAllocator: no")]
BATCH = [["a", "bb"], ["ccc"] * 9, ["dddd"], [], ["e"] * 3, ["ff"]]


@pytest.mark.parametrize("error", ERRORS)
def test_what_fits_is_encoded_in_order_and_the_rest_is_left_out(error: Callable[[], Exception]) -> None:
    positions, vectors = encode_what_fits(Scripted(4, error), BATCH)
    assert positions == [0, 2, 3, 4, 5]
    assert [v[:, 0].tolist() for v in vectors] == [[1, 2], [4], [], [1, 1, 1], [2]]


def test_a_batch_that_fits_is_one_call() -> None:
    encoder = Scripted(100, MemoryError)
    assert encode_what_fits(encoder, BATCH)[0] == list(range(6))
    assert encoder.calls == 1


def test_nothing_fits() -> None:
    positions, vectors = encode_what_fits(Scripted(-1, MemoryError), BATCH)
    assert (positions, len(vectors), vectors.dim) == ([], 0, 1)


def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        encode_what_fits(Scripted(0, lambda: RuntimeError("a bug")), BATCH)
