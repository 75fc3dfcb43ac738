"""Finding runs: by name, the latest, all below a folder, and the encoders that they were trained on.

In: the folder of the runs, and what a user calls a run: its path, or its name below that folder. Out: folders.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from classifier.runs.config import CONFIG
from classifier.runs.facts import RUN, read_run
from featstore.errors import MissingFileError, did_you_mean

_FOLD = re.compile(r"fold-\d+")


def list_runs(runs: Path) -> list[Path]:
    """Return the folders of all runs below ``runs``, at any depth, sorted by path."""
    found = []
    for folder, below, files in os.walk(runs):
        if CONFIG in files and not _FOLD.fullmatch(Path(folder).name):
            found.append(Path(folder))
            below.clear()  # what lies below a run is its own
    return sorted(found)


def is_run(folder: Path) -> bool:
    """Tell whether a folder is a run."""
    return (folder / CONFIG).is_file()


def run_place(name: str, runs: Path) -> Path:
    """Return where the run that a user calls ``name`` lies, or where a new one of that name goes.

    A run in the current folder or at the path ``name`` comes first, then one below ``runs``. A new run goes below
    ``runs`` if its name is a plain word, and to the path ``name`` if it has a slash.
    """
    here, below = Path(name), runs / name
    if is_run(here) or (os.sep in name and not is_run(below)):
        return here
    return below


def find_run(name: str, runs: Path) -> Path:
    """Return the folder of a run that is named by its path, or by its name below ``runs``.

    Raises:
        MissingFileError: there is no such run.
    """
    folder = run_place(name, runs)
    if is_run(folder):
        return folder
    known = [str(each.relative_to(runs)) for each in list_runs(runs)]
    ls = shlex.join(["cli", "runs", "ls", "--runs", str(runs)])
    raise MissingFileError(
        f"there is no run '{name}', neither at that path nor below {runs}; `{ls}` lists the runs."
        f"{did_you_mean(name, known)}"
    )


def latest_run(runs: Path) -> Path:
    """Return the run below ``runs`` that was trained last.

    Raises:
        MissingFileError: there is none.
    """
    found = list_runs(runs)
    if not found:
        train = shlex.join(["cli", "train", "--runs", str(runs)])
        raise MissingFileError(f"{runs} holds no run; `{train}` makes one, or name one with --run.")
    return max(found, key=lambda run: (max(p.stat().st_mtime_ns for p in run.glob(f"**/{CONFIG}")), str(run)))


def encoders_in_use(folders: Iterable[Path]) -> set[str]:
    """Return the identities of all encoders that the heads in the folders of runs were trained on.

    Raises:
        DataError, MismatchError: a checkpoint that cannot be read; better to stop than to call its features unused.
    """
    trained = [read_run(path.parent) for folder in folders for path in folder.glob(f"fold-*/{RUN}")]
    return {spec.identity for facts in trained for spec in facts.features}
