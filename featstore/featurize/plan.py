"""The number of processes and threads that encode, found by encoding a few sentences.

In: the sentences to encode and their encoder. Out: a :class:`Plan`. A process for each core is the best use of a
machine, but starting one costs seconds (it loads torch and the weights anew); so short work stays in this process, with
the number of threads that the probe finds fastest. Threads that wait for each other can be slower than one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from featstore.encoders import Encoder
from featstore.featurize.forecast import expected_seconds
from featstore.featurize.threads import running_threads
from featstore.records import KeyedSentences

WORTH_A_WORKER = 20.0  # seconds of encoding below which starting processes does not pay
WORTH_A_PROBE = 2.0  # seconds of encoding below which a second probe does not pay


@dataclass(frozen=True, slots=True)
class Plan:
    """The processes and threads that encode.

    Attributes:
        workers: processes.
        threads: threads of each.
        reason: the reason in words.
    """

    workers: int
    threads: int
    reason: str

    def __str__(self) -> str:
        processes = "1 process" if self.workers == 1 else f"{self.workers} processes"
        return f"{processes} of {self.threads} thread{'s' if self.threads > 1 else ''} ({self.reason})"


def plan_work(missing: KeyedSentences, encoder: Encoder, device: str = "cpu") -> Plan:
    """Choose processes and threads for encoding ``missing``.

    Args:
        missing: what has to be encoded, by key.
        encoder: the encoder; a few sentences are encoded to learn its speed.
        device: device of the encoder; a device other than the CPU gets one process, because processes share it badly.
    """
    if device != "cpu":
        return Plan(1, 1, f"one for {device}")
    cores = _cores()
    with running_threads(1):
        one = expected_seconds(list(missing), missing, encoder)
    if cores == 1 or one < WORTH_A_PROBE:
        return Plan(1, 1, f"a probe foretells {one:.0f} s")
    if one > WORTH_A_WORKER:
        return Plan(cores, 1, f"a probe foretells {one:.0f} s on one core, and there are {cores}")
    with running_threads(cores):
        several = expected_seconds(list(missing), missing, encoder)
    reason = f"a probe foretells {one:.1f} s with 1 thread, {several:.1f} s with {cores}"
    return Plan(1, cores if several < one else 1, reason)


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
