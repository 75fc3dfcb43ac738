"""Run a grid: train and evaluate every cell that is missing. A cell that fails does not stop the others.

In: a :class:`~classifier.ablate.grid.Grid`, a store and the folder of runs. Out: one run folder for each cell, as ``cli
train`` and ``cli eval`` make it, and the outcome of each cell. A complete cell is not run again, so a grid is resumed
by running the same command again. The workers of an engine (:mod:`featstore.scale.engine`) are given one cell at a time
each, and hold one corpus and their share of the memory budget. If a worker dies, another goes on with its cell from the
last saved epoch.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from classifier.ablate.grid import Cell, Grid
from classifier.data.vectors import RAM_BUDGET
from classifier.runs.config import RunConfig, differing_options, run_corpus
from classifier.runs.facts import FORMAT_VERSION
from classifier.runs.results import read_result
from classifier.systems.folds import evaluate_fold
from classifier.systems.table import find_system
from classifier.training.epoch import Epoch, Notice
from featstore.addresses import spelled
from featstore.errors import FeatstoreError, ResourceError, UsageError
from featstore.files import check_output_folder
from featstore.records import Corpus
from featstore.scale.engine import Engine, Tell
from featstore.scale.local import LocalEngine

LOST = "the processes that were given it ended before it was done; is there too little memory? Fewer --jobs need less."
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
    engine: Engine | None = None,
    ram_budget: int = RAM_BUDGET,
    progress: CellProgress | None = None,
) -> list[CellEvent]:
    """Run all cells that are not complete.

    Args:
        grid: the cells.
        store_root: the store that holds the vectors.
        runs: the folder of the run folders, or its address.
        jobs: number of processes of this machine; with one, cells run in this process.
        engine: whose workers run the cells, in place of ``jobs``.
        ram_budget: number of bytes of vectors that all processes of a machine together may hold.
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
    check_output_folder(runs, or_address=True)
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
    if engine is None and min(jobs, len(todo)) > 1:
        engine = LocalEngine(min(jobs, len(todo)))
    if engine is None:
        loader = _Loader(first.config, corpus)
        for cell in todo:
            tell(_run_cell(cell, _Room(str(store_root), runs, ram_budget), loader, tell))
    else:
        del corpus
        sharing = max(1, min(engine.workers_a_machine, len(todo)))
        _share(todo, _Room(str(store_root), runs, ram_budget // sharing), engine, tell)
    return [last[cell] for cell in grid.cells()]


def _kept(cell: Cell, runs: Path, digest: str) -> CellEvent:
    """Check a complete cell. It counts if its configuration, its corpus and its form of head are the present ones."""
    result = read_result(cell.folder(runs))
    place = spelled(result.folder)
    choice = cell.config.system
    usual = asdict(find_system(choice.name).options()) if choice else {}
    if differing := differing_options(result.config, cell.config, usual):
        error = f"{place} belongs to another configuration ({'; '.join(differing)}); "
    elif result.corpus.digest != digest:
        error = f"{place} was trained on another version of the corpus; "
    elif result.format != FORMAT_VERSION:
        error = f"{place} was trained by another version of featstore (format {result.format}); "
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


def _run_cell(cell: Cell, room: _Room, load: _Loader, tell: CellProgress) -> CellEvent:
    """Train and evaluate a cell; tell of each epoch, and return how it ended, if with an error."""

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
    except BrokenPipeError:
        raise  # nobody hears this process any more
    except (FeatstoreError, MemoryError, OSError) as error:
        is_resource = isinstance(error, ResourceError) or not isinstance(error, FeatstoreError)
        return CellEvent(cell, FAILED, error=str(error) or type(error).__name__, is_resource=is_resource)
    except Exception as error:
        # An error in our own code must not cost the cells that would have worked. The report shows the traceback.
        return CellEvent(cell, FAILED, error=f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
    return CellEvent(cell, DONE, f1=evaluation.metrics.micro.f1)


@dataclass(frozen=True, slots=True)
class CellJob:
    """The running of cells by workers (:mod:`featstore.scale.engine`); a worker tells of each epoch.

    Attributes:
        room: where cells read and write.
    """

    room: _Room

    @contextmanager
    def worker(self, tell: Tell) -> Iterator[Callable[[Cell], CellEvent]]:
        """Return what runs a cell; the corpus is loaded with the first one that reads it."""
        load = _Loader()
        yield partial(_run_cell, room=self.room, load=load, tell=tell)


def _share(cells: Sequence[Cell], room: _Room, engine: Engine, tell: CellProgress) -> None:
    """Have workers run the cells."""

    def hear(told: object) -> None:
        assert isinstance(told, CellEvent)
        tell(told)

    with closing(engine.run(CellJob(room), cells, hear)) as done:
        for each in done:
            lost = CellEvent(cells[each.number], FAILED, error=LOST, is_resource=True)
            tell(lost if each.result is None else each.result)
