"""A job for the engines, whose items say what shall happen to them; and an engine that needs no process."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from featstore.errors import DataError, ResourceError
from featstore.scale import Done
from featstore.scale.engine import Tell

_log = logging.getLogger("featstore.toy")


@dataclass(frozen=True)
class ToyJob:
    """Squares numbers. Each process that loads, and each that is at an item, leaves a file in ``folder``."""

    folder: Path
    loading: str = ""

    @contextmanager
    def worker(self, tell: Tell) -> Iterator[Callable[[tuple[str, int]], int]]:
        self._note("loaded")
        if self.loading == "data":
            raise DataError("the weights are damaged.")
        if self.loading == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        _log.info("loaded")
        yield partial(self._do, tell)

    def _do(self, tell: Tell, item: tuple[str, int]) -> int:
        what, number = item
        if what == "say":
            tell(("began", number))
            _log.warning("at %s", number)
            tell(("ends", number))
        self._note(f"{what}-{number}")
        if what == "kill" or (what == "kill once" and len(list(self.folder.glob(f"{what}-{number}-*"))) == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "full":
            raise ResourceError("the disk is full.")
        if what == "bug":
            raise IndexError("a bug")
        if what == "sleep":
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                self._note("committed")
                raise
        return number * number

    def _note(self, what: str) -> None:
        (self.folder / f"{what}-{os.getpid()}").touch()

    def pids(self, what: str) -> list[int]:
        """The processes that left a file."""
        return [int(path.name.rpartition("-")[2]) for path in self.folder.glob(f"{what}-*")]


@dataclass
class Backwards:
    """An engine whose only worker is this process; results come last first, two at a time, and some are lost."""

    lost: Sequence[int] = ()
    workers: int = 2
    workers_a_machine: int = 2

    def run(self, job: Any, items: Iterable[Any], hear: Tell | None = None) -> Generator[Done[Any], None, None]:
        held: list[Done[Any]] = []
        with job.worker(hear) as do:
            for number, item in enumerate(items):
                held.append(Done(number, None if number in self.lost else do(item)))
                if len(held) == 2:
                    yield from reversed(held)
                    held = []
            yield from held
