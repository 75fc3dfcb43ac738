"""The engine of this machine: worker processes, each with a pipe of its own.

In: a job and its items. Out: results. A worker has one thread of the matrix products. It announces that it is ready,
then gets an item for each result that it sends, so the pipes hold one message at most. (A queue's lock would stay
locked if its holder were killed.) An interrupt reaches the workers as an interrupt; they may commit what they have.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any, Generic

from featstore.errors import FeatstoreError, ResourceError
from featstore.scale.engine import Done, Handed, Handout, Job, OutcomeT, WorkT

_CONTEXT = multiprocessing.get_context("spawn")  # a forked torch may hang


@dataclass(frozen=True, slots=True)
class _Ready:
    """What a worker sends once it has loaded what it needs."""


@dataclass(frozen=True, slots=True)
class _Failed:
    """What a worker sends when an item, or the loading, raised an error.

    Attributes:
        error: the error, where it is one of the project's.
        text: its traceback.
    """

    error: FeatstoreError | None
    text: str


class _Worker(Generic[WorkT]):
    """A worker process, seen from outside, and the item that it has or will get."""

    def __init__(self, job: object, handed: Handed[WorkT]) -> None:
        self.end, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_work, args=(job, theirs))
        self.process.start()
        theirs.close()
        self.handed: Handed[WorkT] = handed
        self.is_ready = False

    def interrupt(self) -> None:
        with suppress(ProcessLookupError):
            if self.process.pid is not None and self.process.is_alive():
                os.kill(self.process.pid, signal.SIGINT)

    def join(self) -> None:
        self.end.close()  # a worker that waits for an item ends
        self.process.join()


class LocalEngine:
    """Processes of this machine.

    Args:
        workers: how many.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    @property
    def workers(self) -> int:
        return self._workers

    def run(self, job: Job[WorkT, OutcomeT], items: Iterable[WorkT]) -> Generator[Done[OutcomeT], None, None]:
        """Do all items; see :class:`~featstore.scale.engine.Engine`."""
        handout = Handout(items)
        busy: dict[Connection, _Worker[WorkT]] = {}
        try:
            while True:
                while len(busy) < self._workers and (handed := handout.next()) is not None:
                    worker = _Worker(job, handed)
                    busy[worker.end] = worker
                if not busy:
                    return
                for end in wait(list(busy)):
                    assert isinstance(end, Connection)
                    yield from _advance(busy, busy[end], handout)
        except BaseException:
            for worker in busy.values():
                worker.interrupt()
            raise
        finally:
            for worker in busy.values():
                worker.join()


def _advance(
    busy: dict[Connection, _Worker[WorkT]], worker: _Worker[WorkT], handout: Handout[WorkT]
) -> Iterator[Done[OutcomeT]]:
    """Take a worker's message and give it what comes next; a worker that is lost, or has nothing to do, is let go."""
    try:
        message = worker.end.recv()
        if isinstance(message, _Failed):
            raise message.error or RuntimeError(f"a worker failed:\n{message.text}")
        handed: Handed[WorkT] | None = worker.handed
        if worker.is_ready:
            yield Done(worker.handed.number, message)
            handed = handout.next()
        worker.is_ready = True
        if handed is not None:
            worker.handed = handed
            worker.end.send(handed.item)
            return
    except (EOFError, BrokenPipeError, ConnectionResetError) as error:
        if not worker.is_ready:
            worker.process.join()
            raise ResourceError(
                f"a worker ended while it was loading (exit code {worker.process.exitcode}); is there memory for "
                "so many? Fewer --workers need less."
            ) from error
        if not handout.lost(worker.handed):
            yield Done(worker.handed.number, None)
    del busy[worker.end]
    worker.join()


def _work(job: Job[WorkT, OutcomeT], end: Connection) -> None:
    """Run in a worker process: load, then do what comes until nothing more does."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the job imports torch
    signal.signal(signal.SIGINT, _interrupt_once)
    with suppress(KeyboardInterrupt, BrokenPipeError):  # the parent tells the user, or is gone
        try:
            with job.worker() as do:
                end.send(_Ready())
                for item in _received(end):
                    end.send(do(item))
        except FeatstoreError as error:
            end.send(_Failed(error, traceback.format_exc()))
        except BrokenPipeError:
            raise
        except Exception:
            end.send(_Failed(None, traceback.format_exc()))


def _received(end: Connection) -> Iterator[Any]:
    """Yield the items that the parent sends, until it has no more or is gone."""
    with suppress(EOFError, ConnectionResetError):
        while True:
            yield end.recv()


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    """Interrupt what a worker does; a second signal must not interrupt its commit."""
    del number, frame
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
