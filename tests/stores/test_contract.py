"""What every backend must do, stated once; each backend inherits all of it."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

import featstore.stores
from featstore.errors import DataError, MismatchError, MissingFeatureError, MissingFileError, UsageError
from featstore.ragged import Ragged
from featstore.stores import FeatureMeta, FeatureStore, catalogue, create_store, find_sets, list_sets, open_store

Make = Callable[..., Any]


def equal(left: Ragged, right: Ragged) -> bool:
    return (
        np.array_equal(left.offsets, right.offsets)
        and left.values.dtype == right.values.dtype
        and np.array_equal(left.values, right.values)
    )


class StoreContract:
    """The contract; a subclass names its backend."""

    backend = ""

    @pytest.fixture
    def root(self, tmp_path: Path) -> str:
        return str(tmp_path / "features")

    @pytest.fixture
    def store(self, root: str, make_meta: Make) -> FeatureStore:
        return create_store(root, make_meta(self.backend))

    def test_meta_is_what_was_given(self, store: FeatureStore, make_meta: Make) -> None:
        assert store.meta == make_meta(self.backend)

    def test_a_new_set_is_empty(self, store: FeatureStore, make_batch: Make) -> None:
        keys, _ = make_batch(range(3))
        assert list(store.keys()) == []
        assert store.missing(keys) == keys
        assert len(store.read([])) == 0
        assert store.read([]).values.shape == (0, 8)

    def test_vectors_come_back_in_the_order_asked(self, store: FeatureStore, make_batch: Make) -> None:
        for first in (0, 20, 40):
            store.append(*make_batch(range(first, first + 20)))
        order = [*np.random.default_rng(1).permutation(60).tolist(), 7, 7, 59, 0]  # repeats are allowed
        keys, expected = make_batch(order)
        assert equal(store.read(keys), expected)

    def test_a_full_scan_gives_everything(self, store: FeatureStore, make_batch: Make) -> None:
        store.append(*make_batch(range(50)))
        keys, expected = make_batch(range(50))
        assert equal(store.read(keys), expected)
        assert sorted(store.keys()) == sorted(keys)

    def test_missing_is_distinct_and_in_order(self, store: FeatureStore, make_batch: Make) -> None:
        store.append(*make_batch(range(5)))
        keys, _ = make_batch([9, 3, 8, 9, 0, 8])
        assert store.missing(keys) == [keys[0], keys[2]]

    def test_what_is_not_stored_is_an_error_that_says_how_to_make_it(
        self, store: FeatureStore, make_batch: Make
    ) -> None:
        store.append(*make_batch(range(5)))
        with pytest.raises(MissingFeatureError, match=r"2 of 3 sentences.*featurize their corpus again"):
            store.read(make_batch([1, 8, 9])[0])

    def test_a_key_keeps_the_vectors_that_came_first(self, store: FeatureStore, make_batch: Make) -> None:
        keys, first = make_batch(range(4))
        store.append(keys, first)
        store.append(keys, Ragged(first.values + np.float16(1), first.offsets))
        more, expected = make_batch([2, 9, 1])
        store.append(more, Ragged(expected.values, expected.offsets))
        assert equal(store.read(keys), first)
        assert equal(store.read(more), expected)
        assert len(list(store.keys())) == 5

    def test_a_key_twice_in_one_call_is_stored_once(self, store: FeatureStore, make_batch: Make) -> None:
        keys, vectors = make_batch([1, 2, 1, 3])
        store.append(keys, vectors)
        assert len(list(store.keys())) == 3
        assert equal(store.read(keys), vectors)

    def test_a_key_with_two_lengths_is_refused(self, store: FeatureStore, make_batch: Make) -> None:
        (key,), one = make_batch([1])
        two = np.concatenate([one.values, one.values])
        both = Ragged.from_list([one.values, two], 8)
        with pytest.raises(DataError, match=f"{key.hex()} was given twice"):
            store.append([key, key], both)
        assert list(store.keys()) == []

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_values_that_are_not_finite_are_refused(self, store: FeatureStore, make_batch: Make, bad: float) -> None:
        keys, vectors = make_batch(range(6))
        vectors.values[vectors.offsets[4], 3] = bad
        with pytest.raises(DataError, match=f"token 0 of sentence 4 of 6 .*{keys[4].hex()}"):
            store.append(keys, vectors)
        assert store.missing(keys) == keys

    def test_what_float16_cannot_hold_is_refused(self, store: FeatureStore, make_batch: Make) -> None:
        keys, vectors = make_batch(range(2), dtype="float32")
        vectors.values[0, 0] = 70000
        with pytest.raises(DataError, match=r"70000.*--dtype float32"):
            store.append(keys, vectors)
        assert list(store.keys()) == []

    def test_float32_vectors_are_rounded_into_a_float16_set(self, store: FeatureStore, make_batch: Make) -> None:
        keys, vectors = make_batch(range(3), dtype="float32")
        store.append(keys, vectors)
        assert equal(store.read(keys), Ragged(vectors.values.astype("float16"), vectors.offsets))

    def test_a_float32_set_is_exact(self, root: str, make_meta: Make, make_batch: Make) -> None:
        store = create_store(root, make_meta(self.backend, dtype="float32"))
        keys, vectors = make_batch(range(3), dtype="float32")
        store.append(keys, vectors)
        assert equal(store.read(keys), vectors)

    def test_rows_of_another_width_are_refused(self, store: FeatureStore, make_batch: Make) -> None:
        with pytest.raises(MismatchError, match=r"7 columns.*have 8"):
            store.append(*make_batch(range(2), dim=7))

    def test_keys_and_vectors_must_be_as_many(self, store: FeatureStore, make_batch: Make) -> None:
        keys, vectors = make_batch(range(3))
        with pytest.raises(UsageError, match=r"2 keys.*3 sentences"):
            store.append(keys[:2], vectors)

    def test_a_sentence_of_no_tokens_has_no_rows(self, store: FeatureStore, make_batch: Make) -> None:
        (key, *others), vectors = make_batch(range(3))
        empty = Ragged.from_list([vectors[0][:0], vectors[1], vectors[2]], 8)
        store.append([key, *others], empty)
        assert equal(store.read([key, *others]), empty)
        nothing = b"\0" * 16
        store.append([nothing], Ragged.from_list([vectors[0][:0]], 8))
        assert store.read([nothing, key]).values.shape == (0, 8)

    def test_appending_nothing_is_nothing(self, store: FeatureStore) -> None:
        store.append([], Ragged.from_list([], 8, "float16"))
        assert list(store.keys()) == []

    def test_what_was_read_is_the_callers_own(self, store: FeatureStore, make_batch: Make) -> None:
        keys, vectors = make_batch(range(3))
        store.append(keys, vectors)
        store.read(keys).values[:] = 0
        assert equal(store.read(keys), vectors)

    def test_shards_of_tells_what_is_read_together(self, store: FeatureStore, make_batch: Make) -> None:
        keys, _ = make_batch(range(9))
        for part in (range(3), range(3, 6)):
            store.append(*make_batch(part))
        shards = store.shards_of([*keys[5:], *keys[:5]])
        assert shards[1:4].tolist() == [-1] * 3
        assert shards[[0]].tolist() == shards[[7]].tolist()
        assert len(set(shards[4:7].tolist())) == 1

    def test_close_can_be_called_twice(self, store: FeatureStore, make_batch: Make) -> None:
        store.append(*make_batch(range(3)))
        store.close()
        store.close()


class DurableContract(StoreContract):
    """What backends that outlive a process must do besides."""

    def test_a_set_can_be_opened_again(self, root: str, store: FeatureStore, make_batch: Make) -> None:
        keys, vectors = make_batch(range(30))
        store.append(*make_batch(range(15)))
        store.append(*make_batch(range(15, 30)))
        store.close()
        (info,) = list_sets(root)
        assert (info.shards, info.sentences) == (2, 30)
        again = open_store(info.path, check=True)
        assert len(set(again.shards_of(keys[:15]).tolist())) == len(set(again.shards_of(keys[15:]).tolist())) == 1
        assert len(set(again.shards_of(keys).tolist())) == 2
        assert again.meta == store.meta
        assert equal(again.read(keys), vectors)

    def test_others_see_new_shards_after_refresh(self, root: str, store: FeatureStore, make_batch: Make) -> None:
        other = open_store(list_sets(root)[0].path)
        keys, vectors = make_batch(range(5))
        store.append(keys, vectors)
        assert other.missing(keys) == keys
        other.refresh()
        assert equal(other.read(keys), vectors)

    def test_two_writers_of_the_same_keys_do_no_harm(self, root: str, make_meta: Make, make_batch: Make) -> None:
        one, two = (create_store(root, make_meta(self.backend)) for _ in range(2))
        one.append(*make_batch(range(10)))
        two.append(*make_batch(range(5, 15)))  # has not seen the shard of the first
        two.append(*make_batch(range(10)))
        one.append(*make_batch(range(10)))
        again = create_store(root, make_meta(self.backend))
        keys, vectors = make_batch(range(15))
        assert sorted(again.keys()) == sorted(keys)
        assert equal(again.read(keys), vectors)

    def test_the_same_batch_by_two_writers_is_one_shard(self, root: str, make_meta: Make, make_batch: Make) -> None:
        one, two = (create_store(root, make_meta(self.backend)) for _ in range(2))
        one.append(*make_batch(range(10)))
        two.append(*make_batch(range(10)))
        (info,) = list_sets(root)
        assert (info.shards, info.sentences) == (1, 10)
        keys, vectors = make_batch(range(10))
        assert equal(two.read(keys), vectors)

    def test_other_facts_are_another_set(self, root: str, make_meta: Make, make_batch: Make) -> None:
        keys, vectors = make_batch(range(3))
        create_store(root, make_meta(self.backend, revision=1)).append(keys, vectors)
        assert create_store(root, make_meta(self.backend, revision=2)).missing(keys) == keys
        sets = find_sets(root, "toy")
        assert len(sets) == 2
        chosen = find_sets(root, f"toy@{sets[1].meta.identity[:10]}")
        assert [s.meta for s in chosen] == [sets[1].meta]
        assert find_sets(root, "to") == []

    def test_a_place_that_is_no_set(self, root: str) -> None:
        assert list_sets(root) == []
        with pytest.raises(MissingFileError, match="not a feature set"):
            open_store(root)


class TestMemory(StoreContract):
    backend = "memory"


class TestHdf5(DurableContract):
    backend = "hdf5"


class TestHdf5WithSegments(DurableContract):
    """Sets that have a key index from four sentences on."""

    backend = "hdf5"

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catalogue, "LEAST", 4)


class TestZarr(DurableContract):
    backend = "zarr"


class TestZarrRemote(DurableContract):
    """Zarr through fsspec: its in-memory file system stands for any address."""

    backend = "zarr"

    @pytest.fixture
    def root(self) -> Any:
        name, memory = uuid.uuid4().hex, fsspec.filesystem("memory")
        yield f"memory://{name}"
        if memory.exists(f"/{name}"):
            memory.rm(f"/{name}", recursive=True)


class TestZarrS3(DurableContract):
    """Zarr on a server that speaks S3."""

    backend = "zarr"

    @pytest.fixture
    def root(self, s3: str) -> str:
        return f"{s3}/features"


class TestHdf5Remote(TestZarrRemote):
    backend = "hdf5"


class TestHdf5S3(TestZarrS3):
    backend = "hdf5"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backend": "hdf"}, "store backend 'hdf' is unknown.*Did you mean 'hdf5'"),
        ({"dtype": "float61"}, "store dtype 'float61' is unknown.*Did you mean 'float16'"),
        ({"name": "../toy"}, "cannot name a feature set"),
        ({"identity": "../../x"}, "64 hex digits"),
        ({"dim": 0}, "0 columns"),
        ({"layers": 3}, "8 columns in 3 layers"),
    ],
)
def test_a_set_that_cannot_be_is_refused(tmp_path: Path, make_meta: Make, change: dict[str, Any], message: str) -> None:
    meta = make_meta("hdf5")
    fields = {name: getattr(meta, name) for name in FeatureMeta.__slots__}
    with pytest.raises(UsageError, match=message):
        create_store(tmp_path / "features", FeatureMeta(**{**fields, **change}))
    assert not (tmp_path / "features").exists()


def test_opening_the_room_loads_no_backend() -> None:
    code = "import sys, featstore.stores; print({'h5py', 'zarr', 'fsspec'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_a_backend_is_one_file_and_one_line(
    tmp_path: Path, make_meta: Make, make_batch: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend of .npy files: the file is the text below, the line is the one in the table."""
    (tmp_path / "npy_backend.py").write_text(
        """
import io
import numpy as np
from featstore.stores.layout import ShardIndex

class NpyShards:
    suffix = ".npz"
    def encode(self, index, values):
        image = io.BytesIO()
        np.savez(image, keys=index.keys, offsets=index.offsets, checksums=index.checksums, values=values)
        return {"": image.getbuffer()}
    def decode(self, files, where):
        with np.load(io.BytesIO(files[""]), allow_pickle=False) as file:
            return ShardIndex(file["keys"], file["offsets"], file["checksums"]), file["values"]
    def extents(self, place, name, rows, meta):
        return None
"""
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(featstore.stores.BACKENDS, "npy", "npy_backend:NpyShards")
    store = create_store(tmp_path / "features", make_meta("npy"))
    store.append(*make_batch(range(10)))
    keys, vectors = make_batch([3, 9, 0])
    assert equal(open_store(list_sets(tmp_path / "features")[0].path, check=True).read(keys), vectors)
