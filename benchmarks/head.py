"""Compare settings of the head on dev parts, never on a test part. An interrupted comparison goes on.

In: a corpus whose vectors are stored, a recipe, a base of training options and changes to it, each ``NAME=VALUE
NAME=VALUE`` with the fields of TrainConfig. Out: a line for each change: dev F1 over folds and seeds of the best epoch
(mean and deviation) and of the last one, dev F1 of the seeds' averaged probabilities, the same after a shift towards
the positive labels (classifier.training.favour) that was chosen on the other half of the dev part, the lowest dev
loss, and the seconds of an epoch. Results below ``--out`` are kept and not trained again. ``dev_share=0.3`` gives a dev
part that is large enough to tell settings apart.

    python benchmarks/head.py --corpus gad:$DATA/gad --out runs/head --folds 1,2 --base "features=glove ..." \
        "" "project=100" "project=100 members=3"

``--beside CORPUS`` lets the head learn the training part of another corpus as an auxiliary task: the Bi-LSTM and its
attention are shared, and the other corpus's labels, the negative one too, are labels of their own. Its instances whose
document or sentence (nearly) is in the dev or the test part are left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.data.batch import Batcher, tag_names
from classifier.data.features import open_features, parse_features
from classifier.data.split import training_parts
from classifier.data.vectors import DistinctSentences, Vectors
from classifier.head.config import InputConfig
from classifier.head.model import make_head
from classifier.scores.metrics import score
from classifier.training.config import TrainConfig, recipe
from classifier.training.favour import best_shift
from classifier.training.loop import reproducible, train
from classifier.training.predict import predict
from featstore.corpora import load_corpus
from featstore.corpora.overlap import nearly_among
from featstore.records import Corpus


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One training: its epochs, and the gold labels and the probabilities of its dev part."""

    epochs: list[dict[str, Any]]
    gold: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def parse(text: str) -> dict[str, Any]:
    """Read ``NAME=VALUE ..``; a value is JSON or else a string."""
    options = {}
    for word in text.split():
        name, _, value = word.partition("=")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def beside(corpus: Corpus, other: Corpus) -> Corpus:
    """Return ``corpus`` with the training part of ``other`` in its own, whose labels begin with that corpus's name."""
    held_out = [instance for instance in corpus.instances if instance.split in ("dev", "test")]
    documents = {id_ for id_, part in corpus.documents.items() if part in ("dev", "test")}
    train = [instance for instance in other.instances if instance.split == "train"]
    added = tuple(
        replace(instance, id=f"{other.name}:{instance.id}", label=f"{other.name}:{instance.label}")
        for instance, is_near in zip(train, nearly_among(train, held_out), strict=True)
        if not is_near and instance.source.get("document") not in documents
    )
    left_out = len(train) - len(added)
    print(f"{other.spec}: {len(added):,} instances beside, {left_out:,} left out because the dev or test part has them")
    labels = (*corpus.labels, *sorted({str(instance.label) for instance in added}))
    spec = f"{corpus.spec} beside {other.spec}"
    return replace(corpus, spec=spec, instances=(*corpus.instances, *added), labels=labels)


def run(corpus: Corpus, store: Path, config: TrainConfig, fold: int, out: Path) -> Result:
    """Return a training's result, from ``out`` if it is there."""
    facts = [corpus.spec, corpus.context, corpus.indicators, fold, asdict(config)]
    path = out / f"{sha256(json.dumps(facts).encode()).hexdigest()[:16]}.npz"
    if not path.exists():
        result = fit(corpus, store, config, fold)
        out.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        about = json.dumps([*facts, result.epochs])
        np.savez(partial, gold=result.gold, probabilities=result.probabilities, about=about)
        partial.rename(path)
    with np.load(path) as kept:
        return Result(json.loads(str(kept["about"]))[-1], kept["gold"], kept["probabilities"])


def fit(corpus: Corpus, store: Path, config: TrainConfig, fold: int) -> Result:
    """Train a head as ``cli train`` would, and apply it to the dev part."""
    parts = training_parts(corpus, fold, config.dev_share)
    instances = [corpus.instances[position] for part in parts for position in part]
    train_part, dev_part = np.split(np.arange(len(instances)), [len(parts[0])])
    sentences, tags = DistinctSentences.of(instances), tag_names(instances)
    features = parse_features(config.features)
    with (
        reproducible(config.seed, config.threads),
        open_features(features, store, sentences.keys, f"cli featurize --corpus {corpus.spec}") as stores,
    ):
        vectors = Vectors(features, stores, sentences)
        inputs = tuple(InputConfig(spec.dim, spec.layers) for spec in vectors.specs)
        head = make_head(config.head_config(inputs, len(corpus.labels), len(tags)))
        if config.standardise:
            head.standardise(vectors.moments(np.unique(sentences.of_instance[train_part])))
        batcher = Batcher(instances, vectors, corpus.labels, tags)
        epochs = train(head, batcher, (train_part, dev_part), config, labels=corpus.labels, positive=corpus.positive)
        probabilities = predict(head, batcher, dev_part).probabilities
    return Result([asdict(epoch) for epoch in epochs], batcher.labels[dev_part], probabilities)


def f1(corpus: Corpus, gold: NDArray[np.int64], scores: NDArray[np.floating]) -> float:
    """Return micro-F1 in per cent of the labels with the highest scores; Shape: gold (n,), scores (n, labels)."""
    return 100 * (score(gold, scores.argmax(1), corpus.labels, corpus.positive).micro.f1 or 0.0)


def shifted_f1(corpus: Corpus, gold: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """Return micro-F1 if each half of the dev part is shifted by the amount that is best on the other half."""
    positive = np.array([label in corpus.positive for label in corpus.labels])
    first = np.random.default_rng(0).permutation(len(gold)) % 2 == 0
    shifted = probabilities.copy()
    for half in (first, ~first):
        shift = best_shift(probabilities[None, ~half], gold[~half], corpus.labels, corpus.positive)
        shifted[half] *= np.exp(shift * positive)
    return f1(corpus, gold, shifted)


def report(corpus: Corpus, change: str, results: list[list[Result]]) -> str:
    """Return the line of one change; ``results`` by fold and seed."""
    flat = [each for row in results for each in row]
    best = [100 * max(e["dev_f1"] for e in each.epochs) for each in flat]
    last = [100 * each.epochs[-1]["dev_f1"] for each in flat]
    loss = [min(e["dev_loss"] for e in each.epochs) for each in flat]
    seconds = [e["seconds"] for each in flat for e in each.epochs]
    averaged = [(row[0].gold, np.mean([each.probabilities for each in row], axis=0)) for row in results]
    figures = [
        statistics.mean(best),
        statistics.stdev(best) if len(best) > 1 else 0.0,
        statistics.mean(last),
        statistics.mean(f1(corpus, *each) for each in averaged),
        statistics.mean(shifted_f1(corpus, *each) for each in averaged),
    ]
    return (
        f"{change or '(base)':60}"
        + "".join(f"{figure:8.2f}" for figure in figures)
        + f"{statistics.mean(loss):8.4f}{statistics.median(seconds):7.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("changes", nargs="+")
    parser.add_argument("--corpus", default="sample")
    parser.add_argument("--context", default="tagged")
    parser.add_argument("--indicators", default="tags")
    parser.add_argument("--beside", action="append", default=[], help="another corpus; repeat for more")
    parser.add_argument("--store", type=Path, default=Path("features"))
    parser.add_argument("--out", type=Path, default=Path("runs/head"))
    parser.add_argument("--folds", default="1,2")
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--head", default="paper", help="the recipe that --base changes")
    parser.add_argument("--base", default="")
    options = parser.parse_args()
    corpus = load_corpus(options.corpus, indicators=options.indicators, context=options.context)
    for spec in options.beside:
        corpus = beside(corpus, load_corpus(spec, indicators=options.indicators, context=options.context))
    base = recipe(options.head, **parse(options.base))
    folds, seeds = ([int(n) for n in text.split(",")] for text in (options.folds, options.seeds))
    print(f"{'':60}{'best':>8}{'sd':>8}{'last':>8}{'seeds':>8}{'shift':>8}{'loss':>8}{'s':>7}")
    for change in options.changes:
        config = replace(base, **parse(change))
        results = [
            [run(corpus, options.store, replace(config, seed=seed), fold, options.out) for seed in seeds]
            for fold in folds
        ]
        print(report(corpus, change, results), flush=True)


if __name__ == "__main__":
    main()
