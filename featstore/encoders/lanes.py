"""How sentences of any length share a recurrent network without padding: laid end to end in lanes.

In: the distinct beginnings of the sentences. Out: an order in which they go through the network, one of every lane a
step. A lane is a row of the network's batch. Where sentences part, the state is kept, and each continuation is read
from it in some lane; what begins a sentence is read from a zero state. So every step multiplies a full batch of one
shape, a long sentence passes its state on and needs no extra room, nothing is padded, and what sentences share is read
once. Of what may be read next, the segment that has the longest way to go comes first, so that the lanes end at about
the same step. The batch is smaller only there, and where too few sentences have begun to part.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from featstore.encoders.beginnings import Beginnings, Ints

ZERO = 0  # the slot that holds the zero state


@dataclass(frozen=True, slots=True, eq=False)
class LaneSchedule:
    """Beginnings in the order in which a network reads their last items.

    Attributes:
        rows: the beginnings of all steps, step after step, lane after lane. Shape: (beginnings,).
        begins: first row of each step, and the number of rows. Shape: (steps + 1,).
        loads: for a step, the lanes that go on from a kept state, and the slots that hold it.
        keeps: for a step, the lanes whose states are kept after it, and the slots that they are put in.
        lanes: the largest batch.
        slots: number of slots; ZERO is the first.
    """

    rows: Ints
    begins: Ints
    loads: Mapping[int, tuple[Ints, Ints]]
    keeps: Mapping[int, tuple[Ints, Ints]]
    lanes: int
    slots: int

    def blocks(self, rows: int) -> Iterator[range]:
        """Yield ranges of steps that hold about ``rows`` rows each, at least one step."""
        first, last = 0, len(self.begins) - 1
        while first < last:
            end = int(np.searchsorted(self.begins, self.begins[first] + rows, side="right")) - 1
            end = max(first + 1, end)
            yield range(first, end)
            first = end


def schedule(beginnings: Beginnings, lanes: int) -> LaneSchedule:
    """Lay beginnings in at most ``lanes`` lanes."""
    plan = _Plan(beginnings, lanes)
    plan.fill(0)
    while plan.running:
        step = plan.next_end()
        plan.end(step)
        plan.fill(step)
    return plan.schedule()


@dataclass(slots=True)
class _Run:
    """A segment in a lane: the beginning that is read at the step ``since``, and the step after the last one."""

    segment: int
    beginning: int
    since: int
    until: int


@dataclass(slots=True)
class _Events:
    """Lanes and slots, by step."""

    at: dict[int, tuple[list[int], list[int]]] = field(default_factory=dict)

    def add(self, step: int, lane: int, slot: int) -> None:
        lanes, slots = self.at.setdefault(step, ([], []))
        lanes.append(lane)
        slots.append(slot)

    def arrays(self) -> dict[int, tuple[Ints, Ints]]:
        return {step: (np.array(lanes), np.array(slots)) for step, (lanes, slots) in self.at.items()}


class _Plan:
    """A schedule in the making.

    Attributes:
        waiting: segments that may be read, as a heap: minus the way to go, the segment, the slot of the state before.
        running: what each lane reads; None in a lane that has ended.
    """

    def __init__(self, beginnings: Beginnings, lanes: int) -> None:
        self._bounds: list[int] = beginnings.bounds.tolist()
        self._most = lanes
        self._next: list[list[int]] = [[] for _ in beginnings.parents]
        self._way = np.diff(beginnings.bounds).tolist()
        for segment, parent in reversed(list(enumerate(beginnings.parents.tolist()))):
            if parent >= 0:
                self._next[parent].append(segment)
                own = self._bounds[parent + 1] - self._bounds[parent]
                self._way[parent] = max(self._way[parent], own + self._way[segment])
        self.waiting = [(-self._way[s], s, ZERO) for s, p in enumerate(beginnings.parents.tolist()) if p < 0]
        heapq.heapify(self.waiting)
        self.running: list[_Run | None] = []
        self._loads, self._keeps = _Events(), _Events()
        self._readers: dict[int, int] = {}  # of a slot: segments that are still to be read from it
        self._free, self._slots, self._widest = list[int](), ZERO + 1, 0
        self._pieces: list[tuple[int, int, int, int]] = []

    def fill(self, step: int) -> None:
        """Begin in every free lane what waits; then close the gaps, so that the lanes in use are the first ones."""
        spent: list[int] = []
        free = [lane for lane, run in enumerate(self.running) if run is None]
        wanted = min(len(self.waiting), len(free) + self._most - len(self.running))
        more = max(0, wanted - len(free))
        free += range(len(self.running), len(self.running) + more)
        self.running += [None] * more
        for lane in free[:wanted]:
            _, segment, slot = heapq.heappop(self.waiting)
            first, end = self._bounds[segment : segment + 2]
            self.running[lane] = _Run(segment, first, step, step + end - first)
            self._loads.add(step, lane, slot)
            spent += self._read(slot)
        for lane in free[wanted:]:
            while self.running and self.running[-1] is None:
                self.running.pop()
            if lane < len(self.running) and (run := self.running.pop()):
                self._piece(len(self.running), run, step)
                slot = self._keep(step, len(self.running), 1)
                self._loads.add(step, lane, slot)
                spent += self._read(slot)
                self.running[lane] = _Run(run.segment, run.beginning + step - run.since, step, run.until)
        self._free += spent  # only now: a state that is kept before a step must not replace one that is loaded in it
        self._widest = max(self._widest, len(self.running))

    def next_end(self) -> int:
        """Return the next step before which a lane ends."""
        return min(run.until for run in self.running if run is not None)

    def end(self, step: int) -> None:
        """End the lanes whose segments have been read before ``step``, and let what continues them wait."""
        for lane, run in enumerate(self.running):
            if run is not None and run.until == step:
                self._piece(lane, run, step)
                self.running[lane] = None
                if following := self._next[run.segment]:
                    slot = self._keep(step, lane, len(following))
                    for segment in following:
                        heapq.heappush(self.waiting, (-self._way[segment], segment, slot))

    def schedule(self) -> LaneSchedule:
        first, count, lane, since = np.array(self._pieces, dtype=np.int64).reshape(-1, 4).T
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        step, beginning = np.repeat(since, count) + within, np.repeat(first, count) + within
        begins = np.append(0, np.cumsum(np.bincount(step)))
        rows = beginning[np.lexsort((np.repeat(lane, count), step))]
        return LaneSchedule(rows, begins, self._loads.arrays(), self._keeps.arrays(), self._widest, self._slots)

    def _piece(self, lane: int, run: _Run, step: int) -> None:
        """Note what a run read in a lane until ``step``."""
        if step > run.since:
            self._pieces.append((run.beginning, step - run.since, lane, run.since))

    def _keep(self, step: int, lane: int, readers: int) -> int:
        """Keep the state of a lane as it is before ``step``, and return the slot."""
        if self._free:
            slot = self._free.pop()
        else:
            slot, self._slots = self._slots, self._slots + 1
        self._readers[slot] = readers
        self._keeps.add(step - 1, lane, slot)
        return slot

    def _read(self, slot: int) -> list[int]:
        """Count a reader of a slot; return the slot if it was the last."""
        if slot == ZERO:
            return []
        self._readers[slot] -= 1
        return [] if self._readers[slot] else [slot]
