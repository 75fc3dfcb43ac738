"""The engine of this machine: worker processes, each with a pipe of its own.

In: a job and its items. Out: results. A worker has one thread of the matrix products. It announces that it is ready,
then gets an item for each result that it sends. (A queue's lock would stay locked if its holder were killed.) An
interrupt reaches the workers as an interrupt; they may commit what they have.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import traceback
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from threading import Lock
from types import FrameType
from typing import Any, Generic

from featstore.errors import FeatstoreError, ResourceError
from featstore.scale.actor import Forward, Logged
from featstore.scale.engine import Done, Handed, Handout, Job, OutcomeT, Tell, WorkT

_log = logging.getLogger(__name__)
_CONTEXT = multiprocessing.get_context("spawn")  # a forked torch may hang
_PATIENCE = 30.0  # seconds that a worker has to commit and end after an interrupt


@dataclass(frozen=True, slots=True)
class _Ready:
    """What a worker sends once it has loaded what it needs."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a worker tells while it is at an item."""

    what: object


@dataclass(frozen=True, slots=True)
class _Log:
    """What a worker has logged."""

    logged: Logged


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
        with _interrupts_wait():  # until the worker can do something sensible about one
            self.process.start()
        theirs.close()
        self.handed: Handed[WorkT] = handed
        self.is_ready = False

    def interrupt(self) -> None:
        with suppress(ProcessLookupError):
            if self.process.pid is not None and self.process.is_alive():
                os.kill(self.process.pid, signal.SIGINT)

    def join(self, seconds: float | None = None) -> None:
        """Wait for the end, which is near; after so many seconds, force it."""
        self.end.close()  # a worker that waits for an item ends
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.kill()
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

    @property
    def workers_a_machine(self) -> int:
        return self._workers

    def run(
        self, job: Job[WorkT, OutcomeT], items: Iterable[WorkT], hear: Tell | None = None
    ) -> Generator[Done[OutcomeT], None, None]:
        """Do all items; see :class:`~featstore.scale.engine.Engine`."""
        crew = _Crew(job, self._workers, Handout(items), hear)
        try:
            while crew.is_working():
                yield from crew.ended()
        except BaseException:
            crew.interrupt()
            raise


class _Crew(Generic[WorkT]):
    """The workers of a run, each with an item."""

    def __init__(self, job: object, size: int, handout: Handout[WorkT], hear: Tell | None) -> None:
        self._job, self._size, self._handout, self._hear = job, size, handout, hear
        self._workers: dict[Connection, _Worker[WorkT]] = {}
        self._lost_loading = 0

    def is_working(self) -> bool:
        """Start workers while there are items for them; return whether there is anything to wait for."""
        while len(self._workers) < self._size and (handed := self._handout.next()) is not None:
            worker = _Worker(self._job, handed)
            self._workers[worker.end] = worker
        if self._workers:
            self._handout.look_ahead()
        return bool(self._workers)

    def ended(self) -> Iterator[Done[Any]]:
        """Wait until there is something to hear, and yield what became of items.

        Raises:
            FeatstoreError: what ended the work on an item.
            ResourceError: too many workers were lost before they could do anything.
        """
        for end in wait(list(self._workers)):
            assert isinstance(end, Connection)
            worker = self._workers[end]
            try:
                message = end.recv()
            except (EOFError, ConnectionResetError):
                yield from self._lost(worker)
                continue
            if isinstance(message, _Failed):
                raise message.error or RuntimeError(f"a worker failed:\n{message.text}")
            if isinstance(message, _Log):
                name, level, text = message.logged
                logging.getLogger(name).log(level, "%s", text)
            elif not isinstance(message, _Told):
                yield from self._answered(worker, message)
            elif self._hear:
                self._hear(message.what)

    def _answered(self, worker: _Worker[WorkT], result: object) -> Iterator[Done[Any]]:
        """Take the result of a worker, or that it is ready, after it was given what comes next, or was let go."""
        done = Done(worker.handed.number, result) if worker.is_ready else None
        handed = self._handout.next() if worker.is_ready else worker.handed
        worker.is_ready = True
        if handed is None:
            del self._workers[worker.end]
            worker.join()
        else:
            worker.handed = handed
            try:
                worker.end.send(handed.item)
            except (BrokenPipeError, ConnectionResetError):
                yield from self._lost(worker)
        if done:
            yield done

    def _lost(self, worker: _Worker[WorkT]) -> Iterator[Done[Any]]:
        """Have the item of a worker that has ended done by another, unless it was the last to try."""
        del self._workers[worker.end]
        worker.join()
        how = f"(exit code {worker.process.exitcode})"
        _log.warning("a worker is lost %s.", how)
        if worker.is_ready:
            if not self._handout.lost(worker.handed):
                yield Done(worker.handed.number, None)
            return
        self._lost_loading += 1
        if self._lost_loading > self._size:
            raise ResourceError(
                f"a worker ended while it was loading {how}; is there memory for so many? Fewer --workers need less."
            )
        self._handout.give_back(worker.handed)

    def interrupt(self) -> None:
        """End all workers; they may commit what they have."""
        for worker in self._workers.values():
            worker.interrupt()
        for worker in self._workers.values():
            worker.join(_PATIENCE)


def _work(job: Job[WorkT, OutcomeT], end: Connection) -> None:
    """Run in a worker process: load, then do what comes until nothing more does."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the job imports torch
    lock = Lock()  # threads of libraries log, too

    def send(message: object) -> None:
        with lock:
            end.send(message)

    Forward(lambda logged: send(_Log(logged))).install()
    signal.signal(signal.SIGINT, _interrupt_once)
    with suppress(KeyboardInterrupt, BrokenPipeError):  # the parent tells the user, or is gone
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        try:
            with job.worker(lambda told: send(_Told(told))) as do:
                send(_Ready())
                for item in _received(end):
                    send(do(item))
        except FeatstoreError as error:
            send(_Failed(error, traceback.format_exc()))
        except BrokenPipeError:
            raise
        except Exception:
            send(_Failed(None, traceback.format_exc()))


def _received(end: Connection) -> Iterator[Any]:
    """Yield the items that the parent sends, until it has no more or is gone."""
    with suppress(EOFError, ConnectionResetError):
        while True:
            yield end.recv()


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    """Interrupt what a worker does; a second signal must not interrupt its commit."""
    del number, frame
    # Not SIG_IGN: Python prints a traceback where a signal that has arrived finds that one in place of its handler.
    signal.signal(signal.SIGINT, _disregard)
    raise KeyboardInterrupt


def _disregard(number: int, frame: FrameType | None) -> None:
    """Do nothing."""
    del number, frame


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Block SIGINT inside this context, so that it waits in a process that is started here until that unblocks it."""
    resource_tracker.ensure_running()  # its start, which the first process causes, would let SIGINT through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
