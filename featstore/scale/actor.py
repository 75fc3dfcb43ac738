"""What runs in an actor of a Ray cluster (:mod:`featstore.scale.on_ray`).

In: a pickled job and its items. Out: results, each with what the worker logged meanwhile. Ray sends this module by
value, and it imports nothing of the project or of other packages before it has compared their versions: a node on which
something is missing can still say so.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import pickle
import platform
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

Logged = tuple[str, int, str]  # the logger, the level, the message


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of Python and of ``packages`` on this machine; ``none`` where one is not installed."""
    found = {"Python": ".".join(map(str, sys.version_info[:2]))}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "none"
    return found


class Actor:
    """A worker: it loads once, then does what it is given."""

    def load(self, job: bytes, wanted: Mapping[str, str], folder: str) -> str:
        """Compare versions, and load what the job needs if they are the same.

        Args:
            job: the job, pickled.
            wanted: the versions of the machine where the command runs.
            folder: the folder that names of files are relative to, where this node has it.

        Returns:
            how this node differs, in words; empty if it does not.
        """
        found = versions([name for name in wanted if name != "Python"])
        differing = [
            f"{name} {found[name]}, not {version}" for name, version in wanted.items() if found[name] != version
        ]
        if differing:
            return f"the node {platform.node()} has {'; '.join(differing)}"
        if os.path.isdir(folder):
            os.chdir(folder)
        self._records = _Records(logging.INFO)
        for handler in list(logging.root.handlers):
            logging.root.removeHandler(handler)
        logging.root.addHandler(self._records)
        self._held = ExitStack()
        self._do = self._held.enter_context(pickle.loads(job).worker())
        return ""

    def do(self, item: object) -> tuple[Any, list[Logged]]:
        """Do an item; return its result and what was logged."""
        result = self._do(item)
        return result, self._records.taken()


class _Records(logging.Handler):
    """Keeps what is logged until it is taken."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._kept: list[Logged] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append((record.name, record.levelno, f"{platform.node()}: {record.getMessage()}"))

    def taken(self) -> list[Logged]:
        kept, self._kept = self._kept, []
        return kept
