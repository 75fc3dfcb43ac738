"""A whole ablation in one call: train and evaluate the cells of a grid, summarise them, write the report.

In: a :class:`~classifier.ablate.grid.Grid`, a store and the folder of the runs. Out: an
:class:`~classifier.ablate.ablation.Ablation`, and its report in a folder.
"""

from __future__ import annotations

from pathlib import Path

from classifier.ablate.ablation import Ablation, summarise_grid
from classifier.ablate.cells import CellProgress, ablate
from classifier.ablate.grid import Grid
from classifier.ablate.publish import write_report
from classifier.data.vectors import RAM_BUDGET
from featstore.files import check_output_folder
from featstore.scale.table import LOCAL, open_engine


def run_ablation(
    grid: Grid,
    *,
    store: str | Path = "features",
    runs: str | Path = "runs",
    jobs: int | None = None,
    engine: str = LOCAL,
    report: str | Path | None = None,
    ram_budget: int = RAM_BUDGET,
    progress: CellProgress | None = None,
) -> Ablation:
    """Train and evaluate the cells of a grid that are not complete, and summarise all, as ``cli ablate`` does.

    Args:
        grid: the cells.
        store: the store that holds the vectors.
        runs: the folder of the runs, or its address.
        jobs: number of processes, which run one cell at a time each; None: this one alone, with Ray one for each core
            of the cluster.
        engine: ``local``, ``ray`` (starts Ray on this machine) or ``ray:ADDRESS`` (of a cluster; ``auto``: that of this
            machine). What was begun with one is finished with any other.
        report: the folder for the report (HTML, Markdown, CSV, JSON), or its address; None: none is written.
        ram_budget: bytes of vectors that all processes together may hold in memory.
        progress: called with every event of a cell.

    Returns:
        Rows, paired tests and costs; its ``failed`` has the cells that failed.

    Raises:
        UsageError: the corpus has no such fold, a folder that cannot be written, or an unknown engine; nothing was run.
        DataError: no cell is complete.
        ResourceError: likewise, for want of disk, memory or a permission; or no cluster answers.
        MismatchError: cells belong to different versions of the corpus, or to different encoders of one name.
    """
    if report is not None:
        check_output_folder(Path(report), or_address=True)
    with open_engine(engine, jobs) as opened:
        events = ablate(
            grid,
            store,
            Path(runs),
            jobs=1 if jobs is None else jobs,
            engine=opened,
            ram_budget=ram_budget,
            progress=progress,
        )
    ablation = summarise_grid(grid, events, store, Path(runs))
    if report is not None:
        write_report(ablation, store, Path(report), "classifier.run_ablation")
    return ablation
