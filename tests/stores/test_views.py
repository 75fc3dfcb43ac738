"""Views: the projection, what it keeps, and that it can be made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featstore.errors import DataError, UsageError
from featstore.ragged import Ragged
from featstore.stores import FeatureMeta, create_store, find_sets, open_store
from featstore.stores.maintenance.views import make_view

DIM, LAYERS = 12, 2


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., str]:
    """Return a maker of sets of two shards whose rows vary, but for noise, in three directions a layer."""

    def make(dtype: str = "float32", count: int = 40) -> str:
        meta = FeatureMeta("toy", "ab" * 32, DIM * LAYERS, LAYERS, dtype, "hdf5")
        store = create_store(tmp_path / "store", meta)
        rng = np.random.default_rng(3)
        directions = rng.standard_normal((LAYERS, 3, DIM))
        for shard in range(2):
            rows = np.einsum("rlk,lkd->rld", rng.standard_normal((5 * count, LAYERS, 3)), directions)
            rows += 0.01 * rng.standard_normal(rows.shape) + 7
            keys = [bytes([shard, n]) + bytes(14) for n in range(count)]
            values = rows.reshape(-1, DIM * LAYERS).astype(dtype)
            if count:
                store.append(keys, Ragged(values, np.arange(count + 1) * 5))
        store.close()
        return str(find_sets(tmp_path / "store", "toy")[0].path)

    return make


def read(path: str) -> tuple[list[bytes], Any]:
    store = open_store(path)
    keys = sorted(store.keys())
    return keys, store.read(keys)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_components_hold_what_the_rows_held(source: Callable[..., str], tmp_path: Path, dtype: str) -> None:
    path = source(dtype)
    planned = make_view(path, tmp_path / "store", 3, dry_run=True)
    assert not find_sets(tmp_path / "store", "toy-pca3")
    view = make_view(path, tmp_path / "store", 3)
    assert view == planned
    assert (view.name, view.columns, view.sentences) == ("toy-pca3", (24, 6), 80)
    assert view.variance > 0.99
    keys, vectors = read(view.target)
    source_keys, rows = read(path)
    assert keys == source_keys
    assert vectors.offsets.tolist() == rows.offsets.tolist()
    assert vectors.values.dtype == dtype
    for layer in range(LAYERS):
        x = rows.values[:, layer * DIM : (layer + 1) * DIM].astype(np.float64)
        y = vectors.values[:, layer * 3 : (layer + 1) * 3].astype(np.float64)
        standard = (x - x.mean(0)) / x.std(0)
        rebuilt = y @ np.linalg.lstsq(y, standard, rcond=None)[0]
        assert np.square(rebuilt - standard).mean() < 0.01
        variances = y.var(0)
        assert (np.diff(variances) < 0).all()


def test_random_directions_keep_distances_about(source: Callable[..., str], tmp_path: Path) -> None:
    view = make_view(source(), tmp_path / "store", 11, method="random")
    assert view.name == "toy-random11"
    assert 0.3 < view.variance < 3
    _, vectors = read(view.target)
    assert np.linalg.matrix_rank(vectors.values[:, :11] - vectors.values[:, :11].mean(0), tol=1) == 3


def test_made_again_it_is_the_same_and_of_more_rows_another(source: Callable[..., str], tmp_path: Path) -> None:
    path = source()
    first = make_view(path, tmp_path / "store", 3)
    assert make_view(path, tmp_path / "store", 3) == first
    store = open_store(path)
    create_store(tmp_path / "store", store.meta).append(
        [b"n" * 16], Ragged(np.full((2, 24), 3, "float32"), np.array([0, 2]))
    )
    assert make_view(path, tmp_path / "store", 3).target != first.target


def test_what_makes_no_view(source: Callable[..., str], tmp_path: Path) -> None:
    path = source()
    for dims in (0, 12):
        with pytest.raises(UsageError, match=f"{dims} columns were asked for, a layer of toy has 12; take 1 to 11"):
            make_view(path, tmp_path / "store", dims)
    with pytest.raises(UsageError, match="Did you mean 'pca'"):
        make_view(path, tmp_path / "store", 3, method="pac")
    create_store(tmp_path / "empty", FeatureMeta("toy", "ab" * 32, 4, 1, "float32", "hdf5")).close()
    with pytest.raises(DataError, match="holds no vectors"):
        make_view(find_sets(tmp_path / "empty", "toy")[0].path, tmp_path / "empty", 2)
