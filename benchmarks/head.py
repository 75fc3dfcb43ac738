"""What lifts the head: settings compared on the dev parts, never on a test part. Resumable.

In: a corpus whose vectors are stored, a base of training options and changes to it, each ``NAME=VALUE NAME=VALUE``.
Out: a line for each change: dev F1 over folds and seeds (mean and deviation) of the best epoch and of the last one, dev
loss, dev F1 of the seeds' averaged probabilities, the same after a shift of the negative labels' scores that was
chosen on the other half of the dev part, and the seconds of an epoch. Every training's dev probabilities are kept below
``--out``; what is there is not trained again.

    python benchmarks/head.py --corpus gad:$DATA/gad --out runs/head --folds 1,2 --base "features=glove ..." \
        "" "spans=true" "spans=true project=100"
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

from classifier.batch import Batcher, tag_names
from classifier.features import open_features, parse_features
from classifier.metrics import score
from classifier.model import InputConfig, make_head
from classifier.predict import predict
from classifier.recipe import TrainConfig
from classifier.split import training_parts
from classifier.train import reproducible, train
from classifier.vectors import Sentences, Vectors
from featstore.corpora import load_corpus
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


def run(corpus: Corpus, store: Path, config: TrainConfig, fold: int, out: Path) -> Result:
    facts = [corpus.spec, corpus.context, corpus.indicators, fold, asdict(config)]
    path = out / f"{sha256(json.dumps(facts).encode()).hexdigest()[:16]}.npz"
    if not path.exists():
        result = fit(corpus, store, config, fold)
        out.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        np.savez(
            partial,
            gold=result.gold,
            probabilities=result.probabilities,
            facts=json.dumps([*facts, result.epochs]),
        )
        partial.rename(path)
    with np.load(path) as kept:
        return Result(json.loads(str(kept["facts"]))[-1], kept["gold"], kept["probabilities"])


_loaded: dict[tuple[str, int], Any] = {}


def load(corpus: Corpus, store: Path, config: TrainConfig, fold: int) -> Any:
    if (config.features, fold) not in _loaded:
        _loaded.clear()
        parts = training_parts(corpus, fold, config.dev_share)
        instances = [corpus.instances[position] for part in parts for position in part]
        train_part, dev_part = np.split(np.arange(len(instances)), [len(parts[0])])
        sentences = Sentences.of(instances)
        features = parse_features(config.features)
        with open_features(features, store, sentences.keys, "cli featurize") as stores:
            vectors = Vectors(features, stores, sentences, 12 << 30)
        tags = tag_names(instances)
        moments = vectors.moments(np.unique(sentences.of_instance[train_part]))
        _loaded[config.features, fold] = (
            vectors.specs,
            Batcher(instances, vectors, corpus.labels, tags),
            (train_part, dev_part),
            moments,
            tags,
        )
    return _loaded[config.features, fold]


def fit(corpus: Corpus, store: Path, config: TrainConfig, fold: int) -> Result:
    specs, batcher, parts, moments, tags = load(corpus, store, config, fold)
    with reproducible(config.seed, config.threads):
        inputs = tuple(InputConfig(spec.dim, spec.layers) for spec in specs)
        head = make_head(config.head_config(inputs, len(corpus.labels), len(tags)))
        if config.standardise:
            head.standardise(moments)
        epochs = train(head, batcher, parts, config, labels=corpus.labels, positive=corpus.positive)
        probabilities = predict(head, batcher, parts[1]).probabilities
    return Result([asdict(epoch) for epoch in epochs], batcher.labels[parts[1]], probabilities)


def f1(corpus: Corpus, gold: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    return 100 * (score(gold, probabilities.argmax(1), corpus.labels, corpus.positive).micro.f1 or 0.0)


def shifted_f1(corpus: Corpus, gold: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    negative = np.array([label not in corpus.positive for label in corpus.labels])
    logits = np.log(np.maximum(probabilities, 1e-9))
    half = np.random.default_rng(0).permutation(len(gold)) % 2
    predicted = np.zeros(len(gold), dtype=np.int64)
    for part in range(2):
        chosen = half == part
        shifts = np.linspace(-1, 2.5, 36)
        scores = [f1(corpus, gold[~chosen], logits[~chosen] - shift * negative) for shift in shifts]
        smooth = np.convolve(scores, np.ones(7) / 7, mode="same")[3:-3]
        predicted[chosen] = (logits[chosen] - shifts[3:-3][smooth.argmax()] * negative).argmax(1)
    return 100 * (score(gold, predicted, corpus.labels, corpus.positive).micro.f1 or 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("changes", nargs="+")
    parser.add_argument("--corpus", default="sample")
    parser.add_argument("--context", default="tagged")
    parser.add_argument("--indicators", default="tags")
    parser.add_argument("--store", type=Path, default=Path("features"))
    parser.add_argument("--out", type=Path, default=Path("runs/head"))
    parser.add_argument("--folds", default="1,2")
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--base", default="")
    options = parser.parse_args()
    corpus = load_corpus(options.corpus, indicators=options.indicators, context=options.context)
    base = TrainConfig(**parse(options.base))
    folds, seeds = ([int(n) for n in text.split(",")] for text in (options.folds, options.seeds))
    print(f"{'':50} {'best':>6} {'sd':>5} {'last':>6} {'loss':>6} {'seeds':>6} {'shift':>6} {'s':>5}")
    for change in options.changes:
        config = replace(base, **parse(change))
        results = [
            [run(corpus, options.store, replace(config, seed=seed), fold, options.out) for seed in seeds]
            for fold in folds
        ]
        flat = [each for row in results for each in row]
        best = [100 * max(e["dev_f1"] for e in each.epochs) for each in flat]
        last = [100 * each.epochs[-1]["dev_f1"] for each in flat]
        loss = [each.epochs[-1]["dev_loss"] for each in flat]
        seconds = statistics.mean(e["seconds"] for each in flat for e in each.epochs)
        averaged = [(row[0].gold, np.mean([each.probabilities for each in row], axis=0)) for row in results]
        together = statistics.mean(f1(corpus, *each) for each in averaged)
        shifted = statistics.mean(shifted_f1(corpus, *each) for each in averaged)
        sd = statistics.stdev(best) if len(best) > 1 else 0.0
        print(
            f"{change or 'base':50} {statistics.mean(best):6.2f} {sd:5.2f} {statistics.mean(last):6.2f} "
            f"{statistics.mean(loss):6.4f} {together:6.2f} {shifted:6.2f} {seconds:5.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
