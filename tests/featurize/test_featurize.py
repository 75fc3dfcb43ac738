"""The producer loop: what is encoded, what is kept, and what happens when it is cut short."""

import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featstore.encoders import ENCODERS, Encoder, load_encoder
from featstore.errors import ResourceError, UsageError
from featstore.featurize import encode as room
from featstore.featurize import plan, producer
from featstore.featurize.encode import featurize
from featstore.featurize.forecast import forecast
from featstore.ragged import Ragged
from featstore.records import sentence_key
from featstore.scale import Shard
from featstore.stores import find_sets, open_store
from featstore.stores.pace import read_pace

HERE = Path(__file__).resolve().parent
HDF5: dict[str, Any] = {"dtype": "float32", "backend": "hdf5"}


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add an encoder: one file, one line in the table."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setitem(ENCODERS, "toy", "toy_encoder:load")


def toy_that(folder: Path, **script: object) -> str:
    """Return the spec of a toy encoder that does what ``script`` says."""
    path = folder / "script.json"
    path.write_text(json.dumps(script))
    return f"toy:{path}"


def sentences(count: int) -> dict[bytes, tuple[str, ...]]:
    texts = [tuple(f"w{i}_{j}" for j in range(1 + i % 7)) for i in range(count)]
    return {sentence_key(text): text for text in texts}


def stored(root: Path, name: str = "toy") -> dict[bytes, np.ndarray]:
    (found,) = find_sets(root, name)
    store = open_store(found.path)
    try:
        keys = list(store.keys())
        return dict(zip(keys, [np.array(rows) for rows in store.read(keys)], strict=True))
    finally:
        store.close()


def test_every_token_gets_its_vector(tmp_path: Path) -> None:
    texts = sentences(40)
    result = featurize(texts, "toy", root=tmp_path, **HDF5)
    assert (result.sentences, result.stored, result.encoded, result.failed) == (40, 0, 40, ())
    assert result.tokens == sum(map(len, texts.values()))
    rows = stored(tmp_path)
    assert rows.keys() == texts.keys()
    encoder = load_encoder("toy")
    for key, text in texts.items():
        np.testing.assert_array_equal(rows[key], encoder.encode([text])[0])


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_only_what_is_new_is_encoded(tmp_path: Path, backend: str) -> None:
    options: dict[str, Any] = {"dtype": "float16", "backend": backend}
    featurize(sentences(10), "toy", root=tmp_path, **options)
    again = featurize(sentences(10), "toy", root=tmp_path, **options)
    more = featurize(sentences(15), "toy", root=tmp_path, **options)
    assert (again.stored, again.encoded) == (10, 0)
    assert (more.stored, more.encoded) == (10, 5)
    (found,) = find_sets(tmp_path, "toy")
    pace = read_pace(found.path)
    assert pace
    assert pace.tokens == sum(map(len, sentences(15).values()))
    assert pace.seconds > 0
    Path(found.path, "pace.json").write_text("{")
    assert read_pace(found.path) is None, "a note that cannot be read is no damage"


def test_another_weight_file_is_another_feature_set(tmp_path: Path) -> None:
    featurize(sentences(3), "toy", root=tmp_path / "store", **HDF5)
    other = featurize(sentences(3), toy_that(tmp_path, salt=5), root=tmp_path / "store", **HDF5)
    assert other.stored == 0
    assert len(find_sets(tmp_path / "store", "toy")) == 2


def test_an_interrupt_keeps_the_finished_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "BATCH_TOKENS", 8)
    texts = sentences(30)

    def interrupt(done: int, _: int | None) -> None:
        if done >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        featurize(texts, "toy", root=tmp_path, progress=interrupt, **HDF5)
    kept = stored(tmp_path)
    assert 12 <= len(kept) < 30
    rest = featurize(texts, "toy", root=tmp_path, **HDF5)
    assert (rest.stored, rest.encoded) == (len(kept), 30 - len(kept))


def test_batches_hold_sentences_of_about_one_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "BATCH_TOKENS", 20)
    texts = sentences(100)
    batches = producer.batches(texts)
    assert sorted(key for batch in batches for key in batch) == sorted(texts)
    for batch in batches:
        lengths = [len(texts[key]) for key in batch]
        assert sum(lengths) <= 20
        assert max(lengths) - min(lengths) <= 1


def test_copies_of_a_sentence_are_in_one_batch_unless_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "BATCH_TOKENS", 60)
    plain = [tuple(f"w{i}_{j}" for j in range(9 + i % 2)) for i in range(8)]
    marked = [(*text[:at], "<gene>", *text[at:]) for text in plain for at in (0, 3, 5, 9)]
    texts = {sentence_key(text): text for text in marked}
    batches = producer.batches(texts)
    assert sorted(key for batch in batches for key in batch) == sorted(texts)
    copies = [marked[i : i + 4] for i in range(0, len(marked), 4)]
    parts = [sum(any(sentence_key(text) in batch for text in some) for batch in batches) for some in copies]
    assert sum(parts) <= len(plain) + len(batches) - 1
    by_length = producer.batches(texts, together=False)
    assert sorted(key for batch in by_length for key in batch) == sorted(texts)
    assert {len({len(text) for text in batch.values()}) for batch in by_length} <= {1, 2}, "nothing but lengths counts"


def test_few_sentences_are_cut_so_that_each_worker_gets_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "FEWEST_TOKENS", 10)
    texts = sentences(40)
    assert len(producer.batches(texts)) == 1
    assert len(producer.batches(texts, workers=3)) >= 12


def test_a_sentence_longer_than_a_batch_is_a_batch_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "BATCH_TOKENS", 3)
    texts = {sentence_key(t): t for t in [("a",) * 50, ("b",)]}
    assert sorted(len(batch) for batch in producer.batches(texts)) == [1, 1]


def test_workers_share_the_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "BATCH_TOKENS", 16)
    install_in_children(tmp_path, monkeypatch)
    texts = sentences(50)
    seen: list[tuple[int, int | None]] = []
    result = featurize(texts, "toy", root=tmp_path / "store", workers=2, progress=lambda *p: seen.append(p), **HDF5)
    assert (result.encoded, result.failed, result.workers, result.threads) == (50, (), 2, 1)
    assert seen[-1] == (50, 50)
    assert stored(tmp_path / "store").keys() == texts.keys()


def test_a_killed_worker_costs_only_its_unfinished_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "BATCH_TOKENS", 16)
    monkeypatch.setattr(producer, "COMMIT_BYTES", 1)  # a shard, and so an item, is a batch
    install_in_children(tmp_path, monkeypatch)
    texts = sentences(50)
    broken = featurize(texts, toy_that(tmp_path, kill_at="w20_3"), root=tmp_path / "store", workers=2, **HDF5)
    (batch,) = (batch for batch in producer.batches(texts) if any("w20_3" in text for text in batch.values()))
    assert set(broken.failed) == set(batch)  # every worker that gets it dies
    assert len(stored(tmp_path / "store")) == broken.encoded == 50 - len(broken.failed)
    mended = featurize(texts, "toy", root=tmp_path / "store", **HDF5)
    assert (mended.stored, mended.encoded, mended.failed) == (broken.encoded, len(broken.failed), ())


def test_what_ends_a_worker_ends_the_run_with_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_in_children(tmp_path, monkeypatch)
    with pytest.raises(ResourceError, match="the disk is full"):
        featurize(sentences(50), toy_that(tmp_path, full_at="w20_3"), root=tmp_path / "store", workers=2, **HDF5)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_memory_has_no_room_for_is_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    install_in_children(tmp_path, monkeypatch)
    texts = sentences(50)
    result = featurize(texts, toy_that(tmp_path, too_large="w20_3"), root=tmp_path / "store", workers=workers, **HDF5)
    assert [texts[key] for key in result.failed] == [text for text in texts.values() if "w20_3" in text]
    assert result.encoded == 49
    assert stored(tmp_path / "store").keys() == texts.keys() - set(result.failed)


@pytest.mark.parametrize(
    ("pause", "cores", "workers"),
    [
        pytest.param(0.0, 2, 1, id="short work"),
        pytest.param(1.0, 2, 2, id="long work"),
        pytest.param(1.0, 1, 1, id="one core"),
    ],
)
def test_a_probe_chooses_the_workers_and_the_log_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    pause: float,
    cores: int,
    workers: int,
) -> None:
    install_in_children(tmp_path, monkeypatch)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores), raising=False)
    monkeypatch.setattr(plan, "WORTH_A_WORKER", 0.5)
    monkeypatch.setattr(plan, "WORTH_A_PROBE", 0.1)
    with caplog.at_level(logging.INFO, "featstore"):
        result = featurize(sentences(8), toy_that(tmp_path, pause=pause / 10), root=tmp_path / "store", **HDF5)
    assert (result.workers, result.threads, result.encoded) == (workers, 1, 8)
    assert f"toy: {workers} process" in caplog.text
    assert "probe foretells" in caplog.text


def test_threads_are_chosen_by_the_shorter_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from toy_encoder import ToyEncoder

    class Threaded(ToyEncoder):
        """Takes 30 ms less with each thread more."""

        def __init__(self, gain: float) -> None:
            super().__init__(0)
            self.gain = gain

        def encode(self, batch: Sequence[Sequence[str]]) -> Ragged:
            time.sleep(0.1 - self.gain * torch.get_num_threads())
            return Ragged.from_list([np.zeros((len(tokens), 1), dtype=np.float32) for tokens in batch], 1)

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(2), raising=False)
    monkeypatch.setattr(plan, "WORTH_A_PROBE", 0.01)
    before = torch.get_num_threads()
    assert plan.plan_work(sentences(20), Threaded(0.03)).threads == 2
    assert plan.plan_work(sentences(20), Threaded(-0.03)).threads == 1
    assert torch.get_num_threads() == before


def test_a_gpu_gets_one_process() -> None:
    assert plan.plan_work(sentences(20), load_encoder("toy"), "cuda").workers == 1


def test_no_workers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        featurize(sentences(3), "toy", root=tmp_path, workers=0, **HDF5)


def install_in_children(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the toy to the table of spawned processes too (they import the table anew); each batch is a shard there."""
    (folder / "sitecustomize.py").write_text(
        "from featstore.featurize import producer\nfrom featstore.encoders import ENCODERS\n"
        "ENCODERS['toy'] = 'toy_encoder:load'\nproducer.COMMIT_BYTES = 1\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{HERE.parents[1]}:{folder}:{HERE}")


def test_forecast_writes_nothing(tmp_path: Path) -> None:
    texts = sentences(20)
    root = tmp_path / "store"
    plan = forecast(texts, toy_that(tmp_path, pause=0.01), root=root, instances=60, **HDF5)
    tokens = sum(map(len, texts.values()))
    assert (plan.instances, plan.sentences, plan.tokens) == (60, 20, tokens)
    assert (plan.missing_sentences, plan.missing_tokens, plan.bytes) == (20, tokens, tokens * 3 * 4)
    assert plan.seconds > 0
    assert plan.free_bytes
    assert not root.exists()
    featurize(texts, "toy", root=root, **HDF5)
    assert forecast(texts, "toy", root=root, instances=60, **HDF5).missing_sentences == 0


def test_a_forecast_is_made_with_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    threads: list[int] = []
    before = torch.get_num_threads()

    def encode(self: Encoder, batch: Sequence[Sequence[str]]) -> Ragged:
        threads.append(torch.get_num_threads())
        return encode_as_before(self, batch)

    torch.set_num_threads(2)
    try:
        toy = type(load_encoder("toy"))
        encode_as_before = toy.encode
        monkeypatch.setattr(toy, "encode", encode)
        forecast(sentences(30), "toy", root=tmp_path, instances=30, **HDF5)
        assert set(threads) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_disk_without_room_is_seen_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda _: 100)
    with pytest.raises(ResourceError, match="free"):
        featurize(sentences(40), "toy", root=tmp_path, **HDF5)
    assert stored(tmp_path) == {}


def test_unknown_encoder_is_told_with_the_closest_name() -> None:
    with pytest.raises(UsageError, match="Did you mean 'glove'"):
        load_encoder("glov")


def test_the_toy_is_imported_only_when_asked_for() -> None:
    sys.modules.pop("toy_encoder", None)
    load_encoder("toy")
    assert "toy_encoder" in sys.modules


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_shards_fill_one_store_as_one_job_does(tmp_path: Path, backend: str) -> None:
    texts = sentences(60)
    options: dict[str, Any] = {"dtype": "float16", "backend": backend}
    featurize(texts, "toy", root=tmp_path / "one", **options)
    shards = [Shard(number, 4).sentences(texts) for number in (3, 1, 4, 2)]
    done = [featurize(shard, "toy", root=tmp_path / "all", **options) for shard in shards]
    assert sum(result.encoded for result in done) == 60
    one, together = stored(tmp_path / "one"), stored(tmp_path / "all")
    assert one.keys() == together.keys()
    assert all(one[key].tobytes() == together[key].tobytes() for key in one)
