"""How fast CSE and ELMo encode, against flair and AllenNLP's parts: same weights, same sentences, one run.

In: nothing; weights are random, of the published sizes (``--size full``: CSE 2048 units, ELMo 2 x 4096/512 with 2048
filters) or small ones. Sentences are cut from the sample corpus at ChemProt's mean of 62 tokens. Out: a table with,
for each engine, tokens a second, the ratio to the reference, the share of the machine's own rate of
matrix products, the largest difference from the reference's vectors, and the memory that loading and encoding took.
Engines take turns, and medians over the turns are printed. One thread; CPU time is counted, so that other
processes on the machine disturb little (``--processes 2`` counts wall time and wants an idle machine). The references
are flair's FlairEmbeddings, 32 sentences a batch, and AllenNLP's ELMo put together from allennlp-light's
LstmCellWithProjection and Highway as AllenNLP does, likewise.

    python benchmarks/encoders.py [--size full] [--encoders cse,elmo] [--precisions float32,bfloat16,int8] [--turns 3]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from encoder_engines import REFERENCE_BATCH, REFERENCES, SIZES, Sentence, engines, make_models, ours

from featstore.corpora import load_corpus
from featstore.encoders.kernels import linear


def make_sentences(count: int, mean: int) -> list[list[str]]:
    """Cut the sample corpus's tokens into sentences of random lengths about ``mean``."""
    stream = [token for instance in load_corpus("sample:chemprot").instances for token in instance.tokens]
    rng, at, sentences = np.random.default_rng(0), 0, []
    for length in np.clip(rng.normal(mean, mean / 3, count), 5, 3 * mean).astype(int):
        sentences.append([stream[(at + i) % len(stream)] for i in range(length)])
        at += int(length)
    return sentences


def flops(name: str, size: str, sentences: Sequence[Sentence]) -> float:
    """Return the multiplications and additions of the LSTMs' products for ``sentences``."""
    if name == "cse":
        hidden, _ = SIZES[size]["cse"]
        return float(2 * 8 * hidden**2) * sum(len(" ".join(tokens)) + 2 for tokens in sentences)
    dim, projected, _ = SIZES[size]["elmo"]
    return float(2 * 2 * 2 * 9 * dim * projected) * sum(len(tokens) + 2 for tokens in sentences)


def product_rate(precision: str) -> float:
    """Return this machine's FLOP/s, one thread, in a large product at ``precision``: the best of torch's and ours."""
    x, weight = torch.randn(1024, 2048), torch.randn(4096, 2048)
    packed = linear(weight, None, precision, torch.device("cpu"))
    candidates: list[Callable[[], object]] = [lambda: packed(x)]
    if precision == "float32":
        candidates.append(lambda: torch.nn.functional.linear(x, weight))
    best = 0.0
    for run in candidates * 3:
        start = time.process_time()
        run()
        best = max(best, 2 * x.shape[0] * weight.numel() / (time.process_time() - start))
    return best


def _resident(field: str) -> float:
    """Return a field of Linux's /proc/self/status in MB; getrusage would count the parent's memory too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def _memory(name: str, folder: Path, engine: str, sentences: Sequence[Sentence], sender: Any) -> None:
    """In a process of its own: send by how many MB loading and encoding raised the peak of resident memory."""
    torch.set_num_threads(1)
    if engine == "flair":
        import flair.embeddings  # noqa: F401  the code itself shall not count
    before = _resident("VmRSS")
    is_reference = engine in REFERENCES
    engines(name, folder, [] if is_reference else [engine], is_reference)[engine]()(sentences)
    sender.send(_resident("VmHWM") - before)


def peak_memory(name: str, folder: Path, engine: str, sentences: Sequence[Sentence]) -> float:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_memory, args=(name, folder, engine, sentences, sender))
    process.start()
    sender.close()
    result = float(receiver.recv())
    process.join()
    return result


def _wall(name: str, folder: Path, precision: str, sentences: Sequence[Sentence], ready: Any, done: Any) -> None:
    torch.set_num_threads(1)
    engine = ours(name, folder, precision)
    engine(sentences[:4])
    ready.wait()
    engine(sentences)
    done.wait()


def rate_of_processes(name: str, folder: Path, precision: str, sentences: Sequence[Sentence], count: int) -> float:
    """Return tokens a second of wall time when ``count`` processes encode ``sentences`` each."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(count + 1), context.Barrier(count + 1)
    processes = [
        context.Process(target=_wall, args=(name, folder, precision, sentences, ready, done)) for _ in range(count)
    ]
    for process in processes:
        process.start()
    ready.wait()
    start = time.perf_counter()
    done.wait()
    seconds = time.perf_counter() - start
    for process in processes:
        process.join()
    return count * sum(map(len, sentences)) / seconds


def compare(name: str, folder: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure all engines of one encoder; the reference encodes the first batch only, as it is slow."""
    sentences = make_sentences(arguments.sentences, arguments.tokens)
    some = sentences[:REFERENCE_BATCH]
    precisions = arguments.precisions.split(",")
    table = {engine: make() for engine, make in engines(name, folder, precisions, arguments.references).items()}
    work = {engine: some if engine in REFERENCES else sentences for engine in table}
    times: dict[str, list[float]] = {engine: [] for engine in table}
    first: dict[str, list[np.ndarray]] = {engine: run(some[:4]) for engine, run in table.items()}  # and warm
    for _ in range(arguments.turns):
        for engine, run in table.items():
            start = time.process_time()
            run(work[engine])
            times[engine].append(time.process_time() - start)
    rates = {e: sum(map(len, work[e])) / statistics.median(times[e]) for e in table}
    reference = next(iter(table))
    rows = []
    for engine in table:
        precision = engine if engine in precisions else "float32"
        used = flops(name, arguments.size, work[engine]) / statistics.median(times[engine])
        rows.append(
            {
                "encoder": name,
                "engine": engine,
                "tokens/s": round(rates[engine], 1),
                "ratio": round(rates[engine] / rates[reference], 1),
                "of product rate": round(used / product_rate(precision), 2),
                "largest difference": max(
                    float(np.abs(a - b).max()) for a, b in zip(first[engine], first[reference], strict=True)
                ),
                "peak MB": round(peak_memory(name, folder, engine, some)) if arguments.memory else None,
            }
        )
        if engine in precisions and arguments.processes:
            rows[-1]["wall tokens/s"] = {
                n: round(rate_of_processes(name, folder, engine, sentences, n)) for n in (1, arguments.processes)
            }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--size", choices=list(SIZES), default="full")
    parser.add_argument("--encoders", default="cse,elmo")
    parser.add_argument("--precisions", default="float32,bfloat16,int8")
    parser.add_argument("--sentences", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=62, help="mean of a sentence")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--processes", type=int, default=0, help="also measure wall time with 1 and this many processes"
    )
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    parser.add_argument("--no-references", dest="references", action="store_false")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        make_models(Path(folder), arguments.size)
        for name in arguments.encoders.split(","):
            rows += compare(name, Path(folder), arguments)
    load = os.getloadavg()[0]
    if arguments.json:
        print(json.dumps({"size": arguments.size, "load": load, "rows": rows}, indent=1))
        return
    print(
        f"{arguments.size}, {arguments.sentences} sentences of {arguments.tokens} tokens, load average {load:.1f}",
        file=sys.stderr,
    )
    for row in [dict(zip(rows[0], rows[0], strict=True)), *rows]:
        print("".join(f"{value!s:>20}" for value in row.values()))


if __name__ == "__main__":
    main()
