"""Pre-training measured: how fast it is beside flair's trainer, and how good a pair of character models is.

``speed`` trains the same character model (sizes, streams, characters between cuts) on the same text with our loop
and with flair's ``LanguageModelTrainer``, in turn and in one run, and prints characters a second of each; ours also in
float32, so that it can be seen what bfloat16 brings. Ours counts everything from the first batch to the end,
evaluation and checkpoint with it, flair's from batch to batch. Each has one thread, and a second is one of processor
time, which neighbours on a shared machine disturb least. ``held-out`` prints bits per character of models on held-out
files, each sentence read from a zero state, as the encoder reads it.

    python benchmarks/pretrain.py speed --text FILE
    python benchmarks/pretrain.py held-out --cse data/cse --elmo data/elmo --valid FILES
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import torch

from featstore.encoders.bilm import load_elmo
from featstore.encoders.charlm import CharLMConfig, find_charlm, load_charlm
from featstore.pretrain.adaptive import load_softmax
from featstore.pretrain.bilm import held_out_perplexity
from featstore.pretrain.charlm import CharLMTask, held_out_bits, learn_characters
from featstore.pretrain.loop import train
from featstore.pretrain.schedule import Schedule
from featstore.pretrain.text import TextSource, read_lines

STREAMS, LENGTH, HIDDEN, EMBEDDING = 64, 128, 512, 64


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


def model(items: tuple[str, ...]) -> CharLMConfig:
    return CharLMConfig(
        hidden_size=HIDDEN,
        nlayers=1,
        embedding_size=EMBEDDING,
        nout=None,
        is_forward=True,
        document_delimiter="\n",
        dropout=0.1,
        items=items,
    )


def ours(text: Path, items: tuple[str, ...], precision: str, steps: int) -> float:
    """Return the characters a second of our trainer."""
    source = TextSource((text,), (text,), held_out_chars=2000)
    task = CharLMTask(model(items), source, streams=STREAMS, length=LENGTH, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        train(task, Schedule(), 2, Path(folder, "warm"))  # caches and code paths
        before, began = task.units, time.process_time()
        train(task, Schedule(evaluate_every=steps, checkpoint_every=steps), steps, Path(folder, "timed"))
    return (task.units - before) / (time.process_time() - began)


def flairs(folder: Path, items: tuple[str, ...], steps: int) -> float:
    """Return the characters a second of flair's trainer, timed from batch to batch within its own loop."""
    import flair
    from flair.data import Dictionary
    from flair.models import LanguageModel
    from flair.trainers.language_model_trainer import LanguageModelTrainer, TextCorpus

    flair.device = torch.device("cpu")
    logging.getLogger("flair").setLevel(logging.ERROR)
    dictionary = Dictionary(add_unk=True)
    for item in items[1:]:
        dictionary.add_item(item)
    corpus = TextCorpus(folder, dictionary, forward=True, character_level=True)
    network = LanguageModel(dictionary, True, hidden_size=HIDDEN, nlayers=1, embedding_size=EMBEDDING, dropout=0.1)
    marks: list[float] = []

    def mark(*_: object) -> None:
        if network.training:
            marks.append(time.process_time())

    network.rnn.register_forward_pre_hook(mark)  # flair calls forward() itself, which runs no hooks
    trainer = LanguageModelTrainer(network, corpus)
    with tempfile.TemporaryDirectory() as out:
        trainer.train(out, sequence_length=LENGTH, mini_batch_size=STREAMS, max_epochs=1)
    used = list(islice(marks, 2, 2 + steps))
    return (len(used) - 1) * STREAMS * LENGTH / (used[-1] - used[0])


def speed(text: Path, steps: int, rounds: int) -> Iterator[str]:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        part = sample(text, folder, (steps + 6) * STREAMS * LENGTH)
        items, _ = learn_characters(read_lines(part), 1)
        runs: dict[str, Callable[[], float]] = {
            "featstore, bfloat16": lambda: ours(part, items, "bfloat16", steps),
            "featstore, float32": lambda: ours(part, items, "float32", steps),
            "flair LanguageModelTrainer": lambda: flairs(folder, items, steps),
        }
        best = dict.fromkeys(runs, 0.0)
        for _ in range(rounds):
            for label, run in runs.items():
                best[label] = max(best[label], run())
    yield f"One LSTM layer of {HIDDEN}, {STREAMS} streams of {LENGTH} characters, one thread; best of {rounds} rounds."
    yield "| trainer | characters a second of processor time | to flair |"
    yield "| --- | --- | --- |"
    for label, rate in best.items():
        yield f"| {label} | {rate:,.0f} | {rate / best['flair LanguageModelTrainer']:.2f} |"


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
    fast.add_argument("--steps", type=int, default=20, help="updates of each trainer in a round")
    fast.add_argument("--rounds", type=int, default=3)
    good = commands.add_parser("held-out")
    good.add_argument("--cse", type=Path, help="folder with forward.* and backward.*")
    good.add_argument("--elmo", type=Path, help="folder with options.json, weights.hdf5 and softmax.safetensors")
    good.add_argument("--valid", type=Path, nargs="+", required=True, help="held-out files")
    good.add_argument("--characters", type=int, default=60_000)
    given = parser.parse_args()
    if given.command == "speed":
        lines = speed(given.text, given.steps, given.rounds)
    else:
        if not (given.cse or given.elmo):
            parser.error("held-out needs --cse DIR, --elmo DIR or both")
        lines = held_out(given.cse, given.elmo, tuple(given.valid), given.characters)
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
