"""Views: a feature set's vectors in fewer columns, made once and stored as a set of their own.

In: a feature set. Out: a set ``NAME-pcaK`` or ``NAME-randomK`` whose rows are the standardised rows times a matrix of K
columns, layer by layer: the first K principal components of all rows, or random directions (Johnson and Lindenstrauss
1984). A view is named in ``--features`` like any set, takes as much less space, memory and time as it has fewer
columns, and has an identity of its own: source, method, width and the matrix itself. A view depends on the rows of its
source. If it is made again after the source has grown, it is another view. A view cannot encode new text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DataError, UsageError, check_choice
from featstore.fingerprint import fingerprint
from featstore.progress import Progress
from featstore.ragged import Ragged
from featstore.stores.access import create_store
from featstore.stores.contract import FeatureMeta
from featstore.stores.layout import ShardIndex
from featstore.stores.places import join
from featstore.stores.sets import check_meta, directory_name, open_files
from featstore.stores.shards import ShardFiles

METHODS = ("pca", "random")
VIEW = "view"  # the kind among a set's facts


@dataclass(frozen=True, slots=True)
class View:
    """What :func:`make_view` wrote, or would write.

    Attributes:
        source: the feature set that was read.
        target: the view.
        name: what ``--features`` calls it.
        columns: of the source and of the view.
        sentences: in it.
        variance: share of the standardised columns' variance that the view keeps; for random directions the share
            that is to be expected.
    """

    source: str
    target: str
    name: str
    columns: tuple[int, int]
    sentences: int
    variance: float


def make_view(
    path: str | Path,
    root: str | Path,
    dims: int,
    *,
    method: str = "pca",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> View:
    """Store a feature set's vectors in ``dims`` columns a layer.

    Args:
        path: the set to read.
        root: the store to write to.
        dims: columns of each layer, fewer than the source's.
        method: ``pca`` or ``random``.
        dry_run: only say what would be written.
        progress: called with (shards done, shards to do); fitting counts every shard once, writing again.

    Raises:
        UsageError: an unknown method, or not fewer columns.
        DataError: the set is empty.
        DamagedStoreError: the set is not what was written.
    """
    files = open_files(path)
    names = list(files.sizes())
    todo = len(names) * (1 if dry_run else 2)
    projection = fit(files, dims, method, progress=lambda done, _: progress(done, todo) if progress else None)
    target = join(str(root), directory_name(projection.meta))
    if not dry_run:
        store = create_store(root, projection.meta)
        for done, (index, values) in enumerate(_shards(files, names)):
            keys = [key.tobytes() for key in index.keys]
            if store.missing(keys):
                store.append(keys, Ragged(projection.apply(values), index.offsets))
            if progress:
                progress(len(names) + done + 1, todo)
        store.close()
    columns = files.meta.dim, projection.meta.dim
    return View(str(path), target, projection.meta.name, columns, projection.sentences, projection.variance)


def fit(files: ShardFiles, dims: int, method: str, *, progress: Progress | None = None) -> Projection:
    """Return the projection to ``dims`` columns a layer that the rows of a feature set call for.

    Raises:
        UsageError, DataError, DamagedStoreError: see :func:`make_view`.
    """
    check_choice("method", method, METHODS)
    width = files.meta.dim // files.meta.layers
    if not 1 <= dims < width:
        raise UsageError(
            f"{dims} columns were asked for, a layer of {files.meta.name} has {width}; take 1 to {width - 1}."
        )
    names, sentences = list(files.sizes()), 0
    moments = _Moments(files.meta.layers, width)
    for done, (index, values) in enumerate(_shards(files, names)):
        moments.add(values)
        sentences += len(index)
        if progress:
            progress(done + 1, len(names))
    if not moments.count:
        raise DataError(f"{files.place.location} holds no vectors; featurize first.")
    correlation = moments.correlation()
    basis = _principal(correlation, dims) if method == "pca" else _random(files.meta, dims)
    kept = float(np.einsum("lik,lij,ljk->", basis, correlation, basis) / np.trace(correlation, axis1=1, axis2=2).sum())
    matrix = basis / moments.deviation()[:, :, None]
    return Projection(_view_meta(files.meta, method, dims, matrix), matrix, moments, sentences, kept)


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """How the rows of a feature set become those of a view.

    Attributes:
        meta: the facts of the view.
        matrix: by which the centred rows are multiplied. Shape: (layers, D, dims).
        moments: of the source's rows.
        sentences: of the source.
        variance: share of the standardised columns' variance that the view keeps.
    """

    meta: FeatureMeta
    matrix: NDArray[np.float64]
    moments: _Moments
    sentences: int
    variance: float

    def apply(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return rows of the view; Shape: (R, layers * D) -> (R, layers * dims)."""
        rows = self.moments.centred(values).transpose(1, 0, 2) @ self.matrix
        projected: NDArray[np.floating] = np.concatenate(rows, axis=1).astype(self.meta.dtype)
        return projected


def _shards(files: ShardFiles, names: list[str]) -> Iterator[tuple[ShardIndex, NDArray[np.floating]]]:
    for name in names:
        index = files.load_index(name)
        yield index, files.load_checked(name, index)


class _Moments:
    """Count, mean and covariance of rows, layer by layer, added up shard by shard."""

    def __init__(self, layers: int, width: int) -> None:
        self.count = 0
        self._sum = np.zeros((layers, width))
        self._products = np.zeros((layers, width, width))

    def add(self, values: NDArray[np.floating]) -> None:
        """Take in rows; Shape: (R, layers * D)."""
        rows = values.reshape(len(values), *self._sum.shape).astype(np.float64)
        self.count += len(rows)
        self._sum += rows.sum(0)
        for layer, products in enumerate(self._products):
            products += rows[:, layer].T @ rows[:, layer]

    def centred(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return rows less the mean; Shape: (R, layers * D) -> (R, layers, D)."""
        centred: NDArray[np.float64] = values.reshape(len(values), *self._sum.shape) - self._sum / self.count
        return centred

    def deviation(self) -> NDArray[np.float64]:
        """Return each column's standard deviation, 1 where it is 0; Shape: (layers, D)."""
        variance = np.diagonal(self._covariance(), axis1=1, axis2=2)
        return np.sqrt(np.where(variance > 1e-12, variance, 1.0))

    def correlation(self) -> NDArray[np.float64]:
        """Return the covariance of the standardised columns; Shape: (layers, D, D)."""
        deviation = self.deviation()
        return self._covariance() / (deviation[:, :, None] * deviation[:, None, :])

    def _covariance(self) -> NDArray[np.float64]:
        mean = self._sum / self.count
        return self._products / self.count - mean[:, :, None] * mean[:, None, :]


def _principal(correlation: NDArray[np.float64], dims: int) -> NDArray[np.float64]:
    """Return the eigenvectors of the largest eigenvalues; Shape: (layers, D, D) -> (layers, D, dims)."""
    vectors = np.linalg.eigh(correlation)[1][:, :, ::-1][:, :, :dims]
    # The sign of an eigenvector is free; the largest element is made positive, so that a view can be made again.
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(1, keepdims=True), axis=1)
    signed: NDArray[np.float64] = vectors * np.sign(largest)
    return signed


def _random(meta: FeatureMeta, dims: int) -> NDArray[np.float64]:
    """Return random directions that the source's identity determines; Shape: (layers, D, dims)."""
    rng = np.random.default_rng(int(meta.identity[:16], 16))
    width = meta.dim // meta.layers
    directions: NDArray[np.float64] = rng.standard_normal((meta.layers, width, dims)) / np.sqrt(width)
    return directions


def _view_meta(source: FeatureMeta, method: str, dims: int, matrix: NDArray[np.float64]) -> FeatureMeta:
    facts = {
        "kind": VIEW,
        "source": source.identity,
        "source_dtype": source.dtype,
        "method": method,
        "dims": dims,
        # Sums differ in their last digits from machine to machine; what float32 keeps of them is what counts.
        "matrix": hashlib.sha256(np.ascontiguousarray(matrix, dtype="<f4").tobytes()).hexdigest(),
    }
    name = f"{source.name}-{method}{dims}"
    return check_meta(replace(source, name=name, identity=fingerprint(facts), dim=dims * source.layers, facts=facts))
