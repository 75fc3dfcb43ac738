"""Any sequence of operations on a file store is what the same sequence is on the oracle, the store in memory."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from featstore.errors import MissingFeatureError
from featstore.ragged import Ragged
from featstore.stores import catalogue, create_store, list_sets, open_store
from featstore.stores.maintenance.bundle import export_bundle, import_bundle
from featstore.stores.maintenance.rewrite import compact
from featstore.stores.maintenance.verify import verify

SENTENCES = 12
SHARED_MEMORY = Path("/dev/shm")

numbers = st.lists(st.integers(0, SENTENCES - 1), max_size=8)


def machine(backend: str, make_batch: Any, make_meta: Any) -> type[RuleBasedStateMachine]:
    """Return the machine that compares a backend with the oracle."""

    class Comparison(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.root = tempfile.mkdtemp(dir=SHARED_MEMORY if SHARED_MEMORY.exists() else None)
            self.meta = make_meta(backend, dim=3)
            self.oracle = create_store(self.root, make_meta("memory", dim=3))
            self.store = create_store(self.root, self.meta)
            self.other = open_store(list_sets(self.root)[0].path)

        def teardown(self) -> None:
            shutil.rmtree(self.root)

        @rule(numbers=numbers, shift=st.sampled_from([0.0, 1.0]))
        def append(self, numbers: list[int], shift: float) -> None:
            keys, vectors = make_batch(numbers, dim=3)
            vectors = Ragged((vectors.values + shift).astype("float16"), vectors.offsets)
            self.oracle.append(keys, vectors)
            self.store.append(keys, vectors)

        @rule(numbers=numbers)
        def append_elsewhere(self, numbers: list[int]) -> None:
            """Another process stores sentences that nobody has."""
            self.other.refresh()
            keys, vectors = make_batch([n for n in numbers if self.oracle.missing(make_batch([n])[0])], dim=3)
            self.oracle.append(keys, vectors)
            self.other.append(keys, vectors)
            self.store.refresh()

        @rule(numbers=numbers)
        def read(self, numbers: list[int]) -> None:
            keys, _ = make_batch(numbers, dim=3)
            try:
                expected = self.oracle.read(keys)
            except MissingFeatureError:
                with pytest.raises(MissingFeatureError):
                    self.store.read(keys)
                return
            found = self.store.read(keys)
            assert np.array_equal(found.values, expected.values)
            assert np.array_equal(found.offsets, expected.offsets)
            assert found.values.dtype == expected.values.dtype

        @rule(numbers=numbers)
        def missing(self, numbers: list[int]) -> None:
            keys, _ = make_batch(numbers, dim=3)
            assert self.store.missing(keys) == self.oracle.missing(keys)

        @rule(check=st.booleans())
        def open_again(self, check: bool) -> None:
            self.store.close()
            self.store = open_store(list_sets(self.root)[0].path, check=check)

        @rule()
        def close(self) -> None:
            self.store.close()

        @rule(size=st.sampled_from([1, 200, 10_000]))
        def compact(self, size: int) -> None:
            compact(list_sets(self.root)[0].path, target_bytes=size)

        @rule()
        def carry_over(self) -> None:
            """Export everything and go on with what was imported elsewhere."""
            bundle = Path(self.root, "bundle.tar")
            export_bundle(list_sets(self.root)[0].path, bundle)
            fresh = tempfile.mkdtemp(dir=self.root)
            path = import_bundle(bundle, fresh).path
            imported = open_store(path, check=True)
            assert sorted(imported.keys()) == sorted(self.oracle.keys())

        @invariant()
        def same_keys(self) -> None:
            assert sorted(self.store.keys()) == sorted(self.oracle.keys())

        @rule()
        def sound(self) -> None:
            found = verify(list_sets(self.root)[0].path)
            assert (found.damages, found.leftovers) == ((), ())

    return Comparison


@pytest.mark.parametrize(("backend", "least"), [("hdf5", catalogue.LEAST), ("zarr", 4)])
def test_a_file_store_is_as_the_oracle(
    backend: str, least: int, make_batch: Any, make_meta: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them has a key index as soon as it holds four sentences."""
    monkeypatch.setattr(catalogue, "LEAST", least)
    run_state_machine_as_test(
        machine(backend, make_batch, make_meta),
        settings=settings(max_examples=15, stateful_step_count=25, deadline=None),
    )
