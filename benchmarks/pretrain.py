"""Pre-training measured: how fast it is beside flair's trainer, and how good language models are.

``speed`` trains the same character model (sizes, streams, characters between cuts) on the same text with our loop
and with flair's ``LanguageModelTrainer``, in turn and in one run, and prints medians of characters a second by the
clock. First one direction in one process of one thread; ours also in float32, so that it can be seen what bfloat16
brings. Then a whole pair on the whole machine: the two directions side by side, each in a process of one thread, as
ours trains them and as flair's can be made to; and flair as it comes, one direction after the other with a thread a
core. Processes side by side begin their timed steps together. Ours counts evaluation and checkpoint too, flair only
from batch to batch. The machine should have nothing else to do.

``held-out`` prints the bits per character of character models and the perplexity a word of an ELMo on held-out files,
each sentence read from a zero state, as the encoder reads it.

    python benchmarks/pretrain.py speed --text FILE
    python benchmarks/pretrain.py held-out --cse data/cse --elmo data/elmo --valid FILES
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing as mp
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch

from featstore.encoders.bilm import load_elmo
from featstore.encoders.charlm import CharLMConfig
from featstore.encoders.charlm_file import find_charlm, load_charlm
from featstore.pretrain.adaptive import load_softmax
from featstore.pretrain.bilm import held_out_perplexity
from featstore.pretrain.charlm import CharLMTask, held_out_bits, learn_characters
from featstore.pretrain.loop import train
from featstore.pretrain.schedule import Schedule
from featstore.pretrain.text import TextSource, read_lines

HIDDEN, EMBEDDING = 512, 64
# Batches of flair's that are not timed.
WARM = 2


def sample(source: Path, folder: Path, characters: int) -> Path:
    """Write the first lines of ``source``, about ``characters`` long, in the layout that flair's trainer reads."""
    (folder / "train").mkdir(parents=True)
    lines: list[str] = []
    total = 0
    for line in read_lines(source):
        lines.append(line)
        total += len(line) + 1
        if total >= characters:
            break
    (folder / "train" / "part.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("valid.txt", "test.txt"):
        (folder / name).write_text("\n".join(lines[:30]) + "\n", encoding="utf-8")
    return folder / "train" / "part.txt"


@dataclass(frozen=True, slots=True)
class Race:
    """The input of every trainer.

    Attributes:
        folder: folder of the text, in the layout of :func:`sample`.
        items: the characters.
        streams: number of streams side by side (flair: ``mini_batch_size``).
        length: number of characters between cuts (flair: ``sequence_length``).
        steps: number of updates that are timed.
    """

    folder: Path
    items: tuple[str, ...]
    streams: int
    length: int
    steps: int

    @property
    def characters(self) -> int:
        """Number of characters that the timed updates read."""
        return self.steps * self.streams * self.length


class _Timed(Exception):
    """Raised to leave flair's loop when all steps are timed."""


def ours(race: Race, forward: bool, precision: str, begin: Callable[[], float]) -> tuple[float, float]:
    """Return when our trainer began and ended its timed steps."""
    text = race.folder / "train" / "part.txt"
    source = TextSource((text,), (text,), held_out_chars=2000)
    config = CharLMConfig(
        hidden_size=HIDDEN,
        nlayers=1,
        embedding_size=EMBEDDING,
        nout=None,
        is_forward=forward,
        document_delimiter="\n",
        dropout=0.0,
        items=race.items,
    )
    task = CharLMTask(config, source, streams=race.streams, length=race.length, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        train(task, Schedule(), 2, Path(folder, "warm"))  # caches and code paths
        schedule = Schedule(evaluate_every=race.steps, checkpoint_every=race.steps)
        began = begin()
        train(task, schedule, race.steps, Path(folder, "timed"))
    return began, time.perf_counter()


def flairs(race: Race, forward: bool, precision: str, begin: Callable[[], float]) -> tuple[float, float]:
    """Return the same for flair's trainer, measured from batch to batch within its own loop."""
    import flair
    from flair.data import Dictionary
    from flair.models import LanguageModel
    from flair.trainers.language_model_trainer import LanguageModelTrainer, TextCorpus

    assert precision == "float32", "flair's use_amp does nothing on a CPU"
    flair.device = torch.device("cpu")
    logging.disable(logging.WARNING)  # its messages go to stdout
    dictionary = Dictionary(add_unk=True)
    for item in race.items[1:]:
        dictionary.add_item(item)
    corpus = TextCorpus(race.folder, dictionary, forward=forward, character_level=True)
    network = LanguageModel(dictionary, forward, hidden_size=HIDDEN, nlayers=1, embedding_size=EMBEDDING, dropout=0.0)
    marks: list[float] = []

    def mark(*_: object) -> None:
        marks.append(begin() if len(marks) == WARM else time.perf_counter())
        if len(marks) > WARM + race.steps:
            raise _Timed

    network.rnn.register_forward_pre_hook(mark)  # flair calls forward() itself, which runs no hooks
    trainer = LanguageModelTrainer(network, corpus)
    with tempfile.TemporaryDirectory() as out, suppress(_Timed):
        trainer.train(out, sequence_length=race.length, mini_batch_size=race.streams, max_epochs=1)
    return marks[WARM], marks[WARM + race.steps]


Trainer = Callable[[Race, bool, str, Callable[[], float]], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to train.

    Attributes:
        label: its name in the table.
        trainer: :func:`ours` or :func:`flairs`.
        precision: precision of the matrix products.
        processes: number of directions that are trained side by side.
        threads: number of threads of each process.
    """

    label: str
    trainer: Trainer
    precision: str = "float32"
    processes: int = 1
    threads: int = 1

    def rate(self, race: Race) -> float:
        """Return the characters a second of all processes together, by the clock."""
        context = mp.get_context("spawn")
        barrier, queue = context.Barrier(self.processes), context.Queue()
        workers = [
            context.Process(target=_work, args=(self, race, number == 0, barrier, queue))
            for number in range(self.processes)
        ]
        for worker in workers:
            worker.start()
        times: list[tuple[float, float]] = [queue.get(timeout=600) for _ in workers]
        for worker in workers:
            worker.join()
        seconds = max(end for _, end in times) - min(begin for begin, _ in times)
        return self.processes * race.characters / seconds


def _work(way: Way, race: Race, forward: bool, barrier: Barrier, queue: Queue[tuple[float, float]]) -> None:
    """The function that a process runs."""
    torch.set_num_threads(way.threads)
    torch.set_flush_denormal(True)

    def begin() -> float:
        barrier.wait()
        return time.perf_counter()

    queue.put(way.trainer(race, forward, way.precision, begin))


def speed(text: Path, streams: int, length: int, steps: int, rounds: int) -> Iterator[str]:
    cores = os.cpu_count() or 1
    alone = [
        Way("featstore, bfloat16", ours, "bfloat16"),
        Way("featstore, float32", ours),
        Way("flair LanguageModelTrainer", flairs),
    ]
    pair = [
        Way("featstore, both directions side by side, one thread each", ours, "bfloat16", 2),
        Way("flair, both directions side by side, one thread each", flairs, processes=2),
        Way(f"flair as it comes, one direction after the other, {cores} threads", flairs, threads=cores),
    ]
    with tempfile.TemporaryDirectory() as name:
        part = sample(text, Path(name), (steps + WARM + 4) * streams * length)
        race = Race(Path(name), learn_characters(read_lines(part), 1)[0], streams, length, steps)
        rates: dict[str, list[float]] = {way.label: [] for way in (*alone, *pair)}
        for _ in range(rounds):
            for way in (*alone, *pair):
                rates[way.label].append(way.rate(race))
                print(f"{way.label}: {rates[way.label][-1]:,.0f} characters a second", file=sys.stderr, flush=True)
    yield f"One LSTM layer of {HIDDEN}, {streams} streams of {length} characters; medians of {rounds} rounds."
    for title, ways in (("one direction, one process of one thread", alone), (f"a pair, {cores} cores", pair)):
        slowest = statistics.median(rates[ways[-1].label])
        yield f"\n| {title} | characters a second | to {ways[-1].label.split(',')[0]} |\n| --- | --- | --- |"
        for way in ways:
            rate = statistics.median(rates[way.label])
            yield f"| {way.label} | {rate:,.0f} | {rate / slowest:.2f} |"


def held_out(cse: Path | None, elmo: Path | None, valid: tuple[Path, ...], characters: int) -> Iterator[str]:
    source = TextSource((), valid, characters)
    if cse:
        yield "| model | bits per character |"
        yield "| --- | --- |"
        for direction in ("forward", "backward"):
            yield f"| {direction} | {held_out_bits(load_charlm(find_charlm(cse, direction)), source):.3f} |"
    if elmo:
        lm = load_elmo(elmo)
        softmax = load_softmax(elmo, lm.config.projection_dim)
        yield "| model | words predicted | perplexity |"
        yield "| --- | --- | --- |"
        yield f"| both directions | {len(softmax.words):,} | {held_out_perplexity(lm, softmax, source):.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    fast = commands.add_parser("speed")
    fast.add_argument("--text", type=Path, required=True, help="plain or .gz text")
    fast.add_argument("--streams", type=int, default=64)
    fast.add_argument("--length", type=int, default=128, help="characters between two cuts of the gradient")
    fast.add_argument("--steps", type=int, default=20, help="updates of each trainer in a round")
    fast.add_argument("--rounds", type=int, default=3)
    good = commands.add_parser("held-out")
    good.add_argument("--cse", type=Path, help="folder with forward.* and backward.*")
    good.add_argument("--elmo", type=Path, help="folder with options.json, weights.hdf5 and softmax.safetensors")
    good.add_argument("--valid", type=Path, nargs="+", required=True, help="held-out files")
    good.add_argument("--characters", type=int, default=60_000)
    given = parser.parse_args()
    if given.command == "speed":
        lines = speed(given.text, given.streams, given.length, given.steps, given.rounds)
    else:
        if not (given.cse or given.elmo):
            parser.error("held-out needs --cse DIR, --elmo DIR or both")
        lines = held_out(given.cse, given.elmo, tuple(given.valid), given.characters)
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
