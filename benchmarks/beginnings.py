"""What it saves to encode once what sentences share: CSE and ELMo with and without it, in turn, in one process.

In: a corpus and a context. Out: how much of its text is in distinct beginnings, for the whole corpus and for the
batches that featurize makes; then for each encoder tokens a second of processor time, the ratio of the two in each
round, and whether the vectors are the same to the last bit. Encoding ``apart`` is what it was before: sentences in
batches of about equal length, and each of them read as if it shared nothing. A few batches are taken, evenly spread
over the lengths. One thread; the rounds alternate, so the ratio holds on a busy machine too.

    python benchmarks/beginnings.py --corpus chemprot:DIR [--context tagged] [--indicators tags] [--encoders cse,elmo]
        [--size shipped] [--precisions float32] [--batches 6] [--rounds 3]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from encoder_engines import make_models

from featstore.corpora import load_corpus
from featstore.encoders import Encoder, load_encoder
from featstore.encoders.beginnings import Beginnings, Ints, find_beginnings
from featstore.encoders.lanes import schedule
from featstore.featurize.encode import distinct_sentences
from featstore.featurize.producer import batches

Sentence = Sequence[str]
LANES, OLD_BATCH = 128, 8192


def apart(items: Ints, lengths: Ints) -> Beginnings:
    """Return beginnings of which no sentence shares one."""
    order, ends = np.arange(len(items)), np.cumsum(lengths)
    return Beginnings(order, order, np.append(0, ends), np.full(len(lengths), -1))


@contextmanager
def sharing_nothing() -> Iterator[None]:
    with (
        patch("featstore.encoders.cse.find_beginnings", apart),
        patch("featstore.encoders.elmo.find_beginnings", apart),
    ):
        yield


def by_length(sentences: Sequence[Sentence]) -> list[list[Sentence]]:
    """Cut sentences into batches of about equal length."""
    result: list[list[Sentence]] = []
    room = 0
    for tokens in sorted(sentences, key=len):
        if room < len(tokens):
            result.append([])
            room = OLD_BATCH
        result[-1].append(tokens)
        room -= len(tokens)
    return result


def spelled(sentences: Sequence[Sentence], unit: str, turn: int) -> tuple[Ints, Ints]:
    """Return the items that CSE (characters) or ELMo (tokens) reads in one direction, and their number by sentence."""
    read = [f"\n{' '.join(t)} "[::turn] if unit == "characters" else ["<S>", *t, "</S>"][::turn] for t in sentences]
    known: dict[str, int] = {}
    items = np.array([known.setdefault(item, len(known)) for each in read for item in each])
    return items, np.array([len(each) for each in read])


def count(sentences: Sequence[Sentence], cut: Sequence[Sequence[Sentence]]) -> None:
    """Print how much is shared."""
    for unit in ("characters", "tokens"):
        for name, parts in (("whole corpus", [sentences]), ("its batches", cut)):
            items = beginnings = steps = 0
            for part in parts:
                for turn in (1, -1):
                    read, lengths = spelled(part, unit, turn)
                    found = find_beginnings(read, lengths)
                    items, beginnings = items + len(read), beginnings + len(found.last_item)
                    steps += len(schedule(found, LANES).begins) - 1
            print(
                f"{unit:11}{name:14}{items:12,} read, {beginnings:12,} distinct beginnings, "
                f"{items / beginnings:5.2f} to 1, {beginnings / steps:6.1f} lanes in the mean",
                flush=True,
            )


def timed(encode: Callable[[], list[np.ndarray]]) -> tuple[float, list[np.ndarray]]:
    start = time.process_time()
    vectors = encode()
    return time.process_time() - start, vectors


def compare(name: str, encoder: Encoder, cut: Sequence[Sequence[Sentence]], rounds: int) -> None:
    """Print speed with sharing and without, and whether the vectors agree."""
    sentences = [tokens for batch in cut for tokens in batch]
    apart_cut = by_length(sentences)
    tokens = sum(map(len, sentences))
    encoder.encode(sentences[:4])  # what is loaded lazily, and ELMo's first layer of frequent words
    with_, without, ratios, same = [], [], [], True
    for _ in range(rounds):
        ours, shared = timed(lambda: [vectors for batch in cut for vectors in encoder.encode(batch)])
        with sharing_nothing():
            theirs, single = timed(lambda: [vectors for batch in apart_cut for vectors in encoder.encode(batch)])
        place = {tuple(s): v for s, v in zip((s for batch in apart_cut for s in batch), single, strict=True)}
        same &= all(np.array_equal(v, place[tuple(s)]) for s, v in zip(sentences, shared, strict=True))
        with_.append(tokens / ours)
        without.append(tokens / theirs)
        ratios.append(theirs / ours)
    told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(
        f"{name:24}{statistics.median(without):9,.0f} apart {statistics.median(with_):9,.0f} shared, tokens a second; "
        f"ratio {statistics.median(ratios):.2f} ({told}); {'the same bits' if same else 'NOT THE SAME VECTORS'}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="sample:chemprot")
    parser.add_argument("--context", default="tagged")
    parser.add_argument("--indicators", default="tags")
    parser.add_argument("--encoders", default="cse,elmo")
    parser.add_argument("--size", default="shipped", choices=("shipped", "small", "full"))
    parser.add_argument("--precisions", default="float32")
    parser.add_argument("--batches", type=int, default=6, help="that are encoded, of those of the corpus")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", action="store_true", help="count only, and encode nothing")
    parser.add_argument("--no-count", action="store_true", help="encode only")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    corpus = load_corpus(arguments.corpus, indicators=arguments.indicators, context=arguments.context)
    sentences = distinct_sentences(corpus.instances)
    cut = [list(batch.values()) for batch in batches(sentences)]
    cut.sort(key=lambda batch: max(map(len, batch)))
    print(f"{len(corpus.instances):,} instances, {len(sentences):,} distinct sentences, {len(cut)} batches")
    if not arguments.no_count:
        count(list(sentences.values()), cut)
    if arguments.count:
        return
    step = max(1, len(cut) // arguments.batches)
    taken = cut[step // 2 :: step][: arguments.batches]
    print(f"{len(taken)} batches of {sum(len(tokens) for batch in taken for tokens in batch):,} tokens", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.size != "shipped":
            make_models(Path(folder), arguments.size)
        for name in arguments.encoders.split(","):
            spec = name if arguments.size == "shipped" else f"{name}:{folder}/{name}"
            for precision in arguments.precisions.split(","):
                told = f"{name}, {arguments.size}, {precision}"
                compare(told, load_encoder(spec, precision=precision), taken, arguments.rounds)


if __name__ == "__main__":
    main()
