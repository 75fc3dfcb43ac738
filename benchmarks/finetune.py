"""Fine-tuning by the system ``bert`` against ``transformers.Trainer``: time a sample and memory, on the same work.

In: a checkpoint and a corpus. Out: the time of one epoch over the same instances, the pairs of every seventh sentence,
with the same batch size, optimiser and precision, and the peak of the resident memory. ``trainer`` and ``ours`` are the
same model, a classifier over ``[CLS]``. ``starts`` reads the states at the marks, and ``shared`` reads a sentence once
for all its pairs (``--readout``). For ours the time to score the same instances stands beside it. Each measurement is a
process of its own, and the engines take turns, so that what else the machine does falls on all. None evaluates or
saves. Processor seconds are told beside wall seconds, since they depend less on other work.

    python benchmarks/finetune.py --encoder bert:DIR --corpus chemprot:DIR [--instances 640] [--rounds 3]

``Trainer`` needs the package accelerate.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import chain, islice
from statistics import median
from typing import Any

import torch

from classifier.runs.memory import PeakMemory
from classifier.systems.bert.network import PairClassifier, load_encoder_and_reader
from classifier.systems.bert.options import BertOptions
from classifier.systems.bert.quick import use_quick_dropout
from classifier.systems.bert.reading import marks_of
from classifier.systems.bert.scoring import probabilities
from classifier.systems.bert.tuning import ReadPart, make_optimizer, numbers_of, run_epoch
from featstore.corpora import CorpusChoice, read_corpus
from featstore.records import Corpus, Instance

ENGINES = {"trainer": "cls", "ours": "cls", "starts": "starts", "shared": "shared"}  # and what each one reads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--indicators", default="blind")
    parser.add_argument("--instances", type=int, default=640)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", choices=tuple(ENGINES), help="measure this one here, and print JSON")
    options = parser.parse_args()
    if options.engine:
        print(json.dumps(measured(options)))
        return
    rounds = [{engine: in_process(engine) for engine in ENGINES} for _ in range(options.rounds)]
    print("medians; ms a sample: by the clock, of the processor, and of the processor to score it; peak MB")
    for engine in ENGINES:
        found = [median(each[engine][name] for each in rounds) for name in ("wall", "cpu", "score", "mb")]
        print(f"{engine:8} {found[0]:8.2f} {found[1]:8.2f} {found[2]:8.2f} {found[3]:8.0f}")
    for engine in list(ENGINES)[1:]:
        for name in ("wall", "cpu"):
            ratios = sorted(each["trainer"][name] / each[engine][name] for each in rounds)
            print(f"Trainer's {name} by that of {engine}: {median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}")


def in_process(engine: str) -> dict[str, float]:
    """Measure an engine in a process of its own."""
    command = [sys.executable, *sys.argv, "--engine", engine]
    found: dict[str, float] = json.loads(
        subprocess.run(command, capture_output=True, check=True).stdout.splitlines()[-1]
    )
    return found


def measured(options: argparse.Namespace) -> dict[str, float]:
    """Return wall and processor milliseconds a sample, and megabytes at most."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    corpus = read_corpus(CorpusChoice(options.corpus, options.indicators, "sentence"))
    instances = of_some_sentences(corpus, options.instances)
    tuned = BertOptions(
        encoder=options.encoder,
        readout=ENGINES[options.engine],
        batch_size=options.batch_size,
        precision=options.precision,
        max_epochs=1,
    )
    shared = tuned.readout == "shared"
    encoder, reader = load_encoder_and_reader(tuned.folder, marks_of(instances), tuned.max_length, "cpu", shared=shared)
    part = ReadPart(reader.read(instances), numbers_of(instances, corpus.labels))
    memory = PeakMemory()
    start = time.perf_counter(), time.process_time()
    network = PairClassifier(encoder, len(corpus.labels), tuned.readout, tuned.dropout)
    if options.engine == "trainer":
        with_trainer(encoder, part, len(corpus.labels), tuned)
    else:
        use_quick_dropout(network)
        run_epoch(network, make_optimizer(network, tuned), part, tuned, 1)
    wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    peak = memory.bytes or 0
    before = time.process_time()
    if options.engine != "trainer":
        probabilities(network, part.read, tuned.precision, "cpu")
    each = 1000 / len(instances)
    return {"wall": wall * each, "cpu": cpu * each, "score": (time.process_time() - before) * each, "mb": peak / 1e6}


def of_some_sentences(corpus: Corpus, count: int) -> list[Instance]:
    """Return the first ``count`` training pairs of every seventh sentence."""
    by_sentence: dict[bytes, list[Instance]] = {}
    for position in corpus.partition(1).train:
        by_sentence.setdefault(corpus.instances[position].key, []).append(corpus.instances[position])
    return list(islice(chain.from_iterable(islice(by_sentence.values(), None, None, 7)), count))


def with_trainer(encoder: Any, part: ReadPart, labels: int, options: BertOptions) -> None:
    """Train for one epoch with ``transformers.Trainer``, which pads each batch to its longest member."""
    from transformers import BertForSequenceClassification, Trainer, TrainingArguments

    encoder.config.num_labels = labels
    encoder.config._attn_implementation = "sdpa"  # what Trainer's users get
    model = BertForSequenceClassification(encoder.config)
    model.bert.load_state_dict(encoder.state_dict())
    rows = [
        {"input_ids": pieces.tolist(), "labels": int(label)}
        for pieces, label in zip(part.read.texts, part.gold, strict=True)
    ]

    def together(batch: Sequence[dict[str, object]]) -> dict[str, torch.Tensor]:
        ids = [torch.tensor(row["input_ids"]) for row in batch]
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(each) for each in ids], batch_first=True)
        gold = torch.tensor([row["labels"] for row in batch])
        return {"input_ids": padded, "attention_mask": mask, "labels": gold}

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=options.batch_size,
            num_train_epochs=1,
            learning_rate=options.lr,
            warmup_ratio=options.warmup,
            weight_decay=options.weight_decay,
            max_grad_norm=options.clip,
            optim="adamw_torch",
            bf16=options.precision == "bfloat16",
            use_cpu=True,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
            dataloader_pin_memory=False,
        )
        Trainer(model=model, args=arguments, train_dataset=rows, data_collator=together).train()


if __name__ == "__main__":
    main()
