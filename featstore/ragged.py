"""Ragged: vectors of many sentences in one matrix.

In: one array of rows and where each sentence begins. Out: a value that encoders return, stores keep
and the classifier reads, without a copy for each sentence and without padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Rows of n sentences, one below the other.

    Shape: ``values`` (sum T, D), float32 or float16; ``offsets`` (n + 1,), int64, from 0 to sum T.
    Sentence ``i`` is ``values[offsets[i]:offsets[i + 1]]``.

    Raises:
        ValueError: the two do not fit each other.
    """

    values: NDArray[np.floating]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.offsets.ndim != 1 or len(self.offsets) == 0:
            raise ValueError(
                f"Ragged wants a matrix and offsets, got shapes {self.values.shape} and {self.offsets.shape}."
            )
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.values) or (np.diff(self.offsets) < 0).any():
            raise ValueError("Ragged offsets must rise from 0 to the number of rows.")

    @classmethod
    def from_list(cls, parts: Sequence[NDArray[np.floating]], dim: int, dtype: str = "float32") -> Ragged:
        """Stack one (T, D) matrix a sentence; ``dim`` and ``dtype`` hold where there are none."""
        offsets = np.zeros(len(parts) + 1, dtype=np.int64)
        np.cumsum([len(p) for p in parts], out=offsets[1:])
        values = np.concatenate(parts) if parts else np.zeros((0, dim), dtype=dtype)
        return cls(values, offsets)

    @classmethod
    def joined(cls, parts: Sequence[Ragged]) -> Ragged:
        """Put the sentences of one or more parts, which have rows of one width and type, one below the other."""
        if len(parts) == 1:
            return parts[0]
        before = np.cumsum([0, *(len(part.values) for part in parts)])
        offsets = [part.offsets[1:] + first for part, first in zip(parts, before[:-1], strict=True)]
        return cls(np.concatenate([part.values for part in parts]), np.concatenate([before[:1], *offsets]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.floating]:
        """Return sentence ``index`` as a view of shape (T, D)."""
        if not 0 <= index < len(self):
            raise IndexError(f"sentence {index} of {len(self)}")
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self) -> Iterator[NDArray[np.floating]]:
        return (self[i] for i in range(len(self)))

    @property
    def dim(self) -> int:
        """D, the width of a row."""
        return int(self.values.shape[1])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sentence; shape (n,)."""
        return np.diff(self.offsets)
