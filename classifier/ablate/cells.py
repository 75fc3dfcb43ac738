"""Run a grid: train and evaluate every cell that is missing. A cell that fails does not stop the others.

In: a :class:`~classifier.ablate.grid.Grid`, a store and the folder of runs. Out: one run folder for each cell, as ``cli
train`` and ``cli eval`` make it, and the outcome of each cell. A complete cell is not run again, so a grid is resumed
by running the same command again. With several processes, each takes one cell at a time from this one, and holds one
corpus and its share of the memory budget. If a process dies, only its cell is lost.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from classifier.ablate.grid import Cell, Grid
from classifier.data.vectors import RAM_BUDGET
from classifier.runs.config import RunConfig, run_corpus
from classifier.runs.facts import FORMAT_VERSION
from classifier.runs.results import read_result
from classifier.systems.folds import evaluate_fold
from classifier.training.epoch import Epoch, Notice
from featstore.errors import FeatstoreError, ResourceError, UsageError
from featstore.files import check_output_folder
from featstore.records import Corpus

PATIENCE = 10.0  # seconds that a process has to end after it was asked to
RUNNING, DONE, KEPT, FAILED = "running", "done", "kept", "failed"


@dataclass(frozen=True, slots=True)
class CellEvent:
    """Something that happened to a cell.

    Attributes:
        cell: the cell.
        status: :data:`RUNNING` after each epoch, then :data:`DONE` or :data:`FAILED`; :data:`KEPT` if the cell was
            complete before.
        epoch: the epoch that has just ended; None at the beginning and at the end.
        error: the error of a failed cell.
        is_resource: whether that is a lack of disk, memory or permission.
        f1: F1 of a complete cell.
    """

    cell: Cell
    status: str
    epoch: Epoch | None = None
    error: str = ""
    is_resource: bool = False
    f1: float | None = None


CellProgress = Callable[[CellEvent], None]


@dataclass(frozen=True, slots=True)
class _Room:
    """The places from which cells read and to which they write."""

    store_root: str
    runs: Path
    ram_budget: int


def ablate(
    grid: Grid,
    store_root: str | Path,
    runs: Path,
    *,
    jobs: int = 1,
    ram_budget: int = RAM_BUDGET,
    progress: CellProgress | None = None,
) -> list[CellEvent]:
    """Run all cells that are not complete.

    Args:
        grid: the cells.
        store_root: the store that holds the vectors.
        runs: the folder of the run folders.
        jobs: number of processes; with one, cells run in this process.
        ram_budget: number of bytes of vectors that all processes together may hold.
        progress: called with every event.

    Returns:
        The outcome of each cell, in the order of the grid.

    Raises:
        UsageError: the corpus does not have one of the folds, or ``runs`` is not a folder; nothing was run.
        KeyboardInterrupt: after the processes have ended; complete cells are kept, and an interrupted one goes on from
            its last saved epoch.
    """
    if jobs < 1:
        raise UsageError(f"{jobs} jobs cannot run a grid; give at least 1.")
    check_output_folder(runs)
    first = grid.cells()[0]
    corpus = run_corpus(first.config)
    for fold in grid.folds:
        corpus.partition(fold)
    last: dict[Cell, CellEvent] = {}

    def tell(event: CellEvent) -> None:
        last[event.cell] = event
        if progress:
            progress(event)

    todo = []
    for cell in grid.cells():
        if cell.is_complete(runs):
            tell(_kept(cell, runs, corpus.digest))
        else:
            todo.append(cell)
    jobs = max(1, min(jobs, len(todo)))
    room = _Room(str(store_root), runs, ram_budget // jobs)
    if jobs == 1:
        loader = _Loader(first.config, corpus)
        for cell in todo:
            _run_cell(cell, room, loader, tell)
    else:
        del corpus
        _share(todo, room, jobs, tell)
    return [last[cell] for cell in grid.cells()]


def _kept(cell: Cell, runs: Path, digest: str) -> CellEvent:
    """Check a complete cell. It counts if its configuration, its corpus and its form of head are the present ones."""
    result = read_result(cell.folder(runs))
    if result.config != cell.config:
        error = f"{result.folder} belongs to another configuration ({result.config.corpus.spec}); "
    elif result.corpus.digest != digest:
        error = f"{result.folder} was trained on another version of the corpus; "
    elif result.format != FORMAT_VERSION:
        error = f"{result.folder} was trained by another version of featstore (format {result.format}); "
    else:
        return CellEvent(cell, KEPT, f1=result.metrics.micro.f1)
    return CellEvent(cell, FAILED, error=f"{error}remove it, or keep these runs in another folder (--runs).")


class _Loader:
    """Loads the corpus of a cell and keeps the last one."""

    def __init__(self, config: RunConfig | None = None, corpus: Corpus | None = None) -> None:
        self._of = config and config.corpus
        self._corpus = corpus

    def __call__(self, config: RunConfig) -> Corpus:
        if self._corpus is None or self._of != config.corpus:
            self._corpus = None  # never hold two corpora at the same time
            self._corpus, self._of = run_corpus(config), config.corpus
        return self._corpus


def _run_cell(cell: Cell, room: _Room, load: _Loader, tell: CellProgress) -> None:
    """Train and evaluate a cell; an error is turned into an event."""

    def report(event: Epoch | Notice) -> None:
        if isinstance(event, Epoch):
            tell(CellEvent(cell, RUNNING, event))

    tell(CellEvent(cell, RUNNING))
    try:
        evaluation = evaluate_fold(
            load(cell.config),
            room.store_root,
            cell.config,
            cell.fold,
            cell.run_dir(room.runs),
            progress=report,
            ram_budget=room.ram_budget,
        )
    except (FeatstoreError, MemoryError, OSError) as error:
        is_resource = isinstance(error, ResourceError) or not isinstance(error, FeatstoreError)
        tell(CellEvent(cell, FAILED, error=str(error) or type(error).__name__, is_resource=is_resource))
    except Exception as error:
        # An error in our own code must not cost the cells that would have worked. The report shows the traceback.
        tell(CellEvent(cell, FAILED, error=f"{type(error).__name__}: {error}\n{traceback.format_exc()}"))
    else:
        tell(CellEvent(cell, DONE, f1=evaluation.metrics.micro.f1))


@dataclass(slots=True, eq=False)
class _Worker:
    """A process and the cell that it works on."""

    process: BaseProcess
    connection: Connection
    cell: Cell | None = None


def _share(cells: Sequence[Cell], room: _Room, jobs: int, tell: CellProgress) -> None:
    """Give cells to ``jobs`` processes, one cell at a time each, until all are done."""
    waiting = deque(cells)
    workers: list[_Worker] = []
    try:
        while waiting or any(worker.cell for worker in workers):
            while waiting and len(workers) < jobs:
                workers.append(_start(room))
            for worker in workers:
                if waiting and worker.cell is None:
                    worker.cell = waiting.popleft()
                    with suppress(BrokenPipeError):  # the process has died; the next look at its connection shows it
                        worker.connection.send(worker.cell)
            ready = wait([worker.connection for worker in workers])
            for worker in [worker for worker in workers if worker.connection in ready]:
                if not _listen(worker, tell):
                    workers.remove(worker)
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join(PATIENCE)
            worker.process.kill()  # has no effect on a process that has ended
            worker.process.join()
            worker.connection.close()


def _listen(worker: _Worker, tell: CellProgress) -> bool:
    """Handle a message of a process; return whether the process is alive."""
    try:
        event: CellEvent = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        if worker.cell:
            code = worker.process.exitcode
            tell(CellEvent(worker.cell, FAILED, error=f"its process ended with code {code}; was it out of memory?"))
        return False
    if event.status != RUNNING:
        worker.cell = None
    tell(event)
    return True


def _start(room: _Room) -> _Worker:
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(room, theirs), daemon=True)
    with _deaf_to_interrupts():
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Block SIGINT inside this context, so that a process that is started here never receives it. Ctrl-C reaches a
    whole group of processes, and only the first of them must act on it."""
    resource_tracker.ensure_running()  # its start, which the first process causes, would let SIGINT through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(room: _Room, connection: Connection) -> None:
    """Run in a process: run cell after cell until the process is ended."""
    load = _Loader()
    try:
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        while True:
            _run_cell(connection.recv(), room, load, connection.send)
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        return  # the parent tells the user
