"""What every engine promises: each item is done, whatever becomes of a worker, and nothing is left running."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import chain, count
from pathlib import Path

import pytest
from toy_job import ToyJob

from featstore.errors import DataError, ResourceError, UsageError
from featstore.scale import Engine, LocalEngine, open_engine
from featstore.scale.engine import TRIES, Done, Handout

Item = tuple[str, int]
WORKERS = 2


@pytest.fixture
def engine() -> Engine:
    return LocalEngine(WORKERS)


@pytest.fixture
def job(tmp_path: Path) -> ToyJob:
    return ToyJob(tmp_path)


def run(engine: Engine, job: ToyJob, items: list[Item]) -> dict[int, int | None]:
    with closing(engine.run(job, items)) as done:
        return {each.number: each.result for each in done}


def wait_for(is_so: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.02)
    return is_so()


def are_gone(pids: list[int]) -> bool:
    return wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))


def test_every_item_is_done_and_a_worker_loads_once(engine: Engine, job: ToyJob) -> None:
    drawn: list[int] = []

    def items() -> Iterator[Item]:
        for number in range(12):
            drawn.append(number)
            yield "square", number

    found: dict[int, int | None] = {}
    with closing(engine.run(job, items())) as done:
        for each in done:
            found[each.number] = each.result
            assert len(drawn) <= len(found) + WORKERS + 1, "an item is taken when a worker is free for it"
    assert found == {number: number * number for number in range(12)}
    assert len(job.pids("loaded")) <= WORKERS
    assert are_gone(job.pids("loaded"))


def test_a_worker_goes_on_while_a_result_is_used(job: ToyJob) -> None:
    with closing(LocalEngine(1).run(job, [("square", number) for number in range(3)])) as done:
        assert next(done) == Done(0, 0)
        assert wait_for(lambda: bool(job.pids("square-1")))
        assert [each.result for each in done] == [1, 4]


def test_what_workers_tell_and_log_is_heard_before_the_result(
    engine: Engine, job: ToyJob, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[object] = []
    caplog.set_level("INFO", "featstore")
    with closing(engine.run(job, [("say", 3)], heard.append)) as done:
        assert [each.result for each in done] == [9]
    assert heard == [("began", 3), ("ends", 3)]
    assert caplog.record_tuples == [("featstore.toy", 20, "loaded"), ("featstore.toy", 30, "at 3")]


def test_a_job_without_items_starts_no_worker(engine: Engine, job: ToyJob) -> None:
    assert run(engine, job, []) == {}
    assert job.pids("loaded") == []


def test_the_item_of_a_lost_worker_goes_to_another_and_is_given_up_if_that_is_lost_too(
    engine: Engine, job: ToyJob
) -> None:
    items = [("square", 0), ("kill once", 1), ("kill", 2), *(("square", number) for number in range(3, 6))]
    assert run(engine, job, items) == {0: 0, 1: 1, 2: None, 3: 9, 4: 16, 5: 25}
    assert len(job.pids("kill once")) == 2
    assert len(job.pids("kill-2")) == TRIES


def test_an_error_of_an_item_ends_the_run_and_the_workers(engine: Engine, job: ToyJob) -> None:
    with pytest.raises(ResourceError, match="the disk is full"):
        run(engine, job, [("sleep", 0), ("full", 1), ("square", 2)])
    assert are_gone(job.pids("loaded"))


def test_a_bug_of_a_job_is_shown_with_its_place(engine: Engine, job: ToyJob) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)toy_job\.py.*IndexError: a bug"):
        run(engine, job, [("bug", 0)])


def test_an_error_while_loading_ends_the_run(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the weights are damaged"):
        run(engine, ToyJob(tmp_path, "data"), [("square", 0), ("square", 1)])


def test_workers_that_die_while_loading_are_not_started_for_ever(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="while it was loading"):
        run(engine, ToyJob(tmp_path, "kill"), [("square", 0)])
    assert len(ToyJob(tmp_path).pids("loaded")) == WORKERS + 1


def run_until_one_sleeps(engine: Engine, job: ToyJob) -> Generator[Done[int], None, None]:
    """Begin a run of which one worker sleeps, while the other has always more to do."""
    done = engine.run(job, chain([("sleep", 0)], (("square", number) for number in count(1))))
    while not job.pids("sleep"):
        next(done)
    return done


def test_workers_end_when_the_run_is_closed(engine: Engine, job: ToyJob) -> None:
    run_until_one_sleeps(engine, job).close()
    assert are_gone(job.pids("loaded"))


def test_a_worker_of_this_machine_may_commit_what_it_has_at_an_interrupt(job: ToyJob) -> None:
    done = run_until_one_sleeps(LocalEngine(WORKERS), job)
    with pytest.raises(KeyboardInterrupt):
        done.throw(KeyboardInterrupt)
    assert job.pids("committed") == job.pids("sleep")
    assert are_gone(job.pids("loaded"))


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'featstore\[ray\]', here and on every node"), open_engine("ray"):
        pass


def test_items_are_handed_out_in_order_and_lost_ones_first() -> None:
    handout = Handout(["a", "b", "c"])
    first, second = handout.next(), handout.next()
    assert first
    assert second
    assert (first.number, first.item, second.number) == (0, "a", 1)
    assert handout.lost(second)
    again = handout.next()
    assert again
    assert (again.number, again.item, again.tries) == (1, "b", 2)
    assert not handout.lost(again)
    third = handout.next()
    assert third
    assert third.item == "c"
    assert handout.next() is None
