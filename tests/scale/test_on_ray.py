"""Work on a Ray cluster of two nodes gives what this machine alone gives, whatever is lost on the way."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from killed import Ablate, grid_of, make_inputs
from toy_job import ToyJob

from classifier.ablate import DONE, KEPT, RUNNING, CellEvent, ablate
from classifier.ablate.whole import run_ablation
from featstore.copies import on_this_machine
from featstore.errors import MismatchError, ResourceError, UsageError
from featstore.featurize import producer
from featstore.featurize.encode import featurize
from featstore.records import sentence_key
from featstore.scale import on_ray, open_engine
from featstore.scale.actor import versions
from featstore.scale.on_ray import ray_engine
from featstore.scale.table import check_engine
from featstore.stores import find_sets, open_store

pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = pytest.mark.usefixtures("cluster")
GLOVE = "alpha 1 2 3\nbeta 4 5 6\n"


def test_workers_of_a_cluster_keep_the_promises_of_an_engine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    job, heard = ToyJob(tmp_path), list[object]()
    items = [("square", 0), ("kill once", 1), *(("square", number) for number in range(2, 7)), ("say", 7)]
    caplog.set_level("INFO", "featstore")
    with open_engine("ray") as engine:
        assert engine
        assert (engine.workers, engine.workers_a_machine) == (2, 1)
        assert list(engine.run(job, [])) == []
        with closing(engine.run(job, items, heard.append)) as done:
            assert {each.number: each.result for each in done} == {number: number * number for number in range(8)}
    assert len(job.pids("kill once")) == 2
    assert heard == [("began", 7), ("ends", 7)]
    assert {(name, text.split(": ")[1]) for name, _, text in caplog.record_tuples} >= {
        ("featstore.toy", "loaded"),
        ("featstore.toy", "at 7"),
    }


@pytest.mark.parametrize(
    ("item", "error", "says"),
    [("full", ResourceError, "the disk is full"), ("bug", RuntimeError, "IndexError: a bug")],
)
def test_an_error_of_a_worker_of_a_cluster_ends_the_run(
    tmp_path: Path, item: str, error: type[Exception], says: str
) -> None:
    with ray_engine(workers=1) as engine, pytest.raises(error, match=says):
        list(engine.run(ToyJob(tmp_path), [(item, 0)]))


def test_a_store_that_was_begun_here_is_finished_on_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "BATCH_TOKENS", 16)
    (tmp_path / "vectors.txt").write_text(GLOVE)
    texts = {sentence_key(text): text for text in (tuple(["alpha"] * n + ["beta"]) for n in range(40))}
    spec, options = f"glove:{tmp_path / 'vectors.txt'}", {"dtype": "float16", "backend": "hdf5"}
    stores = {}
    for name, cut in (("here", 0), ("both", 15)):
        begun = dict(list(texts.items())[:cut])
        featurize(begun, spec, root=tmp_path / name, **options)  # type: ignore[arg-type]
        with ray_engine() as engine:
            done = featurize(texts, spec, root=tmp_path / name, engine=engine if cut else None, **options)  # type: ignore[arg-type]
        assert (done.stored, done.encoded, done.failed) == (cut, 40 - cut, ())
        (found,) = find_sets(tmp_path / name, "glove")
        with closing(open_store(found.path, check=True)) as store:
            stores[name] = store.read(list(texts))
    assert np.array_equal(stores["here"].values, stores["both"].values)
    assert np.array_equal(stores["here"].offsets, stores["both"].offsets)


def test_a_grid_that_was_begun_here_is_finished_on_the_cluster_at_an_address(tmp_path: Path, s3: str) -> None:
    make_inputs(tmp_path)
    grid, command = grid_of(tmp_path), Ablate(tmp_path)
    store, heard = tmp_path / "features", list[CellEvent]()
    ablate(grid, store, tmp_path / "here" / "runs")
    ablate(replace(grid, folds=(1,)), store, Path(f"{s3}/both/runs"))
    ablation = run_ablation(grid, store=store, runs=f"{s3}/both/runs", engine="ray", jobs=1, progress=heard.append)
    assert (ablation.failed, [row.cells for row in ablation.rows]) == ((), [2])
    assert [event.status for event in heard if event.status != RUNNING] == [KEPT, DONE]
    assert [event.epoch.number for event in heard if event.epoch] == [1, 2]
    assert command.finished(on_this_machine(f"{s3}/both")) == command.finished(tmp_path / "here")


def test_what_ray_prints_of_its_nodes_stays_off_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ray._private import worker

    monkeypatch.setattr(worker, "_worker_logs_enabled", False)  # as on_ray does; nothing public turns it off
    worker.print_to_stdstream({"lines": ["The node is dead."], "pid": "raylet", "is_err": False}, ignore_prefix=False)
    assert capsys.readouterr().out == ""


def test_a_node_of_another_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = versions(["numpy", "no-such-package"])
    assert here == {"Python": here["Python"], "numpy": np.__version__, "no-such-package": "none"}
    monkeypatch.setattr(on_ray, "versions", lambda _: here | {"numpy": "0.1", "no-such-package": "2"})
    with ray_engine(workers=1) as engine, pytest.raises(MismatchError) as raised:
        list(engine.run(ToyJob(tmp_path), [("square", 0)]))
    assert re.search(
        r"the node \S+ has numpy \d.*, not 0\.1; no-such-package none, not 2: all nodes", str(raised.value)
    )
    assert ToyJob(tmp_path).pids("loaded") == []


@pytest.mark.parametrize("spec", ["", "dask", "ray:", "local:2", "rays"])
def test_an_engine_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="is unknown; write local, ray"):
        check_engine(spec)
