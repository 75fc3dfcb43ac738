"""What bfloat16 and int8 encoders cost in F1: GAD's dev parts, the head as it is or trained anew.

In: GAD's folder, a store to keep vectors in, the features. Out: for each fold and precision F1 of the positive class on
the dev part. By default one head is trained a fold, on float32 vectors, and reads the dev part's vectors at each
precision: the change is then the vectors' alone. With ``--retrain`` a head is trained at each precision, as a user
would; that change holds the chance of another training too. The test parts are not looked at.

    python benchmarks/precision.py $DATA/gad --features glove+cse [--folds 1,2,3] [--retrain]
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

from classifier.checkpoint import Checkpoint
from classifier.folds import train_fold
from classifier.metrics import score
from classifier.predict import classify
from classifier.recipe import TrainConfig
from classifier.runs import RunConfig
from classifier.split import training_parts
from featstore.corpora import load_corpus
from featstore.encoders import load_encoder
from featstore.encoders.kernels import PRECISIONS
from featstore.featurize import distinct_sentences, featurize
from featstore.records import Corpus, Instance
from featstore.stores import find_sets, open_store


def identities(corpus: Corpus, names: Sequence[str], store: str, precision: str) -> dict[str, str]:
    """Fill the store at ``precision`` and return each encoder's identity."""
    sentences = distinct_sentences(corpus.instances)
    for name in names:
        featurize(sentences, name, root=store, dtype="float16", backend="hdf5", precision=precision, workers=1)
    return {name: load_encoder(name, precision=precision).identity for name in names}


def trained(corpus: Corpus, used: Mapping[str, str], fold: int, arguments: argparse.Namespace) -> Checkpoint:
    """Train a fold on the vectors of the encoders in ``used``."""
    features = "+".join(f"{name}@{identity}" for name, identity in used.items())
    config = RunConfig(
        corpus=corpus.spec,
        indicators="tags",
        context="tagged",
        instances="",
        train=TrainConfig(
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
    parser.add_argument("--features", default="glove+cse", help="encoders joined by +")
    parser.add_argument("--folds", default="1,2,3")
    parser.add_argument("--store", default="features")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--retrain", action="store_true", help="train a head at each precision")
    arguments = parser.parse_args()
    corpus = load_corpus(f"gad:{arguments.gad}", indicators="tags", context="tagged")
    names = arguments.features.split("+")
    used = {precision: identities(corpus, names, arguments.store, precision) for precision in PRECISIONS}
    print(*(f"{name} {identity[:8]}" for name, identity in used["float32"].items()), file=sys.stderr)
    f1: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for fold in map(int, arguments.folds.split(",")):
        dev = [corpus.instances[i] for i in training_parts(corpus, fold, TrainConfig(features="glove").dev_share)[1]]
        gold = np.array([corpus.labels.index(instance.label or "") for instance in dev])
        head = trained(corpus, used["float32"], fold, arguments)
        exact = predicted(head, used["float32"], dev, arguments.store)
        for precision in PRECISIONS:
            if arguments.retrain:
                head = trained(corpus, used[precision], fold, arguments)
            labels = predicted(head, used[precision], dev, arguments.store)
            f1[precision].append(100 * (score(gold, labels, corpus.labels, corpus.positive).micro.f1 or 0.0))
            print(
                f"{arguments.features} fold {fold} {precision:9} F1 {f1[precision][-1]:.2f},"
                f" {(labels != exact).sum()} of {len(dev)} labels differ from float32's",
                flush=True,
            )
    for precision, values in f1.items():
        change = statistics.mean(values) - statistics.mean(f1["float32"])
        print(f"{arguments.features} mean   {precision:9} F1 {statistics.mean(values):.2f} ({change:+.2f})")


if __name__ == "__main__":
    main()
