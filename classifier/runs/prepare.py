"""All that training a fold needs, read and made: the instances of both parts, their vectors, the head, the batches.

In: a corpus, the root of a store, a :class:`~classifier.runs.config.RunConfig` and a fold. Out: a :class:`Prepared`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.data.batch import Batcher, tag_names
from classifier.data.features import FeatureSpec, open_features, parse_features
from classifier.data.split import training_parts
from classifier.data.vectors import DistinctSentences, Vectors
from classifier.head.config import InputConfig
from classifier.head.model import AnyHead, make_head
from classifier.runs.config import RunConfig, check_config, config_toml
from classifier.runs.facts import FORMAT_VERSION, CorpusFacts
from classifier.training.config import TrainConfig
from classifier.training.loop import reproducible
from featstore.records import Corpus, Instance


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """All that training a fold needs.

    Attributes:
        head: as initialised.
        instances: of the train part, then of the dev part, then those without labels.
        parts: the positions in ``instances`` of what is learnt from (those without labels too), and of the dev part.
        labelled: how many instances have labels; the others follow them.
        vectors: of their sentences.
        batcher: batches of ``instances``.
        tags: names of the learned tag vectors.
        encoders: for each encoder the facts behind its identity.
        digest: of all that determines the training.
        new_head: makes a head as initialised, which standardises its input by that of the instances at some positions.
    """

    head: AnyHead
    instances: Sequence[Instance]
    parts: tuple[NDArray[np.int64], NDArray[np.int64]]
    labelled: int
    vectors: Vectors
    batcher: Batcher
    tags: tuple[str, ...]
    encoders: Mapping[str, Mapping[str, object]]
    digest: str
    new_head: Callable[[NDArray[np.int64]], AnyHead]


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A trained model whose probabilities a head learns besides the labels (Hinton et al. 2015).

    Attributes:
        fingerprint: a digest of all that its answers depend on, and of ``unlabelled``.
        probabilities: scores instances. Shape of what it returns: (n, labels).
        unlabelled: pairs without labels, of which it says all that is learnt.
    """

    fingerprint: str
    probabilities: Callable[[Sequence[Instance]], NDArray[np.float32]]
    unlabelled: Sequence[Instance] = ()


@contextmanager
def prepared(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    ram_budget: int,
    teacher: Teacher | None = None,
) -> Iterator[Prepared]:
    """Read and make all that training a fold needs; the vectors can be read inside."""
    check_config(config, corpus, run_dir)
    parts = training_parts(corpus, fold, config.train.dev_share, config.train.train_share)
    labelled = [corpus.instances[position] for part in parts for position in part]
    instances = [*labelled, *(teacher.unlabelled if teacher else ())]
    train_part, dev_part, unlabelled = np.split(np.arange(len(instances)), [len(parts[0]), len(labelled)])
    train_part = np.concatenate([train_part, unlabelled])
    sentences, tags = DistinctSentences.of(instances), tag_names(instances)
    features = parse_features(config.train.features)
    with (
        reproducible(config.train.seed, config.train.threads),
        open_features(features, store_root, sentences.keys, featurize_command(config, store_root)) as stores,
    ):
        vectors = Vectors(features, stores, sentences, ram_budget)

        def new_head(positions: NDArray[np.int64]) -> AnyHead:
            torch.manual_seed(config.train.seed)
            return _new_head(config.train, vectors, sentences.of_instance[positions], len(corpus.labels), len(tags))

        yield Prepared(
            head=new_head(train_part),
            instances=instances,
            parts=(train_part, dev_part),
            labelled=len(labelled),
            vectors=vectors,
            batcher=Batcher(instances, vectors, corpus.labels, tags),
            tags=tags,
            encoders={store.meta.name: store.meta.facts for store in stores},
            digest=_training_digest(config, corpus, fold, vectors.specs, teacher),
            new_head=new_head,
        )


def _new_head(
    config: TrainConfig, vectors: Vectors, train_sentences: NDArray[np.int64], labels: int, tags: int
) -> AnyHead:
    """Return an untrained head for these vectors; if it standardises them, by those of the train part."""
    inputs = tuple(InputConfig(spec.dim, spec.layers) for spec in vectors.specs)
    head = make_head(config.head_config(inputs, labels, tags))
    if config.standardise:
        head.standardise(vectors.moments(np.unique(train_sentences)))
    return head


def _training_digest(
    config: RunConfig, corpus: Corpus, fold: int, specs: Sequence[FeatureSpec], teacher: Teacher | None
) -> str:
    """Return a digest of all that determines how a fold is trained."""
    encoders = [asdict(spec) for spec in specs]
    facts = [FORMAT_VERSION, config_toml(config), asdict(CorpusFacts.of(corpus)), fold, encoders, version("torch")]
    if teacher:
        facts.append(teacher.fingerprint)
    return sha256(json.dumps(facts).encode()).hexdigest()


def featurize_command(config: RunConfig, store_root: str | Path) -> str:
    corpus = config.corpus
    options = ["--corpus", corpus.spec, "--context", corpus.context, "--indicators", corpus.indicators]
    if corpus.instances:
        options += ["--instances", str(corpus.instances)]
    if config.train.unlabelled:
        options += ["--unlabelled", config.train.unlabelled]
    return shlex.join(["cli", "featurize", *options, "--store", str(store_root)])
