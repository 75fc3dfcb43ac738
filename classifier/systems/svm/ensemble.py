"""The fitted ensemble: instances to probabilities.

In: instances and their stored vectors. Out: the mean of the members' calibrated probabilities, with the scores of the
positive labels raised by one amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.systems.svm.files import Saved, read_files, write_files
from classifier.systems.svm.members import FittedMember
from classifier.systems.svm.space import Matrix, Space, describe
from featstore.records import Instance
from featstore.stores import FeatureStore

_AT_ONCE = 4096  # instances that are in memory as rows


@dataclass(frozen=True, slots=True, eq=False)
class SvmEnsemble:
    """The fitted system; see :class:`classifier.systems.contract.FittedSystem`.

    Attributes:
        features: the stored features that it reads, as ``--features`` spells them.
        labels: all labels.
        space: the columns of its rows.
        members: the SVMs.
        shifts: what is added to the logarithm of each label's probability. Shape: (labels,).
    """

    features: str
    labels: tuple[str, ...]
    space: Space
    members: tuple[FittedMember, ...]
    shifts: Matrix

    @property
    def parameters(self) -> int:
        """How many numbers were fitted: weights, coefficients of support vectors, biases, sigmoids and shifts."""
        fitted = [member.machine.size + member.sigmoids.size for member in self.members]
        return sum(fitted) + self.shifts.size

    def probabilities(self, instances: Sequence[Instance], stores: Sequence[FeatureStore], /) -> NDArray[np.float32]:
        """Return the probability of each label for each instance; Shape: (n, labels)."""
        found = np.zeros((len(instances), len(self.labels)), dtype=np.float32)
        for start in range(0, len(instances), _AT_ONCE):
            some = instances[start : start + _AT_ONCE]
            rows = self.space.rows(describe(some, self.features, stores))
            each = np.stack([member.probabilities(rows) for member in self.members])
            found[start : start + len(some)] = combined(each, self.shifts)
        return found

    def save(self, folder: Path) -> None:
        """Write the ensemble; see :mod:`classifier.systems.svm.files`."""
        write_files(folder, Saved(self.space, self.members, self.shifts))

    @classmethod
    def load(cls, folder: Path, features: str, labels: tuple[str, ...]) -> SvmEnsemble:
        """Read what :meth:`save` wrote.

        Args:
            folder: where it is.
            features: the stored features that the ensemble reads.
            labels: all labels.

        Raises:
            DataError: it is not as it was written.
        """
        saved = read_files(folder, len(labels))
        return cls(features, labels, saved.space, saved.members, saved.shifts)


def combined(probabilities: Matrix, shifts: Matrix) -> Matrix:
    """Return the mean of the members, each shifted and scaled to sum to one.

    This is what :func:`classifier.training.favour.best_shift` chooses the shift for.

    Shape: (members, n, labels) -> (n, labels).
    """
    shifted = probabilities * np.exp(shifts)
    mean: Matrix = (shifted / shifted.sum(2, keepdims=True)).mean(0)
    return mean
