"""What bfloat16 and int8 save and change when a fine-tuned transformer extracts.

In: a trained fold of ``--system bert`` and its corpus. Out: for each precision the time of a test instance (median of
rounds in turns, one thread), F1 on the test part, and how far the probabilities are from those in float32. These are
what ``cli extract --precision`` uses.

    python benchmarks/finetuned_precision.py --run RUN [--fold 1] [--instances 533] [--rounds 3]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch

from classifier.extract.precision import at_precision
from classifier.runs.config import read_config, run_corpus
from classifier.scores.metrics import score
from classifier.systems.saved import Fitted, load_fitted
from featstore.encoders.options import PRECISIONS
from featstore.records import Instance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--fold", type=int, default=1)
    parser.add_argument("--instances", type=int, default=533)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = run_corpus(read_config(options.run))
    instances = [corpus.instances[n] for n in corpus.partition(options.fold).test[: options.instances]]
    models = models_of(options.run / f"fold-{options.fold}")
    found = {name: model.model.probabilities(instances, ()) for name, model in models.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for _ in range(options.rounds):
        for name, model in models.items():
            times[name].append(timed(model, instances))
    gold = np.array([models["float32"].labels.index(instance.label or "") for instance in instances])
    print(f"{len(instances)} test instances; milliseconds a sample, medians of {options.rounds} rounds")
    print("precision   wall    cpu     F1  mean change  largest  labels changed")
    for name, model in models.items():
        wall, cpu = (1000 * median(each[n] for each in times[name]) / len(instances) for n in (0, 1))
        f1 = score(gold, found[name].argmax(1), model.labels, model.positive).micro.f1 or 0.0
        change = np.abs(found[name] - found["float32"]).max(1)
        others = int((found[name].argmax(1) != found["float32"].argmax(1)).sum())
        print(f"{name:9} {wall:6.2f} {cpu:6.2f} {100 * f1:6.2f} {change.mean():12.5f} {change.max():8.5f} {others:15}")


def models_of(folder: Path) -> dict[str, Fitted]:
    """Return the model at each precision."""
    models = {}
    for precision in PRECISIONS:
        model = at_precision(load_fitted(folder), precision, "cpu")
        assert isinstance(model, Fitted)
        models[precision] = model
    return models


def timed(model: Fitted, instances: Sequence[Instance]) -> tuple[float, float]:
    """Return the wall and the processor seconds of scoring instances."""
    wall, cpu = time.perf_counter(), time.process_time()
    model.model.probabilities(instances, ())
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
