"""Process waiting requests together, in one thread, in the order in which they came.

In: items, each with a size, from any number of requests at once. Out: the result of each item. While the thread is
busy, requests wait in a queue of bounded length; then it takes all that wait (up to a bound on their size) as one
batch, because the encoders are several times faster on many sentences than on one. A request that finds the thread idle
waits for company for a few milliseconds and no longer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


class QueueFullError(Exception):
    """So many requests are waiting that another one would wait too long."""


@dataclass(slots=True)
class _Waiting(Generic[ItemT, AnswerT]):
    item: ItemT
    size: int
    answer: Future[AnswerT] = field(default_factory=Future)


class Gatherer(Generic[ItemT, AnswerT]):
    """One worker thread in front of which requests queue.

    Args:
        work: takes the items of a batch and returns an answer or an exception for each, in the same order.
        batch_size: the sizes of a batch's items add up to at most so much, unless one item alone is larger.
        queue_size: the sizes of all that wait add up to at most so much.
        patience: seconds for which an idle worker waits for company.
    """

    def __init__(
        self,
        work: Callable[[Sequence[ItemT]], Sequence[AnswerT | Exception]],
        *,
        batch_size: int,
        queue_size: int,
        patience: float = 0.005,
    ) -> None:
        self._work, self._batch_size, self._queue_size, self._patience = work, batch_size, queue_size, patience
        self._waiting: deque[_Waiting[ItemT, AnswerT]] = deque()
        self._size = 0  # of all that wait
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="extraction", daemon=True)
        self._thread.start()

    def submit(self, item: ItemT, size: int = 1) -> Future[AnswerT]:
        """Queue an item.

        Returns:
            A future of its answer. An item whose future is cancelled before its turn is left out.

        Raises:
            QueueFullError: too much waits already, or the gatherer is closed.
        """
        with self._changed:
            if self._closed or (self._waiting and self._size + size > self._queue_size):
                raise QueueFullError
            waiting: _Waiting[ItemT, AnswerT] = _Waiting(item, size)
            self._waiting.append(waiting)
            self._size += size
            self._changed.notify()
            return waiting.answer

    def close(self) -> None:
        """Refuse new items, finish those that wait, and return when that is done."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            running = [waiting for waiting in batch if waiting.answer.set_running_or_notify_cancel()]
            if running:
                self._answer(running)

    def _answer(self, running: Sequence[_Waiting[ItemT, AnswerT]]) -> None:
        try:
            answers = self._work([waiting.item for waiting in running])
        except Exception as error:  # whatever it is, it belongs to those who wait, and the thread lives on
            answers = [error] * len(running)
        for waiting, answer in zip(running, answers, strict=True):
            if isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)

    def _next_batch(self) -> list[_Waiting[ItemT, AnswerT]]:
        """Wait for a batch. An empty one means that the gatherer is closed and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            deadline = time.monotonic() + self._patience
            while not self._closed and self._size < self._batch_size and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            batch: list[_Waiting[ItemT, AnswerT]] = []
            size = 0
            while self._waiting and (not batch or size + self._waiting[0].size <= self._batch_size):
                batch.append(self._waiting.popleft())
                size += batch[-1].size
            self._size -= size
            return batch
