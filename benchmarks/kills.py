"""Kill featurize, extract, ablate and pre-training at random moments, resume them, and compare what comes out.

    python benchmarks/kills.py --kills 10000

Each command works on tiny inputs in a process that is forked from this one, so that a kill costs some ten milliseconds.
It is killed by SIGKILL: in turn at a random instant, and just before or just after a random one of the calls by which
it changes files. After each kill what is on the disk is read as any reader would: whatever reads as finished must be
whole and right. Then the command is run again, until it ends; what it leaves must be, byte for byte, what a run that
was never killed leaves, and no unfinished part may lie beside it. The first fault ends the script with exit code 1.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # a process with threads of its own cannot be forked safely

import torch
from killed import Command, Fault, make_commands, make_inputs

KILLS_A_RUN = 8  # after so many a run is left to end
CALLS = ("fsync", "rename", "replace", "link", "unlink", "mkdir", "chmod")


def die_at(call: int, after: bool, counted: list[int]) -> None:
    """Have this process killed before or after the ``call``-th of the calls by which it changes files; 0: never."""

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def act(*args: Any, **options: Any) -> Any:
            counted[0] += 1
            if counted[0] == call and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **options)
            if counted[0] == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return act

    for name in CALLS:
        setattr(os, name, watched(getattr(os, name)))


def fork(command: Command, folder: Path, *, call: int = 0, after: bool = False, log: Path | None = None) -> int:
    """Run a command in a process of its own; return the id of that.

    Args:
        command: the command.
        folder: where it works.
        call, after: see :func:`die_at`.
        log: a file that gets the number of the calls that it made, and the modules that it imported.
    """
    known = set(sys.modules)
    child = os.fork()
    if child == 0:
        counted = [0]
        try:
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115
            die_at(call, after, counted)
            command.run(folder)
            if log:
                log.write_text("\n".join([str(counted[0]), *(name for name in sys.modules if name not in known)]))
            os._exit(0)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
    return child


def ended_well(child: int) -> bool:
    """Wait for a process; False if it was killed.

    Raises:
        Fault: it failed.
    """
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise Fault("the command failed")
    return os.WIFEXITED(status)


def kill_often(command: Command, kills: int, draw: random.Random, room: Path) -> Counter[str]:
    """Kill a command ``kills`` times and compare each run that was resumed to its end with one that was never killed.

    Raises:
        Fault: something was half-written or differs.
    """
    whole, again, log = room / "whole", room / "again", room / "log"
    whole.mkdir()
    ended_well(fork(command, whole, log=log))
    calls, *modules = log.read_text().split()
    for module in modules:  # so that no process has to import them anew
        importlib.import_module(module)
    again.mkdir()
    begun = time.monotonic()
    ended_well(fork(command, again))
    seconds, expected = time.monotonic() - begun, command.finished(whole)
    counts: Counter[str] = Counter()
    while counts["kills"] < kills:
        folder, hits = room / f"run{counts['runs']}", 0
        folder.mkdir()
        while True:
            is_last = hits == KILLS_A_RUN or counts["kills"] == kills
            by_call = not is_last and draw.random() < 0.5
            child = fork(command, folder, call=draw.randint(1, int(calls)) if by_call else 0, after=draw.random() < 0.5)
            if not is_last and not by_call:
                time.sleep(draw.uniform(0, seconds))
                os.kill(child, signal.SIGKILL)
            if ended_well(child):
                break
            hits += 1
            counts.update(kills=1, **{"at calls" if by_call else "at instants": 1})
            found = command.finished(folder)
            if wrong := [name for name in found if found[name] != expected.get(name)]:
                raise Fault(f"{wrong} read as finished and are not")
        found = command.finished(folder)
        if differing := [name for name in expected.keys() | found.keys() if found.get(name) != expected.get(name)]:
            raise Fault(f"{differing} differ from what was never killed")
        if left := command.leftovers(folder):
            raise Fault(f"{left} are left over")
        counts["runs"] += 1
        shutil.rmtree(folder)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10_000, help="of all commands together")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the random moments")
    parser.add_argument("--only", default="", help="commands whose names begin so")
    given = parser.parse_args()
    torch.set_num_threads(1)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # what is waited for is mostly the disk's fsync
    with tempfile.TemporaryDirectory(prefix="featstore-kills-", dir=memory) as place:
        inputs = Path(place) / "inputs"
        inputs.mkdir()
        make_inputs(inputs)
        commands = [c for c in make_commands(inputs) if c.name.startswith(given.only)]
        share, total, begun = -(-given.kills // len(commands)), Counter[str](), time.monotonic()
        print(f"seed {given.seed}\n\n| command | kills | at instants | at calls | runs resumed to the end | faults |")
        print("|---|---|---|---|---|---|")
        for number, command in enumerate(commands):
            room = Path(place) / str(number)
            room.mkdir()
            try:
                counts = kill_often(command, share, random.Random(given.seed + number), room)
            except Fault as fault:
                print(f"| {command.name} | | | | | {fault} |")
                return 1
            total += counts
            figures = (f"{counts[name]:,}" for name in ("kills", "at instants", "at calls", "runs"))
            print(f"| {command.name} | {' | '.join(figures)} | 0 |", flush=True)
        print(
            f"\n{total['kills']:,} kills in {(time.monotonic() - begun) / 60:.1f} min: each of the {total['runs']:,} "
            "runs that was resumed to its end gave, byte for byte, what one that was never killed gives, and nothing "
            "half-written read as finished."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
