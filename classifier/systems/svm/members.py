"""The members of the ensemble: what each SVM reads, its kernel, and how it is fitted and applied.

In: instances in a space. Out: a machine, whose scores are those of scikit-learn's: one for each label, against all the
others. A machine is plain arrays: weights and biases of a linear SVM, support vectors and their coefficients of one
with a kernel.

Every member works on the same rows with weights of its own: a family of features or a part of the averaged vectors
counts with its weight, and a row that has all of them has length one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.svm import SVC, LinearSVC

from classifier.systems.svm.calibration import probabilities_of
from classifier.systems.svm.features import FAMILIES
from classifier.systems.svm.space import PARTS, Matrix, Space, SpaceRows

LINEAR, QUADRATIC, RBF = "linear", "quadratic", "rbf"
_CACHE_MB = 500
_AT_ONCE = 1024  # rows whose kernel is in memory
_STEPS = 20_000  # of LinearSVC; it ends long before on the corpora that were tried


@dataclass(frozen=True, slots=True)
class SvmMember:
    """What one SVM of the ensemble reads.

    Attributes:
        kernel: ``linear``, ``quadratic`` ((1 + x.y)^2 / 4), or ``rbf`` (exp(-gamma |x - y|^2)).
        weights: of each family and part that it reads; the others are not read.
        costs: the values of C to choose from; more than one costs a cross-validation each.
        gamma: of ``rbf``.
    """

    kernel: str
    weights: Mapping[str, float]
    costs: tuple[float, ...]
    gamma: float = 0.0


_TEXT = {"surface": 1.0, "lexical": 1.0, "pattern": 0.5, "distance": 0.3, "trigger": 0.5}
_VECTORS = {"head": 0.3, "tail": 0.5, "before": 0.15, "between": 0.2, "after": 0.15}
_MENTIONS = {"surface": 1.0, "head": 0.5, "tail": 1.0}
_CONTEXT = {"lexical": 1.0, "pattern": 0.7, "trigger": 0.7, "tail": 0.5, "between": 0.5, "sentence": 0.5}

MEMBERS: dict[str, SvmMember] = {
    "linear": SvmMember(LINEAR, {**_TEXT, **_VECTORS}, (0.3, 1.0)),
    "quadratic": SvmMember(QUADRATIC, {**_TEXT, **_VECTORS}, (3.0,)),
    "mentions": SvmMember(RBF, _MENTIONS, (2.0,), gamma=0.6),
    "context": SvmMember(QUADRATIC, _CONTEXT, (3.0,)),
}


@dataclass(frozen=True, slots=True, eq=False)
class LinearMachine:
    """A linear SVM for each label against the others.

    Attributes:
        weights: Shape: (machines, columns) float64.
        biases: Shape: (machines,) float64.
    """

    weights: Matrix
    biases: Matrix

    @property
    def size(self) -> int:
        """How many numbers were fitted."""
        return self.weights.size + self.biases.size

    def scores(self, member: SvmMember, rows: SpaceRows) -> Matrix:
        """Return the scores; Shape: (n, machines)."""
        inputs = weighted(member, rows)
        width = inputs.sparse.shape[1]
        scores: Matrix = inputs.sparse @ self.weights[:, :width].T + inputs.dense @ self.weights[:, width:].T
        return scores + self.biases


@dataclass(frozen=True, slots=True, eq=False)
class KernelMachine:
    """An SVM with a kernel for each label against the others.

    Attributes:
        support: the rows of ``vectors`` that are support vectors of any machine, rising. Shape: (s,) int64.
        vectors: the rows that the machines of all members share.
        coefficients: of each support vector in each machine. Shape: (machines, s) float64.
        biases: Shape: (machines,) float64.
    """

    support: NDArray[np.int64]
    vectors: SpaceRows
    coefficients: Matrix
    biases: Matrix

    @property
    def size(self) -> int:
        """How many numbers were fitted; the support vectors are given."""
        return self.coefficients.size + self.biases.size

    def scores(self, member: SvmMember, rows: SpaceRows) -> Matrix:
        """Return the scores; Shape: (n, machines)."""
        support = weighted(member, self.vectors.take(self.support))
        scores = np.zeros((len(rows), len(self.biases)))
        for start in range(0, len(rows), _AT_ONCE):
            some = np.arange(start, min(start + _AT_ONCE, len(rows)))
            kernel = kernel_of(member, weighted(member, rows.take(some)).products(support))
            scores[some] = kernel @ self.coefficients.T + self.biases
        return scores


Machine = LinearMachine | KernelMachine


@dataclass(frozen=True, slots=True, eq=False)
class FittedMember:
    """A member with its machine.

    Attributes:
        name: of the member in the table.
        member: what it reads.
        cost: the C that was chosen.
        machine: its SVMs.
        sigmoids: slope and bias of each. Shape: (machines, 2).
    """

    name: str
    member: SvmMember
    cost: float
    machine: Machine
    sigmoids: Matrix

    def probabilities(self, rows: SpaceRows) -> Matrix:
        """Return the probability of each label; Shape: (n, labels)."""
        return probabilities_of(self.machine.scores(self.member, rows), self.sigmoids)


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Rows as a member reads them; sparse and dense columns lie apart, since BLAS is fast on the dense ones.

    Attributes:
        sparse: of the families of features. Shape: (n, S) float64.
        dense: of the averaged vectors. Shape: (n, D) float64.
    """

    sparse: sparse.csr_matrix
    dense: Matrix

    def products(self, other: Inputs) -> Matrix:
        """Return the inner products with other rows; Shape: (n, m) float64."""
        products: Matrix = (self.sparse @ other.sparse.T).toarray() + self.dense @ other.dense.T
        return products

    def joined(self) -> sparse.csr_matrix:
        """Return all columns in one matrix, the sparse ones first."""
        return sparse.hstack([self.sparse, sparse.csr_matrix(self.dense)], format="csr")


def weighted(member: SvmMember, rows: SpaceRows) -> Inputs:
    """Return the rows as a member reads them; a row's length is at most 1."""
    total = np.sqrt(sum(weight**2 for weight in member.weights.values()))
    blocks = [sparse.csr_matrix((len(rows), 0))]
    for family, ones in zip(FAMILIES, rows.families, strict=True):
        if family in member.weights:
            counts = np.diff(ones.indptr)
            data = np.repeat(member.weights[family] / total / np.sqrt(np.maximum(counts, 1)), counts)
            blocks.append(sparse.csr_matrix((data, ones.indices, ones.indptr), shape=ones.shape))
    parts = [(number, member.weights[part] / total) for number, part in enumerate(PARTS) if part in member.weights]
    dense = [np.zeros((len(rows), 0)), *(rows.parts[:, number].astype(np.float64) * weight for number, weight in parts)]
    return Inputs(sparse.hstack(blocks, format="csr"), np.concatenate(dense, axis=1))


def columns_of(member: SvmMember, space: Space) -> int:
    """Return how many columns a member reads, in a space."""
    sparse_columns = sum(len(v) for f, v in zip(FAMILIES, space.vocabulary, strict=True) if f in member.weights)
    return sparse_columns + int(space.mean.shape[1]) * sum(part in member.weights for part in PARTS)


def kernel_of(member: SvmMember, products: Matrix) -> Matrix:
    """Return the kernel of rows from their inner products; the rows count as if all had length one."""
    if member.kernel == QUADRATIC:
        return (1 + products) ** 2 / 4
    if member.kernel == RBF:
        return np.exp(-2 * member.gamma * (1 - products))
    return products


def fit_machine(
    member: SvmMember,
    cost: float,
    rows: SpaceRows,
    gold: NDArray[np.int64],
    *,
    labels: int,
    seed: int,
    sample: NDArray[np.int64] | None = None,
) -> Machine:
    """Fit a member.

    Args:
        member: what it reads.
        cost: C of the SVMs.
        rows: the training instances.
        gold: their labels. Shape: (n,).
        sample: the places of those that a member with a kernel is fitted on; None for all. Shape: (s,).
        labels: how many labels there are; with two there is one machine, whose score is that of label 1.
        seed: of LinearSVC's order.
    """
    if member.kernel == LINEAR:
        columns = weighted(member, rows).joined()
        fits = [
            LinearSVC(C=cost, random_state=seed, max_iter=_STEPS).fit(columns, target)
            for target in _targets(gold, labels)
        ]
        return LinearMachine(
            np.concatenate([fit.coef_ for fit in fits]), np.concatenate([fit.intercept_ for fit in fits])
        )
    chosen = np.arange(len(rows)) if sample is None else sample
    inputs = weighted(member, rows.take(chosen))
    kernel = kernel_of(member, inputs.products(inputs))
    svms = [
        SVC(C=cost, kernel="precomputed", cache_size=_CACHE_MB).fit(kernel, target)
        for target in _targets(gold[chosen], labels)
    ]
    support = np.unique(np.concatenate([svm.support_ for svm in svms])).astype(np.int64)
    coefficients = np.zeros((len(svms), len(support)))
    for row, svm in zip(coefficients, svms, strict=True):
        row[np.searchsorted(support, svm.support_)] = svm.dual_coef_[0]
    biases = np.concatenate([svm.intercept_ for svm in svms])
    return KernelMachine(chosen[support], rows, coefficients, biases)


def _targets(gold: NDArray[np.int64], labels: int) -> list[NDArray[np.bool_]]:
    return [gold == label for label in range(labels)] if labels > 2 else [gold == 1]
