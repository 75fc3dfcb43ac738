"""Folders that this machine keeps between runs, because it takes long to fetch or to make them again.

In: a name that stands for all that a folder depends on, such as a digest, and what fills the folder. Out: the folder.
They are below ``$XDG_CACHE_HOME/featstore`` (``~/.cache/featstore``). Any of them may be removed at any time. What was
used longest ago goes when they take more than 20 GB.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_MOST_KEPT = 20 * 10**9  # bytes


def find_kept(name: str) -> Path | None:
    """Return the folder of that name, which counts as used now, or None if there is none."""
    try:
        folder = _root() / name
    except OSError:
        return None
    with suppress(OSError):  # it may be read-only
        os.utime(folder)
    return folder if folder.is_dir() else None


def keep(name: str, size: int, make: Callable[[Path], None]) -> Path:
    """Make a folder and keep it under a name; it appears there whole or not at all.

    Args:
        name: one that :func:`find_kept` did not find.
        size: bytes of what will be in it; older folders go to make room.
        make: fills an empty folder.

    Raises:
        OSError: it cannot be written.
    """
    root = _root()
    _make_room(root, size)
    folder, partial = root / name, root / f".{name}.{secrets.token_hex(4)}"
    try:
        partial.mkdir()
        make(partial)
        with suppress(OSError):  # another process was faster
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def forget(name: str) -> None:
    """Remove what is kept under a name, which was found."""
    shutil.rmtree(_root() / name, ignore_errors=True)


def cache_home() -> Path:
    """Return the folder for what programs keep between runs.

    Raises:
        FileNotFoundError: there is none.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:  # an account of a container may have no home
        raise FileNotFoundError("there is no home folder, and XDG_CACHE_HOME is not set") from error


def _root() -> Path:
    return cache_home() / "featstore"


def _make_room(root: Path, size: int) -> None:
    """Remove the folders that were used longest ago until ``size`` more bytes may be kept."""
    root.mkdir(parents=True, exist_ok=True)
    there = sorted(root.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
    kept = size
    for each in there:
        kept += sum(file.stat().st_size for file in each.rglob("*") if file.is_file())
        if kept > _MOST_KEPT:
            shutil.rmtree(each, ignore_errors=True)
