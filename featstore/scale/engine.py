"""Jobs, items and engines: who works on what.

A *job* is work that falls into *items* which do not need each other: shards of sentences, blocks of documents, cells of
a grid. A *worker* is a process that loads what the job needs, such as an encoder, once, and then does item after item.
An *engine* starts workers, hands them items and yields what they return. There is one for the processes of this machine
(:mod:`featstore.scale.local`) and one for those of a Ray cluster (:mod:`featstore.scale.on_ray`). While a worker is at
an item it may tell how far it is, and what it logs is logged where the engine was started.

Doing an item twice must do no harm and give the same: the item of a worker that is lost goes to another worker. What an
item leaves behind, a shard for instance, is committed before its result is returned, so nothing else is lost with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

WorkT = TypeVar("WorkT")
OutcomeT = TypeVar("OutcomeT")
_Item = TypeVar("_Item", contravariant=True)
_Result = TypeVar("_Result", covariant=True)
Tell = Callable[[object], None]
TRIES = 2  # workers that an item is given to: one that kills two of them would kill them all


class Job(Protocol[_Item, _Result]):
    """What workers do. A job is pickled and sent to each worker, so it holds names and options, not loaded things."""

    def worker(self, tell: Tell) -> AbstractContextManager[Callable[[_Item], _Result]]:
        """Load what the items need, and return what does one item. It is entered once in each worker.

        Args:
            tell: takes anything that can be pickled to whoever started the engine, before the result of the item.

        Raises:
            FeatstoreError: what is needed is not there; this ends the run.
        """
        ...


@dataclass(frozen=True, slots=True)
class Done(Generic[OutcomeT]):
    """What became of an item.

    Attributes:
        number: which item it was, counted from 0 in the order in which they came.
        result: what the worker returned; None if every worker that was given the item was lost.
    """

    number: int
    result: OutcomeT | None


class Engine(Protocol):
    """Where the items of a job are done."""

    @property
    def workers(self) -> int:
        """How many workers there are, at most."""
        ...

    @property
    def workers_a_machine(self) -> int:
        """How many of them share a machine, at most."""
        ...

    def run(
        self, job: Job[WorkT, OutcomeT], items: Iterable[WorkT], hear: Tell | None = None
    ) -> Generator[Done[OutcomeT], None, None]:
        """Do all items and yield what became of each, as they end. Close the generator to end the workers early.

        Args:
            job: what is done with an item.
            items: the items; one is taken when a worker is free for it, or just before, so that no worker waits
                while an item is made or a result is used.
            hear: called in this process with what workers tell.

        Raises:
            FeatstoreError: what ended the work on an item; the other workers are ended, too.
            ResourceError: a worker was lost before it could do anything.
        """
        ...


@dataclass(frozen=True, slots=True)
class Handed(Generic[WorkT]):
    """An item in the hands of a worker.

    Attributes:
        number: which item it is.
        item: the item.
        tries: how many workers it has been given to.
    """

    number: int
    item: WorkT
    tries: int = 1


class Handout(Generic[WorkT]):
    """Hands out items, and once more those of lost workers."""

    def __init__(self, items: Iterable[WorkT]) -> None:
        self._rest = enumerate(items)
        self._again: deque[Handed[WorkT]] = deque()

    def next(self) -> Handed[WorkT] | None:
        """Return what the next free worker shall do, or None if nothing is left."""
        if self._again:
            return self._again.popleft()
        return next((Handed(number, item) for number, item in self._rest), None)

    def look_ahead(self) -> None:
        """Have an item at hand for the worker that is free next."""
        if not self._again and (handed := self.next()) is not None:
            self._again.append(handed)

    def give_back(self, handed: Handed[WorkT]) -> None:
        """Take an item back that no worker has seen."""
        self._again.appendleft(handed)

    def lost(self, handed: Handed[WorkT]) -> bool:
        """Note that the worker of an item was lost; return whether the item will be given to another."""
        if handed.tries >= TRIES:
            return False
        self._again.append(replace(handed, tries=handed.tries + 1))
        return True


def in_order(done: Iterable[Done[OutcomeT]]) -> Iterator[Done[OutcomeT]]:
    """Yield what became of items in the order of the items; what comes too early waits in memory."""
    early: dict[int, Done[OutcomeT]] = {}
    number = 0
    for each in done:
        early[each.number] = each
        while number in early:
            yield early.pop(number)
            number += 1
