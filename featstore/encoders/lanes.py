"""How sentences of any length share a recurrent network without padding: laid end to end in lanes.

In: the lengths of the sentences. Out: an order in which their items (characters or tokens) go through the network,
one item of every lane a step. A lane is a row of the network's batch; when one sentence ends in it the next begins
there, from a zero state. So every step multiplies a full batch of one shape, a long sentence passes its state on and
needs no extra room, and nothing is padded. The longest sentences are placed first, each in the shortest lane so far, so
that the lanes end at about the same step. The batch shrinks only there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LaneSchedule:
    """Items in the order in which a network reads them.

    Attributes:
        rows: the items of all steps, step after step, lane after lane; an item is its position in the
            sentences laid end to end. Shape: (items,).
        begins: first row of each step, and the number of rows. Shape: (steps + 1,).
        resets: for a step, the lanes in which a sentence begins.
    """

    rows: Ints
    begins: Ints
    resets: dict[int, Ints]

    @property
    def lanes(self) -> int:
        """The batch of the first step, the largest."""
        return int(self.begins[1]) if len(self.begins) > 1 else 0

    def blocks(self, rows: int) -> Iterator[range]:
        """Yield ranges of steps that hold about ``rows`` rows each, at least one step."""
        first, last = 0, len(self.begins) - 1
        while first < last:
            end = int(np.searchsorted(self.begins, self.begins[first] + rows, side="right")) - 1
            end = max(first + 1, end)
            yield range(first, end)
            first = end


def schedule(lengths: Ints, lanes: int, *, backward: bool = False) -> LaneSchedule:
    """Lay sentences of ``lengths`` (n,), each at least 1, in at most ``lanes`` lanes.

    Args:
        lengths: items of each sentence; item k of sentence i is ``sum(lengths[:i]) + k``.
        lanes: the largest batch.
        backward: whether each sentence is read from its end.
    """
    lane, begin, ends = _place(lengths, min(lanes, len(lengths)))
    offsets = np.cumsum(lengths) - lengths
    within = np.arange(lengths.sum()) - np.repeat(offsets, lengths)
    step = np.repeat(begin, lengths) + (np.repeat(lengths, lengths) - 1 - within if backward else within)
    lane_of_item = np.repeat(lane, lengths)
    rows = np.lexsort((lane_of_item, step))
    begins = np.zeros(int(ends.max(initial=0)) + 1, dtype=np.int64)
    np.cumsum(np.bincount(step, minlength=len(begins) - 1), out=begins[1:])
    resets: dict[int, list[int]] = {}
    for at, where in sorted(zip(begin.tolist(), lane.tolist(), strict=True)):
        resets.setdefault(at, []).append(where)
    return LaneSchedule(rows, begins, {at: np.array(where) for at, where in resets.items()})


def _place(lengths: Ints, lanes: int) -> tuple[Ints, Ints, Ints]:
    """Return lane and first step of each sentence, and the end of each lane; the lanes end in falling order."""
    lane, begin = np.zeros_like(lengths), np.zeros_like(lengths)
    heap = [(0, number) for number in range(lanes)]
    for sentence in np.argsort(-lengths, kind="stable"):
        end, number = heapq.heappop(heap)
        lane[sentence], begin[sentence] = number, end
        heapq.heappush(heap, (end + int(lengths[sentence]), number))
    ends = np.zeros(lanes, dtype=np.int64)
    for end, number in heap:
        ends[number] = end
    order = np.argsort(-ends, kind="stable")
    rank = np.empty(lanes, dtype=np.int64)
    rank[order] = np.arange(lanes)
    return rank[lane] if lanes else lane, begin, ends[order]
