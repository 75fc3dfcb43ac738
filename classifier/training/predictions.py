"""The predictions of a model for some instances: what scores, files of a run and extraction read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The predictions of a head for some instances, in the order in which they were given.

    Attributes:
        probabilities: of each label. Shape: (n, labels) float32, rows sum to 1.
        attention: weight of each step of an instance's layout, summing to 1. Shape: n arrays (T_i,) float32.
    """

    probabilities: NDArray[np.float32]
    attention: tuple[NDArray[np.float32], ...]

    @property
    def labels(self) -> NDArray[np.int64]:
        """The number of the most likely label; Shape: (n,)."""
        likeliest: NDArray[np.int64] = self.probabilities.argmax(1)
        return likeliest
