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
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

os.environ["OMP_NUM_THREADS"] = "1"  # a process with threads of its own cannot be forked safely

import torch

from classifier.ablate import ablate
from classifier.ablate.ablation import summarise_grid
from classifier.ablate.grid import Grid
from classifier.ablate.publish import HTML, JSON, write_report
from classifier.extract import ExtractionJob, Extractor, extract_files, journal, work
from classifier.runs.checkpoint import load_checkpoint
from classifier.runs.config import PREDICTIONS, run_corpus
from classifier.runs.facts import METRICS, RUN, WEIGHTS
from classifier.runs.folds import train_fold
from classifier.runs.results import is_complete, read_predictions, read_result
from featstore.encoders import bilm
from featstore.featurize import encode, producer
from featstore.pretrain import cse, elmo, glove
from featstore.pretrain.checkpoint import load_checkpoint as load_training
from featstore.pretrain.loop import CHECKPOINT
from featstore.pretrain.parallel import Group, ParallelJob
from featstore.pretrain.schedule import Schedule
from featstore.records import sentence_key
from featstore.stores import create_store, list_sets, open_store
from featstore.stores.maintenance.verify import verify

KILLS_A_RUN = 8  # after so many a run is left to end
CALLS = ("fsync", "rename", "replace", "link", "unlink", "mkdir", "chmod")
WORDS = ("aspirin", "inhibits", "the", "kinase", "in", "cells", "of", "rats", "and", "blocks")
Files = Mapping[str, bytes]


class Fault(Exception):
    """Something that reads as finished and is not, or that differs after resuming."""


class Command(Protocol):
    """A command on tiny inputs."""

    name: str

    def run(self, folder: Path) -> None:
        """Do the work in ``folder``, or go on with it."""
        ...

    def finished(self, folder: Path) -> Files:
        """Read what is finished, as any reader would.

        Raises:
            Fault: something reads as finished and is not.
        """
        ...

    def leftovers(self, folder: Path) -> Sequence[str]:
        """Return what lies in the folder of a run that has ended and is of no use."""
        ...


def partials(folder: Path) -> list[str]:
    """Return the files that are no outputs.

    A hidden file ``.NAME.*.partial`` is none: the next writer of that name removes it, and it may be that none comes.
    """
    marks = (".part", ".part.json", "unfinished.safetensors")
    return [str(path) for path in folder.rglob("*") if path.name.endswith(marks)]


class Featurize:
    """``cli featurize``: one shard a batch."""

    def __init__(self, inputs: Path, backend: str) -> None:
        self.name = f"featurize ({backend})"
        self._backend, self._spec = backend, f"glove:{inputs / 'vectors.txt'}"
        draw = random.Random(1)
        texts = {tuple(draw.choices(WORDS, k=draw.randint(1, 9))) for _ in range(40)}
        self._sentences = {sentence_key(text): text for text in sorted(texts)}

    def run(self, folder: Path) -> None:
        options: dict[str, Any] = {"dtype": "float32", "backend": self._backend, "workers": 1}
        encode.featurize(self._sentences, self._spec, root=folder / "features", **options)

    def finished(self, folder: Path) -> Files:
        found: dict[str, bytes] = {}
        for info in list_sets(folder / "features"):
            if damages := verify(info.path).damages:
                raise Fault(f"damage: {damages}")
            with closing(open_store(info.path, check=True)) as store:
                keys = list(store.keys())
                found |= {key.hex(): store.read([key]).values.tobytes() for key in keys}
        return found

    def leftovers(self, folder: Path) -> Sequence[str]:
        (info,) = list_sets(folder / "features")
        create_store(folder / "features", info.meta).close()  # whoever opens a set to write sweeps it
        return verify(info.path).leftovers


class Extract:
    """``cli extract``: two documents a window, each window written down at once."""

    name = "extract"

    def __init__(self, inputs: Path) -> None:
        self._extractor = Extractor.load(inputs / "fold-1", encoders=[f"glove:{inputs / 'vectors.txt'}"], tag="never")
        self._source = inputs / "documents.jsonl"
        text = "aspirin inhibits the kinase in cells of rats."
        mentions = [{"type": "CHEMICAL", "start": 0, "end": 7}, {"type": "GENE", "start": 21, "end": 27}]
        lines = [json.dumps({"id": str(n), "text": f"{text} {n}", "entities": mentions}) + "\n" for n in range(20)]
        self._source.write_text("".join(lines))

    def run(self, folder: Path) -> None:
        extract_files(self._extractor, ExtractionJob([self._source], folder / "out.jsonl"))

    def finished(self, folder: Path) -> Files:
        path = folder / "out.jsonl"
        return {"out.jsonl": path.read_bytes()} if path.exists() else {}

    def leftovers(self, folder: Path) -> Sequence[str]:
        return partials(folder)


class Ablate:
    """``cli ablate``: two folds, and the report."""

    name = "ablate"

    def __init__(self, inputs: Path) -> None:
        self._grid, self._store = grid_of(inputs), inputs / "features"

    def run(self, folder: Path) -> None:
        events = ablate(self._grid, self._store, folder / "runs")
        write_report(
            summarise_grid(self._grid, events, self._store, folder / "runs"), self._store, folder / "report", ""
        )

    def finished(self, folder: Path) -> Files:
        found: dict[str, bytes] = {}
        for cell in self._grid.cells():
            place = cell.folder(folder / "runs")
            if (place / RUN).exists():
                load_checkpoint(place)
                found[f"{place.name}/{WEIGHTS}"] = (place / WEIGHTS).read_bytes()
            if is_complete(place):
                read_predictions(read_result(place))
                found |= {f"{place.name}/{name}": (place / name).read_bytes() for name in (METRICS, PREDICTIONS)}
        if (folder / "report" / HTML).exists() and not (folder / "report" / HTML).read_text().endswith("</html>\n"):
            raise Fault("the report is not whole")
        if (folder / "report" / JSON).exists():
            json.loads((folder / "report" / JSON).read_bytes())
        return found

    def leftovers(self, folder: Path) -> Sequence[str]:
        return partials(folder)


class Pretrain:
    """``cli pretrain``: a checkpoint after each step."""

    def __init__(self, name: str, train: Callable[[Path], object], files: tuple[str, ...]) -> None:
        self.name, self._train, self._files = f"pretrain {name}", train, files

    def run(self, folder: Path) -> None:
        self._train(folder / "out")

    def finished(self, folder: Path) -> Files:
        for path in folder.rglob(CHECKPOINT):
            load_training(path)
        return {name: (folder / "out" / name).read_bytes() for name in self._files if (folder / "out" / name).exists()}

    def leftovers(self, folder: Path) -> Sequence[str]:
        return partials(folder)


def grid_of(inputs: Path) -> Grid:
    """Return two folds of a small head."""
    options = {"optimizer": "adamw", "lr": 0.01, "hidden": 4, "max_epochs": 2, "batch_size": 16}
    return Grid(
        features=("glove",), folds=(1, 2), corpus=f"jsonl:{inputs / 'pairs.jsonl'}", heads=("paper",), options=options
    )


def make_inputs(inputs: Path) -> None:
    """Write word vectors, a corpus in folds, its vectors, and a trained fold."""
    draw = random.Random(2)
    rows = [f"{word} {' '.join(f'{draw.gauss(0, 1):.3f}' for _ in range(4))}\n" for word in WORDS]
    (inputs / "vectors.txt").write_text("".join(rows))
    pairs = []
    for n in range(48):
        verb = ("blocks", "inhibits")[n % 2]
        text = f"aspirin {verb} {' '.join(draw.choices(WORDS, k=3))} kinase"
        head = {"start": 0, "end": 7, "type": "CHEMICAL"}
        tail = {"start": len(text) - 6, "end": len(text), "type": "GENE"}
        label = ("NONE", "CPR:4")[n % 2]
        pairs.append(json.dumps({"text": text, "label": label, "fold": 1 + n % 3, "head": head, "tail": tail}) + "\n")
    (inputs / "pairs.jsonl").write_text("".join(pairs))
    many = [*WORDS, *(f"gene{n}" for n in range(150))]
    text = "\n".join(" ".join(draw.choices(many, k=8)) + "." for _ in range(400))
    (inputs / "text.txt").write_text(text)
    config = grid_of(inputs).cells()[0].config
    corpus = run_corpus(config)
    sentences = {instance.key: instance.tokens for instance in corpus.instances}
    options: dict[str, Any] = {"dtype": "float32", "backend": "hdf5", "workers": 1}
    encode.featurize(sentences, f"glove:{inputs / 'vectors.txt'}", root=inputs / "features", **options)
    train_fold(corpus, inputs / "features", config, 1, inputs)


def make_commands(inputs: Path) -> list[Command]:
    """Return the commands, and make the constants of the library as small as the inputs."""
    producer.BATCH_TOKENS, producer.COMMIT_BYTES = 40, 1
    journal.JOURNAL_SECONDS, work.WINDOW_DOCUMENTS = 0.0, 2
    for module in (cse, elmo, glove):
        module.run_jobs = run_here  # type: ignore[attr-defined]
    text = (inputs / "text.txt",)
    schedule = Schedule(steps=4, warmup=1, evaluate_every=2, checkpoint_every=1)
    common: dict[str, Any] = {"text": text, "schedule": schedule}
    small_cse: dict[str, Any] = {"hidden_size": 6, "embedding_size": 3, "streams": 4, "length": 8, "least": 1}
    small_elmo: dict[str, Any] = {"dim": 4, "projection_dim": 3, "char_dim": 2, "filters": ((1, 2),), "tokens": 16}

    def train_cse(out: Path) -> object:
        return cse.pretrain_cse(cse.CSEConfig(out=out, held_out_chars=300, **common, **small_cse))

    def train_elmo(out: Path) -> object:
        return elmo.pretrain_elmo(elmo.ELMoConfig(out=out, held_out_chars=300, least=1, **common, **small_elmo))

    def train_glove(out: Path) -> object:
        return glove.pretrain_glove(glove.GloVeConfig(out=out, dim=4, least=1, **common))

    return [
        Featurize(inputs, "hdf5"),
        Featurize(inputs, "zarr"),
        Extract(inputs),
        Ablate(inputs),
        Pretrain("cse", train_cse, ("forward.safetensors", "backward.safetensors")),
        Pretrain("elmo", train_elmo, (bilm.WEIGHTS, bilm.OPTIONS)),
        Pretrain("glove", train_glove, (glove.VECTORS,)),
    ]


def run_here(jobs: Sequence[ParallelJob], report: Callable[[Any], None] | None = None) -> None:
    """Run the jobs of a training in this process, so that a kill hits all of them."""
    for job in jobs:
        job.function(*job.arguments, Group(), report)


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
    """Run a command in a process of its own; return the id of that. ``log`` gets the number of calls that it made."""
    child = os.fork()
    if child == 0:
        counted = [0]
        try:
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115
            die_at(call, after, counted)
            command.run(folder)
            if log:
                log.write_text(str(counted[0]))
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
    whole, log, begun = room / "whole", room / "calls", time.monotonic()
    whole.mkdir()
    ended_well(fork(command, whole, log=log))
    seconds, calls, expected = time.monotonic() - begun, int(log.read_text()), command.finished(whole)
    counts: Counter[str] = Counter()
    while counts["kills"] < kills:
        folder, hits = room / f"run{counts['runs']}", 0
        folder.mkdir()
        while True:
            is_last = hits == KILLS_A_RUN or counts["kills"] == kills
            by_call = not is_last and draw.random() < 0.5
            child = fork(command, folder, call=draw.randint(1, calls) if by_call else 0, after=draw.random() < 0.5)
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
