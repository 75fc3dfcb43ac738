"""Stores that a released version wrote open for good.

``data/stores`` keeps one small store of each backend for each version of the format. They are never written anew;
a new version adds one of its own.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featstore.bundled import bundled
from featstore.fingerprint import fingerprint
from featstore.ragged import Ragged
from featstore.records import sentence_key
from featstore.stores import FeatureMeta, create_store, list_sets, open_store
from featstore.stores.maintenance.bundle import import_bundle
from featstore.stores.maintenance.verify import verify

SENTENCES = [["p53", "binds", "β-catenin", "."], ["Aspirin", "inhibits", "COX-2"], [], ["<gene>", "IL-6", "</gene>"]]
FACTS: dict[str, Any] = {"kind": "archive", "layers": [0, 1], "state": "reset"}


def rows(number: int) -> np.ndarray[Any, Any]:
    """The vectors of an archived sentence: six columns of eighths, exact in float16."""
    token = np.arange(len(SENTENCES[number]))[:, None]
    return ((number * 31 + token * 7 + np.arange(6) * 3) % 97 / 8).astype("float16")


def write(root: Path, backend: str) -> None:
    """What wrote the archives: two shards of two sentences each."""
    meta = FeatureMeta("archive", fingerprint(FACTS), 6, 2, "float16", backend, FACTS)
    store = create_store(root, meta)
    for numbers in ((0, 1), (2, 3)):
        store.append([sentence_key(SENTENCES[n]) for n in numbers], Ragged.from_list([rows(n) for n in numbers], 6))


def check(path: str) -> None:
    store = open_store(path, check=True)
    assert (store.meta.name, store.meta.dim, store.meta.layers, store.meta.dtype) == ("archive", 6, 2, "float16")
    assert store.meta.facts == FACTS
    order = [3, 0, 2, 1, 0]
    found = store.read([sentence_key(SENTENCES[n]) for n in order])
    for number, vectors in zip(order, found, strict=True):
        assert np.array_equal(vectors, rows(number))


@pytest.mark.parametrize("archive", ["hdf5-v1", "zarr-v1"])
def test_an_archived_store_opens(archive: str, tmp_path: Path) -> None:
    (info,) = list_sets(bundled("stores") / archive)
    assert (info.shards, info.sentences) == (2, 4)
    check(info.path)
    assert verify(info.path).damages == ()
    shutil.copytree(bundled("stores") / archive, tmp_path / "copy")
    write(tmp_path / "copy", info.meta.backend)  # today's writer finds nothing to add
    assert list_sets(tmp_path / "copy")[0].shards == 2


def test_an_archived_bundle_can_be_imported(tmp_path: Path) -> None:
    check(import_bundle(bundled("stores") / "bundle-v1.tar", tmp_path).path)


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_todays_stores_are_those_of_the_archive(backend: str, tmp_path: Path) -> None:
    """What is written now has the names and the set file of what was written then: the format did not move."""
    write(tmp_path, backend)
    now, then = Path(list_sets(tmp_path)[0].path), Path(list_sets(bundled("stores") / f"{backend}-v1")[0].path)
    assert now.name == then.name
    assert {p.name for p in (now / "shards").iterdir()} == {p.name for p in (then / "shards").iterdir()}
    assert (now / "set.json").read_bytes() == (then / "set.json").read_bytes()
