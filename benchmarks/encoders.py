"""How fast CSE and ELMo encode, against flair and AllenNLP: same weights, same sentences, one run.

In: nothing; weights are random, of the published sizes (``--size full``: CSE 2048 units, ELMo 2 x 4096/512 with 2048
filters) or small ones. Sentences of 62 tokens in the mean are cut from a text (``--text``, plain or ``.gz``), or from
the sample corpus, which repeats its words far more than a text does. Out: a row for each engine: tokens a second, the
ratio to the reference as its users run it (32 sentences a batch, torch's own number of threads) and to the reference on
one thread, the share of the machine's measured rate of matrix products, the largest difference from the reference's
vectors, and by how much loading and encoding raised the peak of memory.

Every engine lives in processes of its own; they take turns, and medians over the turns are printed. All is timed by the
clock, so the machine must be idle: work beside it holds up two threads that wait for each other far more than one.
Ours runs in processes of one thread: one, and one for each core at the same time (each encodes all sentences). The
references are flair's FlairEmbeddings, and ELMo put together from allennlp-light's cell and highway as AllenNLP does;
with ``--allennlp FOLDER`` AllenNLP 2.10.1's own code, which is installed there first.

    python benchmarks/encoders.py [--size full] [--encoders cse,elmo] [--precisions float32,bfloat16,int8] [--turns 3]
        [--text FILE]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from encoder_engines import REFERENCE_BATCH, SIZES, Sentence, install_allennlp, make_engine, make_models

from featstore.corpora import load_corpus
from featstore.encoders.kernels import linear
from featstore.pretrain.text import read_lines, tokenise

CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Setup:
    """One row of the table.

    Attributes:
        engine: ``flair``, ``allennlp-light``, ``allennlp``, or a precision of ours.
        threads: number of threads of each process.
        processes: number of processes that encode at the same time.
    """

    engine: str
    threads: int
    processes: int = 1

    @property
    def is_ours(self) -> bool:
        return self.engine in ("float32", "bfloat16", "int8")


@dataclass(slots=True)
class Row:
    """The measurements of a setup.

    Attributes:
        setup: the setup.
        ends: pipes to its processes.
        tokens: number of tokens that its processes encode in a turn, together.
        seconds: of each turn.
        vectors: the vectors of the first few sentences.
        megabytes: sum of the increases of its processes' peak memory.
    """

    setup: Setup
    ends: list[Connection]
    tokens: int = 0
    seconds: list[float] = field(default_factory=list)
    vectors: list[np.ndarray] = field(default_factory=list)
    megabytes: float = 0.0

    @property
    def rate(self) -> float:
        return self.tokens / statistics.median(self.seconds)


def make_sentences(count: int, mean: int, text: Path | None) -> list[list[str]]:
    """Cut the tokens of a text, or of the sample corpus, into sentences of random lengths about ``mean``."""
    lines: Iterable[Sequence[str]]
    if text:
        lines = map(tokenise, read_lines(text))
    else:
        lines = (instance.tokens for instance in load_corpus("sample:chemprot").instances)
    stream = list(islice(chain.from_iterable(lines), 3 * mean * count))
    rng, at, sentences = np.random.default_rng(0), 0, []
    for length in np.clip(rng.normal(mean, mean / 3, count), 5, 3 * mean).astype(int):
        sentences.append([stream[(at + i) % len(stream)] for i in range(length)])
        at += int(length)
    return sentences


def flops_a_token(name: str, size: str, sentences: Sequence[Sentence]) -> float:
    """Return the multiplications and additions of the LSTMs' products for one token of ``sentences``, in the mean."""
    tokens = sum(map(len, sentences))
    if name == "cse":
        hidden, _ = SIZES[size]["cse"]
        return float(2 * 8 * hidden**2) * sum(len(" ".join(words)) + 2 for words in sentences) / tokens
    dim, projected, _ = SIZES[size]["elmo"]
    return float(2 * 2 * 2 * 9 * dim * projected) * (tokens + 2 * len(sentences)) / tokens


def product_rate(precision: str) -> float:
    """Return this machine's FLOP/s, one thread, in a large product at ``precision``: the best of torch's and ours."""
    x, weight = torch.randn(1024, 2048), torch.randn(4096, 2048)
    packed = linear(weight, None, precision, torch.device("cpu"))
    candidates: list[Callable[[], object]] = [lambda: packed(x)]
    if precision == "float32":
        candidates.append(lambda: torch.nn.functional.linear(x, weight))
    best = 0.0
    for run in candidates * 5:
        start = time.process_time()
        run()
        best = max(best, 2 * x.shape[0] * weight.numel() / (time.process_time() - start))
    return best


def _resident(name: str) -> float:
    """Return a field of Linux's /proc/self/status in MB; getrusage would count the parent's memory too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def _live(name: str, folder: Path, engine: str, allennlp: str, end: Connection) -> None:
    """Run in an engine's process: load the engine, then receive sentences and send the vectors of the first few and the
    memory."""
    load = make_engine(name, folder, engine, allennlp)  # imports what it needs; the code itself shall not count
    before = _resident("VmRSS")
    encode = load()
    end.send(None)
    while (sentences := end.recv()) is not None:
        vectors = encode(sentences)
        end.send((vectors[:4], _resident("VmHWM") - before))


def start(setup: Setup, name: str, folder: Path, allennlp: str) -> Row:
    context = multiprocessing.get_context("spawn")
    os.environ["OMP_NUM_THREADS"] = str(setup.threads)  # read when the child starts
    row = Row(setup, [])
    for _ in range(setup.processes):
        ours, theirs = context.Pipe()
        context.Process(target=_live, args=(name, folder, setup.engine, allennlp, theirs), daemon=True).start()
        row.ends.append(ours)
    return row


def turn(row: Row, sentences: Sequence[Sentence]) -> float:
    """Let all processes of a row encode ``sentences`` and return the seconds by the clock."""
    begin = time.perf_counter()
    for end in row.ends:
        end.send(sentences)
    answers = [end.recv() for end in row.ends]
    seconds = time.perf_counter() - begin
    row.tokens = len(row.ends) * sum(map(len, sentences))
    row.vectors, row.megabytes = answers[0][0], sum(memory for _, memory in answers)
    return seconds


def setups(name: str, arguments: argparse.Namespace) -> list[Setup]:
    reference = "flair" if name == "cse" else "allennlp" if arguments.allennlp else "allennlp-light"
    table = [Setup(reference, CORES), Setup(reference, 1)]
    if arguments.allennlp and name == "elmo":
        table.append(Setup("allennlp-light", CORES))
    for precision in arguments.precisions.split(","):
        table += [Setup(precision, 1), Setup(precision, 1, CORES)]
    return table


def compare(name: str, folder: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure all setups of one encoder; the reference encodes its first batch only, as it is slow."""
    sentences = make_sentences(arguments.sentences, arguments.tokens, arguments.text)
    words = [word for sentence in sentences for word in sentence]
    print(f"{name}: {len(words):,} tokens, {len(set(words)):,} different", file=sys.stderr)
    rows = [start(setup, name, folder, arguments.allennlp) for setup in setups(name, arguments)]
    products: dict[str, list[float]] = {precision: [] for precision in arguments.precisions.split(",")}
    for end in (end for row in rows for end in row.ends):
        end.recv()  # loaded
    for row in rows:
        turn(row, sentences[:4])  # warm
    vectors = [row.vectors for row in rows]
    torch.set_num_threads(1)
    begin = time.perf_counter()
    for done in range(arguments.turns):
        spent = time.perf_counter() - begin
        if done and spent * (done + 1) / done > arguments.limit:
            break
        for row in rows:
            row.seconds.append(turn(row, sentences if row.setup.is_ours else sentences[:REFERENCE_BATCH]))
            print(f"{name}, turn {done + 1}, {row.setup}: {row.rate:.1f} tokens/s", file=sys.stderr, flush=True)
        for precision, rates in products.items():
            rates.append(product_rate(precision))
    for row in rows:
        for end in row.ends:
            end.send(None)
    return [
        {
            "encoder": name,
            "engine": row.setup.engine,
            "processes x threads": f"{row.setup.processes} x {row.setup.threads}",
            "tokens/s": round(row.rate, 1),
            "ratio": round(row.rate / rows[0].rate, 2),
            "ratio, one core": round(row.rate / rows[1].rate, 2) if row.setup in (rows[1].setup, *ones(rows)) else None,
            "of product rate": share(row, name, arguments.size, sentences, products),
            "largest difference": f"{max(np.abs(a - b).max() for a, b in zip(first, vectors[0], strict=True)):.1e}",
            "peak MB": round(row.megabytes),
            "turns": len(row.seconds),
        }
        for row, first in zip(rows, vectors, strict=True)
    ]


def ones(rows: Sequence[Row]) -> list[Setup]:
    return [row.setup for row in rows if row.setup.processes == row.setup.threads == 1]


def share(
    row: Row, name: str, size: str, sentences: Sequence[Sentence], products: dict[str, list[float]]
) -> float | None:
    """Return which share of the rate of large products on as many cores the LSTMs' products reached."""
    setup = row.setup
    rates = products.get(setup.engine if setup.is_ours else "float32")
    if not rates:
        return None
    work = sentences if setup.is_ours else sentences[:REFERENCE_BATCH]
    used = row.rate * flops_a_token(name, size, work) / (setup.processes * setup.threads)
    return round(used / statistics.median(rates), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--size", choices=list(SIZES), default="full")
    parser.add_argument("--encoders", default="cse,elmo")
    parser.add_argument("--precisions", default="float32,bfloat16,int8")
    parser.add_argument("--sentences", type=int, default=128, help="that ours encodes in a turn; the reference 32")
    parser.add_argument("--tokens", type=int, default=62, help="mean of a sentence")
    parser.add_argument("--text", type=Path, help="a text with a paragraph a line; otherwise the sample corpus")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--limit", type=float, default=3600, help="seconds of turns for an encoder, but at least one turn"
    )
    parser.add_argument("--allennlp", default="", metavar="FOLDER", help="install AllenNLP 2.10.1 there and compare")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.allennlp:
        install_allennlp(Path(arguments.allennlp))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        make_models(Path(folder), arguments.size)
        for name in arguments.encoders.split(","):
            rows += compare(name, Path(folder), arguments)
    if arguments.json:
        print(json.dumps({"size": arguments.size, "cores": CORES, "rows": rows}, indent=1))
        return
    print(f"{arguments.size}, {arguments.sentences} sentences of {arguments.tokens} tokens", file=sys.stderr)
    for row in [dict(zip(rows[0], rows[0], strict=True)), *rows]:
        print("".join(f"{value!s:>{len(name) + 3}}" for name, value in row.items()))


if __name__ == "__main__":
    main()
