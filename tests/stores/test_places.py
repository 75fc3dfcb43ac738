"""Places where no store can be: every call of the library says so in an error of the project's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from featstore.errors import FeatstoreError, ResourceError, UsageError
from featstore.stores import create_store, list_sets, open_store
from featstore.stores.maintenance.bundle import export_bundle, import_bundle
from featstore.stores.maintenance.rewrite import convert
from featstore.stores.maintenance.usage import collect, usage
from featstore.stores.maintenance.views import make_view
from featstore.stores.pace import Pace, add_pace

Make = Callable[..., Any]


@pytest.fixture
def source(tmp_path: Path, make_meta: Make, make_batch: Make) -> str:
    """A feature set."""
    create_store(tmp_path / "features", make_meta("hdf5")).append(*make_batch(range(4)))
    return list_sets(tmp_path / "features")[0].path


@pytest.fixture(params=["file", "below a file", "long", "dangling", "circle"])
def wrong(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A place where no folder can be."""
    (tmp_path / "file").write_text("kept")
    (tmp_path / "dangling").symlink_to("nowhere/else")
    (tmp_path / "circle").symlink_to("circle")
    places = {"below a file": tmp_path / "file" / "deep" / "er", "long": tmp_path / ("n" * 300)}
    return places.get(request.param, tmp_path / str(request.param))


def test_what_writes_a_store(source: str, wrong: Path, tmp_path: Path, make_meta: Make) -> None:
    export_bundle(source, tmp_path / "b.tar")
    calls: list[Callable[[], object]] = [
        lambda: create_store(wrong, make_meta("hdf5")),
        lambda: convert(source, wrong, backend="zarr"),
        lambda: make_view(source, wrong, 2),
        lambda: import_bundle(tmp_path / "b.tar", wrong),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="name another place"):
            call()
    with pytest.raises((UsageError, ResourceError)):
        add_pace(wrong, Pace(1, 1.0))
    assert (tmp_path / "file").read_text() == "kept"


def test_what_reads_a_store(wrong: Path) -> None:
    for call in (list_sets, usage, collect):
        if wrong.name == "dangling":
            call(wrong)  # a store that nobody has written to
        else:
            with pytest.raises(UsageError, match="cannot be read"):
                call(wrong)
    with pytest.raises(FeatstoreError):
        open_store(wrong)


def test_bundles(source: str, wrong: Path, tmp_path: Path) -> None:
    for target in (tmp_path, tmp_path / "nowhere" / "b.tar", tmp_path / "file" / "b.tar", wrong):
        if target.name not in ("file", "dangling"):
            with pytest.raises(UsageError):
                export_bundle(source, target)
    for given in (tmp_path, wrong):
        with pytest.raises(FeatstoreError):
            import_bundle(given, tmp_path / "new")
    assert not (tmp_path / "new").exists()
