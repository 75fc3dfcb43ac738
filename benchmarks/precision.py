"""What bfloat16 and int8 encoders cost in F1, on GAD's dev parts.

In: GAD's folder, a store to keep vectors in, the features. Out: F1 of the positive class on the dev part of each fold.
One head is trained a fold, on float32 vectors; it then reads the dev part's vectors of each encoder at each precision,
the others in float32, and of all encoders at that precision. Any change therefore comes from the vectors alone. A
second training would add random variation, which is larger. The test parts are not looked at.

    python benchmarks/precision.py $DATA/gad [--features glove+cse+elmo] [--folds 1,2,3] [--epochs 8]
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from classifier.data.split import training_parts
from classifier.runs.checkpoint import Checkpoint
from classifier.runs.classify import classify
from classifier.runs.config import RunConfig
from classifier.runs.folds import train_fold
from classifier.scores.metrics import score
from classifier.training.config import TrainConfig
from featstore.corpora import CorpusChoice, load_corpus
from featstore.encoders import EncoderOptions, load_encoder
from featstore.encoders.options import PRECISIONS
from featstore.featurize.encode import distinct_sentences, featurize
from featstore.records import Corpus, Instance
from featstore.stores import find_sets, open_store


def identities(corpus: Corpus, names: Sequence[str], store: str, precision: str) -> dict[str, str]:
    """Fill the store at ``precision`` and return each encoder's identity."""
    sentences = distinct_sentences(corpus.instances)
    options = EncoderOptions(precision)
    for name in names:
        featurize(sentences, name, root=store, dtype="float16", backend="hdf5", options=options, workers=1)
    return {name: load_encoder(name, precision=precision).identity for name in names}


def trained(corpus: Corpus, used: Mapping[str, str], fold: int, arguments: argparse.Namespace) -> Checkpoint:
    """Train a fold on the vectors of the encoders in ``used``."""
    features = "+".join(f"{name}@{identity}" for name, identity in used.items())
    config = RunConfig(
        CorpusChoice(corpus.spec),
        TrainConfig(
            features=features,
            optimizer="adamw",
            lr=0.001,
            standardise=True,
            dropout=0.4,
            patience=2,
            max_epochs=arguments.epochs,
            precision="bfloat16",
        ),
    )
    folder = Path(arguments.store) / "runs" / features.replace("@", "-")[:200]
    return train_fold(corpus, arguments.store, config, fold, folder)


def predicted(checkpoint: Checkpoint, used: Mapping[str, str], dev: Sequence[Instance], store: str) -> np.ndarray:
    """Return the labels that a head gives the dev part when it reads the vectors of ``used``; Shape: (n,)."""
    specs = tuple(replace(spec, identity=used[spec.name]) for spec in checkpoint.features)
    with ExitStack() as stack:
        stores = [
            stack.enter_context(closing(open_store(find_sets(store, f"{spec.name}@{spec.identity}")[0].path)))
            for spec in specs
        ]
        return classify(replace(checkpoint, features=specs), dev, stores).labels


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("gad", help="the folder of GAD")
    parser.add_argument("--features", default="glove+cse+elmo", help="encoders joined by +")
    parser.add_argument("--folds", default="1,2,3")
    parser.add_argument("--store", default="features")
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    corpus = load_corpus(f"gad:{arguments.gad}", indicators="tags", context="tagged")
    names = arguments.features.split("+")
    used = {precision: identities(corpus, names, arguments.store, precision) for precision in PRECISIONS}
    print(*(f"{name} {identity[:8]}" for name, identity in used["float32"].items()), file=sys.stderr)
    variants = {"float32": used["float32"]}
    for precision in PRECISIONS[1:]:
        lowered = [name for name in names if used[precision][name] != used["float32"][name]]
        variants |= {f"{name} {precision}": used["float32"] | {name: used[precision][name]} for name in lowered}
        variants[f"all {precision}"] = used[precision]
    f1: dict[str, list[float]] = {variant: [] for variant in variants}
    for fold in map(int, arguments.folds.split(",")):
        dev = [corpus.instances[i] for i in training_parts(corpus, fold, TrainConfig(features="glove").dev_share)[1]]
        gold = np.array([corpus.labels.index(instance.label or "") for instance in dev])
        head = trained(corpus, used["float32"], fold, arguments)
        exact = predicted(head, used["float32"], dev, arguments.store)
        for variant, vectors in variants.items():
            labels = predicted(head, vectors, dev, arguments.store)
            f1[variant].append(100 * (score(gold, labels, corpus.labels, corpus.positive).micro.f1 or 0.0))
            flipped = f"{(labels != exact).sum()} of {len(dev)} labels differ from float32's"
            print(f"fold {fold}  {variant:14} F1 {f1[variant][-1]:.2f}, {flipped}", flush=True)
    for variant, values in f1.items():
        change = statistics.mean(values) - statistics.mean(f1["float32"])
        print(f"mean    {variant:14} F1 {statistics.mean(values):.2f} ({change:+.2f})")


if __name__ == "__main__":
    main()
