"""What weight files may hold."""

import pytest
import torch

from featstore.encoders.weights import is_finite


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_neither_nan_nor_infinity(dtype: torch.dtype) -> None:
    tensor = torch.full((3, 5), torch.finfo(dtype).max, dtype=dtype)
    tensor[0] = -tensor[0]
    assert is_finite(tensor), "the sum would not be"
    assert is_finite(tensor[:0])
    for bad in (float("nan"), float("inf"), -float("inf")):
        worse = tensor.clone()
        worse[2, 4] = bad
        assert not is_finite(worse)
