"""The key index of large sets: it finds what the shards hold; no vector is lost or made up when it breaks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.errors import MissingFeatureError
from featstore.ragged import Ragged
from featstore.stores import catalogue, create_store, list_sets, open_store, segments
from featstore.stores.index import SortedKeys
from featstore.stores.local import LocalPlace
from featstore.stores.maintenance.rewrite import compact
from featstore.stores.maintenance.usage import collect, usage
from featstore.stores.maintenance.verify import repair, verify
from featstore.stores.sets import open_files

Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every set is large: segments are written from 6 sentences on, and parts hold 16 keys."""
    monkeypatch.setattr(catalogue, "LEAST", 6)
    monkeypatch.setattr(segments, "PART_KEYS", 16)


@pytest.fixture
def path(tmp_path: Path, make_meta: Make, make_batch: Make) -> str:
    """A feature set of 30 sentences in five shards, with an index of one segment."""
    store = create_store(tmp_path / "features", make_meta("hdf5"))
    for first in range(0, 30, 6):
        store.append(*make_batch(range(first, first + 6)))
    (info,) = list_sets(tmp_path / "features")
    catalogue.update(open_files(info.path), everything=True)
    assert len(used(info.path)) == 1
    return info.path


def used(path: str) -> list[segments.Segment]:
    files = open_files(path)
    return catalogue.segments(files.place, files.sizes())


def files_of_the_index(path: str) -> list[Path]:
    return sorted(Path(path, "index").iterdir())


def whole(path: str, make_batch: Make, numbers: range = range(30)) -> bool:
    """Read all sentences, one that is not there, and tell whether the answers are right."""
    store = open_store(path)
    keys, vectors = make_batch(numbers)
    (absent,), _ = make_batch([numbers.stop])
    with pytest.raises(MissingFeatureError):
        store.read([keys[3], absent])
    right = np.array_equal(store.read(keys).values, vectors.values)
    return right and store.missing([absent, *keys]) == [absent] and sorted(store.keys()) == sorted(keys)


@settings(max_examples=40, deadline=None)
@given(
    given_keys=st.lists(
        st.one_of(
            st.binary(min_size=16, max_size=16),
            st.builds(lambda a, b: bytes([a] * 8 + [b] * 8), st.sampled_from([0, 7, 255]), st.integers(0, 255)),
        ),
        unique=True,
        max_size=700,
    ),
    asked=st.lists(st.binary(min_size=16, max_size=16), max_size=5),
    split=st.integers(1, 5),
)
def test_a_segment_finds_the_keys_that_were_put_in(
    tmp_path_factory: pytest.TempPathFactory, given_keys: list[bytes], asked: list[bytes], split: int
) -> None:
    """Keys that share their first half, also over the ends of blocks, the first and the last possible key."""
    place = LocalPlace(tmp_path_factory.mktemp("set"))
    names = [f"{n:032x}" for n in range(split)]
    sources: list[catalogue.KeySource] = []
    where: dict[bytes, int] = {}
    for number, name in enumerate(names):
        keys = given_keys[number::split]
        where |= {key: (number << 32) + row for row, key in enumerate(keys)}
        table = SortedKeys.of(np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 16), 0)
        sources.append(catalogue.KeySource([name], len(keys), table.between))
    segment = catalogue.write(place, sources)
    raw = segments.unpack_contents(place.read(f"index/{segment.name}.shards"))
    assert raw == segment.contents
    segment = segments.Segment(place, segment.name, raw)
    segment.check()
    wanted = [*asked, *given_keys, b"\0" * 16, b"\xff" * 16]
    halves = np.frombuffer(b"".join(wanted), dtype="<u8").reshape(-1, 2).astype(np.uint64)
    assert segment.find(halves[:, 0], halves[:, 1]).tolist() == [where.get(key, -1) for key in wanted]


def test_writers_make_an_index_and_compaction_makes_it_one(path: str, make_batch: Make) -> None:
    assert whole(path, make_batch)
    store = create_store(Path(path).parent, open_store(path).meta)
    for first in range(30, 102, 6):
        store.append(*make_batch(range(first, first + 6)))
    assert 1 <= len(used(path)) < 6, "segments are merged as they come"
    assert whole(path, make_batch, range(102))
    compact(path)
    assert len(used(path)) == 1
    assert list_sets(Path(path).parent)[0].shards == 1
    assert whole(path, make_batch, range(102))
    found = verify(path)
    assert (found.damages, found.leftovers) == ((), ())
    assert usage(Path(path).parent)[0].leftover_bytes == 0


def test_opening_and_looking_up_reads_no_index_of_a_shard(
    path: str, make_batch: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, _ = make_batch(range(40))
    asked: list[str] = []
    read = LocalPlace.read_heads

    def noted(self: LocalPlace, sizes: Mapping[str, int]) -> Iterator[bytes]:
        asked.extend(sizes)
        return read(self, sizes)

    monkeypatch.setattr(LocalPlace, "read_heads", noted)
    assert open_store(path).missing(keys) == keys[30:]
    assert not [name for name in asked if name.startswith("shards/")]


@pytest.mark.parametrize("how", ["gone", "empty", "half", "zeros", "flipped", "swapped"])
def test_an_index_that_is_damaged_loses_and_invents_nothing(path: str, make_batch: Make, how: str) -> None:
    for file in files_of_the_index(path):
        raw = file.read_bytes()
        other = next(f for f in files_of_the_index(path) if f != file and f.suffix == ".keys")
        bad = {
            "empty": b"",
            "half": raw[: len(raw) // 2],
            "zeros": bytes(len(raw)),
            "flipped": bytes(b ^ 1 for b in raw),
            "swapped": other.read_bytes(),
        }
        if how == "gone":
            file.unlink()
        else:
            file.write_bytes(bad[how])
        store = open_store(path)
        keys, vectors = make_batch(range(30))
        assert np.array_equal(store.read(keys).values, vectors.values), file.name
        found = verify(path)
        assert bool(found.damages) != bool(found.leftovers), "it is reported, or it is no segment and swept"
        assert all(damage.keys == () for damage in found.damages)
        repaired = repair(path)
        assert (repaired.set_aside, repaired.lost) == ((), ())
        assert verify(path).damages == ()
        assert whole(path, make_batch)
        file.write_bytes(raw)


def test_a_byte_that_changed_anywhere_in_a_part(path: str, make_batch: Make) -> None:
    keys, vectors = make_batch(range(30))
    draw = np.random.default_rng(0)
    file = max(files_of_the_index(path), key=lambda f: f.stat().st_size)
    raw = file.read_bytes()
    count = max(max(segment.contents.counts) for segment in used(path))
    for column in range(4):  # high and low halves, where they are, and the first keys of the blocks
        first = (170 * 8 * column) if column < 3 else len(raw) - 8
        for at in draw.integers(first, first + 8 * (count if column < 3 else 1), size=12).tolist():
            file.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << draw.integers(8))]) + raw[at + 1 :])
            assert np.array_equal(open_store(path).read(keys).values, vectors.values), at


def test_a_segment_that_outlived_a_shard_counts_for_nothing(path: str, make_batch: Make) -> None:
    """As a version that knows no index would remove it."""
    store = open_store(path)
    keys, vectors = make_batch(range(30))
    gone = store.locate(keys[0])  # type: ignore[attr-defined]
    for file in Path(path, "shards").glob(f"{gone[0]}*"):
        file.unlink()
    with pytest.raises(MissingFeatureError, match="6 of 30"):
        store.read(keys)
    again = open_store(path)
    assert again.missing(keys) == keys[:6]
    assert np.array_equal(again.read(keys[6:]).values, vectors[6].base[vectors.offsets[6] :])
    assert used(path) == []
    create_store(Path(path).parent, again.meta)
    assert verify(path).leftovers == ()
    assert not files_of_the_index(path)


def test_one_who_has_a_segment_open_that_goes_into_another(path: str, make_batch: Make) -> None:
    store, keys = open_store(path), make_batch(range(30))[0]
    writer = create_store(Path(path).parent, store.meta)
    for first in range(30, 90, 6):
        writer.append(*make_batch(range(first, first + 6)))
    compact(path)
    assert store.missing(keys) == []
    assert np.array_equal(store.read(keys).values, make_batch(range(30))[1].values)


def test_at_an_address(s3: str, make_meta: Make, make_batch: Make) -> None:
    store = create_store(f"{s3}/features", make_meta("zarr"))
    for first in range(0, 30, 6):
        store.append(*make_batch(range(first, first + 6)))
    path = list_sets(f"{s3}/features")[0].path
    assert 1 <= len(used(path)) < 5
    reader = open_store(path)
    keys, vectors = make_batch(range(30))
    assert reader.missing(keys) == []
    compact(path)
    assert len(used(path)) == 1
    assert reader.missing(keys) == [], "though its segments are gone"
    assert np.array_equal(open_store(path, check=True).read(keys).values, vectors.values)
    fs = fsspec.filesystem("s3")
    lost = next(name for name in fs.ls(f"{path}/index", detail=False) if name.endswith(".keys"))
    fs.rm(lost)
    assert np.array_equal(open_store(path).read(keys).values, vectors.values)
    assert verify(path).damages == ()
    collect(f"{s3}/features", keep=[], dry_run=False)
    assert fs.find(path) == []


@pytest.mark.parametrize("step", range(1, 40, 4))
def test_a_writer_that_dies_while_it_writes_a_segment(
    tmp_path: Path, writers: Any, make_batch: Make, make_meta: Make, step: int
) -> None:
    """At whichever of its calls that change files; it forks after the sizes were set small."""
    job = {"root": str(tmp_path / "features"), "backend": "hdf5", "first": 0, "stop": 18, "step": 3, "dim": 8}
    writers.wait(writers.start(die_at=20 + step, least=6, **job))
    (info,) = list_sets(tmp_path / "features")
    store = open_store(info.path, check=True)
    stored = list(store.keys())
    keys, vectors = make_batch(range(18))
    assert np.array_equal(
        store.read(stored).values, Ragged.from_list([vectors[keys.index(k)] for k in stored], 8).values
    )
    writers.wait(writers.start(least=6, **job))
    assert whole(info.path, make_batch, range(18))
    create_store(tmp_path / "features", make_meta("hdf5"))
    found = verify(info.path)
    assert (found.damages, found.leftovers) == ((), ())
    assert os.listdir(Path(info.path, "index"))
