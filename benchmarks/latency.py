"""What a little costs: one abstract once the model is loaded, and one sentence by a command that has just been started.

In: ChemProt (``--corpus DIR``), whose test part gives the abstracts, as plain text. Out: the median time of one
``Extractor`` call, by the processor and by the clock, of abstracts that are new to it and of the same ones again (ELMo
keeps the first layer of the words that it has met); then the same of whole runs of ``cli extract --text`` and of
``python -c "import torch"``, which take turns. All on one thread. The first run of each is left out, since it reads
the files from the disk.

    python benchmarks/latency.py --corpus DIR [--abstracts 60] [--runs 5]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from classifier.extract.extractor import Extractor
from featstore.corpora.chemprot_files import read_release
from featstore.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent
SENTENCE = "Aspirin inhibits COX-2."
COMMANDS = {
    "cli extract --text": [str(ROOT / "cli.py"), "extract", "--text", SENTENCE],
    "import torch": ["-c", "import torch"],
}


class Cost(NamedTuple):
    """Seconds of the processor and by the clock."""

    processor: float
    clock: float


def cost(work: Callable[[], object], processor: Callable[[], float]) -> Cost:
    """Return what some work costs; ``processor`` reads the processor's time."""
    before, since = processor(), time.perf_counter()
    work()
    return Cost(processor() - before, time.perf_counter() - since)


def line(name: str, costs: Sequence[Cost]) -> str:
    """Return a row of the table, the medians in milliseconds."""
    processor, clock = (1000 * median(column) for column in zip(*costs, strict=True))
    return f"| {name} | {processor:,.1f} ms | {clock:,.1f} ms | {len(costs)} |"


def of_children() -> float:
    """Return the processor time of the processes that have been started and have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(arguments: Sequence[str]) -> None:
    """Run Python in a process of its own.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=ROOT)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of ChemProt")
    parser.add_argument("--abstracts", type=int, default=60, help="abstracts of the test part")
    parser.add_argument("--runs", type=int, default=5, help="runs of each command")
    options = parser.parse_args()
    if min(options.abstracts, options.runs) < 1:
        raise UsageError(f"--abstracts {options.abstracts} and --runs {options.runs}: each must be at least 1.")
    documents = read_release(options.corpus).documents.values()
    texts = [document.text for document in documents if document.split == "test"][: options.abstracts]
    print("| | processor | clock | number |\n|---|---|---|---|")
    extractor = Extractor.load()
    extractor.extract(SENTENCE)
    for name in ("an abstract, new", "the same again"):
        print(line(name, [cost(lambda: extractor.extract(text), time.process_time) for text in texts]))  # noqa: B023
    costs: dict[str, list[Cost]] = {name: [] for name in COMMANDS}
    for _ in range(options.runs + 1):
        for name, arguments in COMMANDS.items():
            costs[name].append(cost(lambda: run(arguments), of_children))  # noqa: B023
    for name, each in costs.items():
        print(line(name, each[1:]))


if __name__ == "__main__":
    main()
