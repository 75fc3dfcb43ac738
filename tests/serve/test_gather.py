"""Requests are gathered: in order, in bounded batches, and an error reaches only whom it belongs to."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from classifier.serve.gather import Gatherer, QueueFullError


def test_what_waits_while_the_worker_is_busy_is_one_batch() -> None:
    batches: list[list[int]] = []
    begun, go_on = threading.Event(), threading.Event()

    def work(items: Sequence[int]) -> list[int | Exception]:
        batches.append(list(items))
        begun.set()
        go_on.wait(10)
        return [10 * item for item in items]

    gatherer = Gatherer(work, batch_size=3, queue_size=100, patience=0)
    first = gatherer.submit(1)
    assert begun.wait(10)
    others = [gatherer.submit(n) for n in (2, 3, 4, 5)]
    go_on.set()
    assert [future.result(10) for future in (first, *others)] == [10, 20, 30, 40, 50]
    assert batches == [[1], [2, 3, 4], [5]]
    gatherer.close()


def test_an_idle_worker_waits_for_company_but_not_for_long() -> None:
    batches: list[int] = []

    def work(items: Sequence[int]) -> list[int | Exception]:
        batches.append(len(items))
        return list(items)

    gatherer = Gatherer(work, batch_size=2, queue_size=100, patience=30)
    futures = [gatherer.submit(1), gatherer.submit(2)]  # the second fills the batch, so nobody waits for 30 seconds
    assert [future.result(10) for future in futures] == [1, 2]
    assert batches == [2]
    gatherer.close()
    gatherer = Gatherer(work, batch_size=2, queue_size=100, patience=0.01)
    assert gatherer.submit(3).result(10) == 3
    gatherer.close()


def test_a_full_queue_refuses_but_an_empty_one_takes_anything() -> None:
    go_on = threading.Event()

    def work(items: Sequence[int]) -> list[int | Exception]:
        go_on.wait(10)
        return list(items)

    gatherer = Gatherer(work, batch_size=1, queue_size=10, patience=0)
    running = gatherer.submit(1, 50)
    while gatherer._size:  # until the worker has taken it
        pass
    waiting = [gatherer.submit(2, 6), gatherer.submit(3, 4)]
    with pytest.raises(QueueFullError):
        gatherer.submit(4, 1)
    go_on.set()
    assert [future.result(10) for future in (running, *waiting)] == [1, 2, 3]
    gatherer.close()
    with pytest.raises(QueueFullError):
        gatherer.submit(5)


def test_errors_reach_whom_they_belong_to_and_the_worker_lives_on() -> None:
    def work(items: Sequence[str]) -> list[str | Exception]:
        if "all" in items:
            raise MemoryError("no room")
        return [KeyError(item) if item == "bad" else item for item in items]

    gatherer = Gatherer(work, batch_size=10, queue_size=100, patience=0.2)
    good, bad = gatherer.submit("good"), gatherer.submit("bad")
    assert good.result(10) == "good"
    with pytest.raises(KeyError):
        bad.result(10)
    with pytest.raises(MemoryError):
        gatherer.submit("all").result(10)
    assert gatherer.submit("again").result(10) == "again"
    gatherer.close()


def test_a_cancelled_request_is_left_out() -> None:
    seen: list[int] = []
    go_on = threading.Event()

    def work(items: Sequence[int]) -> list[int | Exception]:
        go_on.wait(10)
        seen.extend(items)
        return list(items)

    gatherer = Gatherer(work, batch_size=1, queue_size=100, patience=0)
    gatherer.submit(1)
    second, third = gatherer.submit(2), gatherer.submit(3)
    assert second.cancel()
    go_on.set()
    assert third.result(10) == 3
    gatherer.close()
    assert seen == [1, 3]
