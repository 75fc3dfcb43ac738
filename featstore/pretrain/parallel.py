"""Several processes for one command: the two directions of CSE side by side, and data-parallel groups.

In: jobs, each a function of this package with plain arguments. Out: what the functions write; progress and errors are
passed to the caller's process. Each process has one thread. On few cores, threads that wait for each other cost more
than they gain, while the processes of a group meet only once a step, to average their gradients.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from threading import Thread

import torch
import torch.distributed as dist
from torch import Tensor

from featstore.errors import FeatstoreError, ResourceError, UsageError
from featstore.files import DISK_FULL
from featstore.pretrain.schedule import PretrainProgress

_POLL_SECONDS = 0.5
_Message = PretrainProgress | FeatstoreError  # what a process tells the one that started it


def choose_device(name: str) -> str:
    """Return the torch device for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UsageError: ``cuda`` where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device 'cuda' was asked for, but torch sees no GPU here; choose auto or cpu.")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


@dataclass(frozen=True, slots=True)
class Group:
    """The processes that train one model together.

    Attributes:
        rank: number of this process.
        size: number of processes.
        meeting: a file through which the processes find each other.
    """

    rank: int = 0
    size: int = 1
    meeting: str = ""

    def join(self) -> None:
        """Wait until all processes of the group are there."""
        if self.size > 1:
            dist.init_process_group("gloo", f"file://{self.meeting}", rank=self.rank, world_size=self.size)

    def leave(self) -> None:
        """End the meeting."""
        if self.size > 1:
            dist.destroy_process_group()

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace each gradient by its mean over the group: one message a step."""
        if self.size == 1:
            return
        grads = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in grads])
        dist.all_reduce(flat)
        flat /= self.size
        for grad, part in zip(grads, torch.split(flat, [g.numel() for g in grads]), strict=True):
            grad.copy_(part.view_as(grad))

    def gather(self, tensor: Tensor) -> Tensor:
        """Return the tensors of all processes, stacked; Shape: (size, *tensor.shape)."""
        if self.size == 1:
            return tensor[None]
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.stack(parts)


@dataclass(frozen=True, slots=True)
class ParallelJob:
    """One model to be trained by ``processes`` processes: ``function(*arguments, group, report)`` runs in each."""

    function: Callable[..., None]
    arguments: tuple[object, ...]
    processes: int = 1


def run_jobs(jobs: Sequence[ParallelJob], report: Callable[[PretrainProgress], None] | None = None) -> None:
    """Run all jobs at once, each process with one thread, and pass what they report to ``report``.

    Raises:
        FeatstoreError: the error of the first job that failed; the other jobs are ended.
        ResourceError: a process was killed from outside.
    """
    context = mp.get_context("spawn")
    queue: Queue[_Message] = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            context.Process(
                target=_work,
                args=(job, Group(rank, job.processes, str(Path(folder) / str(number))), queue),
                daemon=True,
            )
            for number, job in enumerate(jobs)
            for rank in range(job.processes)
        ]
        try:
            for process in processes:
                process.start()
            _listen(processes, queue, report)
        finally:
            for process in processes:
                process.terminate()
                process.join()


def _work(job: ParallelJob, group: Group, queue: Queue[_Message]) -> None:
    """What a process runs."""
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # moments of rarely used weights decay into denormal numbers, which are slow
    with suppress(KeyboardInterrupt):  # Ctrl-C reaches all; the caller's process deals with it
        try:
            group.join()
            job.function(*job.arguments, group, queue.put if group.rank == 0 else None)
            group.leave()
        except FeatstoreError as error:
            queue.put(error)
            raise SystemExit(1) from None
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            queue.put(ResourceError(f"the disk is full ({error}); free some space and run the same command again."))
            raise SystemExit(1) from None


def _end_with_parent() -> None:
    """End this process when its parent is gone, even if the parent was killed, because nothing else would stop it."""
    parent = mp.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _listen(
    processes: Sequence[BaseProcess], queue: Queue[_Message], report: Callable[[PretrainProgress], None] | None
) -> None:
    while True:
        alive = any(process.is_alive() for process in processes)
        failed = [p.exitcode for p in processes if p.exitcode]
        try:
            message = queue.get(timeout=0.0 if failed or not alive else _POLL_SECONDS)
        except Empty:
            if failed:
                raise ResourceError(
                    f"a training process ended with code {failed[0]} (killed, or out of memory); run the same command "
                    "again: it goes on from the last checkpoint."
                ) from None
            if not alive:
                return
            continue
        if isinstance(message, FeatstoreError):
            raise message
        if report is not None:
            report(message)
