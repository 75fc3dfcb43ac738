"""Finding runs: by name, the latest, all below a folder, and the encoders that they were trained on.

In: the folder of the runs or its address, and what a user calls a run: its path, its address, or its name below that
folder. Out: folders, or addresses as paths.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path, PurePath

from classifier.runs.config import CONFIG, trained_folds
from classifier.runs.facts import RUN, read_run
from featstore.addresses import address_of, files_below, is_there, spelled
from featstore.copies import files_at_once
from featstore.errors import MissingFileError, did_you_mean

_FOLD = re.compile(r"fold-\d+")


def list_runs(runs: Path) -> list[Path]:
    """Return the folders of all runs below ``runs``, a folder or an address, at any depth, sorted by path."""
    if address_of(runs):
        return _runs_at(runs)
    found = []
    for folder, below, files in os.walk(runs):
        if CONFIG in files and not _FOLD.fullmatch(Path(folder).name):
            found.append(Path(folder))
            below.clear()  # what lies below a run is its own
    return sorted(found)


def _runs_at(runs: Path) -> list[Path]:
    """Return all runs below an address."""
    folders = [PurePath(name).parent for name in files_below(runs) if PurePath(name).name == CONFIG]
    found = {folder for folder in folders if not _FOLD.fullmatch(folder.name)}
    return sorted(runs / folder for folder in found if not found.intersection(folder.parents))


def is_run(folder: Path) -> bool:
    """Tell whether a folder, or an address, is a run."""
    if address_of(folder):
        return is_there(folder / CONFIG)
    return os.path.isfile(folder / CONFIG)  # False too where no file can be


def run_place(name: str, runs: Path) -> Path:
    """Return where the run that a user calls ``name`` lies, or where a new one of that name goes.

    A run in the current folder or at the path ``name`` comes first, then one below ``runs``. A new run goes below
    ``runs`` if its name is a plain word, and to the path ``name`` if it has a slash. Both may be addresses.
    """
    here, below = Path(name), runs / name
    if address_of(name) or is_run(here) or (os.sep in name and not is_run(below)):
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
    if address := address_of(name):
        ls = shlex.join(["cli", "runs", "ls", "--runs", address.rstrip("/").rpartition("/")[0]])
        raise MissingFileError(f"there is no run at {address}; `{ls}` lists the runs beside it.")
    known = [str(each.relative_to(runs)) for each in list_runs(runs)]
    ls = shlex.join(["cli", "runs", "ls", "--runs", spelled(runs)])
    raise MissingFileError(
        f"there is no run '{name}', neither at that path nor below {spelled(runs)}; `{ls}` lists the runs."
        f"{did_you_mean(name, known)}"
    )


def latest_run(runs: Path) -> Path:
    """Return the run below ``runs`` that was trained last.

    Raises:
        MissingFileError: there is none.
    """
    found = list_runs(runs)
    if not found:
        train = shlex.join(["cli", "train", "--runs", spelled(runs)])
        raise MissingFileError(f"{spelled(runs)} holds no run; `{train}` makes one, or name one with --run.")
    trained = dict.fromkeys(found, 0.0)
    for name, time in files_below(runs).items():
        if PurePath(name).name == CONFIG:  # of a run, or of a fold of it
            for run in trained.keys() & set((runs / name).parents):
                trained[run] = max(trained[run], time)
    return max(found, key=lambda run: (trained[run], str(run)))


def fold_folder(run_dir: Path, fold: int | None = None, store: str | None = None) -> Path:
    """Return the folder of a trained fold of a run.

    Args:
        run_dir: the run's folder.
        fold: the fold; None: the first that is trained.
        store: the store that the message names, if it is known.

    Raises:
        MissingFileError: the fold is not trained; the text says which are.
    """
    trained = trained_folds(run_dir)
    if not trained or (fold is not None and fold not in trained):
        here = f"its trained folds are {', '.join(map(str, trained))}" if trained else "none of its folds is trained"
        wanted = fold or 1
        train = [
            "cli",
            "eval",
            "--fold",
            str(wanted),
            "--run",
            spelled(run_dir),
            *(["--store", store] if store else []),
        ]
        elsewhere = "" if store else " (add --store if its vectors are in another store than usual)"
        raise MissingFileError(
            f"{spelled(run_dir)} has no trained fold {wanted}; {here}. `{shlex.join(train)}` trains it{elsewhere}."
        )
    return run_dir / f"fold-{trained[0] if fold is None else fold}"


def encoders_in_use(folders: Iterable[Path]) -> set[str]:
    """Return the identities of all encoders that the heads in the folders of runs were trained on.

    Raises:
        DataError, MismatchError: a checkpoint that cannot be read; better to stop than to call its features unused.
    """
    found: set[str] = set()
    for folder in folders:
        with files_at_once(folder, (RUN,)) as place:
            trained = [read_run(place / f"fold-{fold}") for fold in trained_folds(place)]
        found.update(spec.identity for facts in trained for spec in facts.features)
    return found
