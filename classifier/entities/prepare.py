"""What a tagger is trained with: its sentences as batches of stored vectors, and a network as initialised.

In: corpora of mentions, the root of a store, a :class:`TaggerConfig`, and the folder that the state of an interrupted
training lies in. Out: a :class:`ReadyTagger`, as long as the store's sets are open.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.data.features import Feature, FeatureSpec, open_features, parse_features
from classifier.data.vectors import Vectors
from classifier.entities.batch import SentenceBatcher, distinct
from classifier.entities.config import NetworkConfig, TaggerConfig
from classifier.entities.corpora import MentionCorpus
from classifier.entities.facts import FORMAT_VERSION
from classifier.entities.loop import TaggerState
from classifier.entities.model import Network
from classifier.entities.parts import Parts, training_parts
from classifier.entities.resume import load_state
from classifier.head.config import InputConfig
from classifier.training.loop import reproducible


@dataclass(frozen=True, slots=True, eq=False)
class ReadyTagger:
    """A tagger that is ready to be trained.

    Attributes:
        parts: what it is trained and chosen on.
        train: number of sentences of the training parts, which stand first in ``batcher``.
        batcher: batches of all sentences.
        network: as initialised.
        features: what it reads.
        encoders: for each encoder that it reads the facts behind its identity.
        digest: of all that the training depends on.
        state: where an interrupted training stood, or None.
    """

    parts: Parts
    train: int
    batcher: SentenceBatcher
    network: Network
    features: tuple[FeatureSpec, ...]
    encoders: Mapping[str, Mapping[str, object]]
    digest: str
    state: TaggerState | None


@contextmanager
def ready_to_train(
    corpora: Sequence[MentionCorpus], store_root: str | Path, config: TaggerConfig, folder: Path, ram_budget: int
) -> Iterator[ReadyTagger]:
    """Yield what a tagger is trained with; random numbers follow the seed while it is in use.

    Args:
        corpora: loaded as ``config.corpora`` says.
        store_root: the store that holds the vectors of their sentences.
        config: how to train.
        folder: of this machine, in which the state of an interrupted training may lie.
        ram_budget: bytes of vectors to hold in memory.

    Raises:
        DataError: no mention to learn, no dev part, vectors that are not finite.
        MissingFeatureError: a feature that was not featurized.
    """
    parts = training_parts(corpora, config.with_dev)
    sentences, train = parts.sentences, sum(len(part.sentences) for part in parts.train)
    unique, features = distinct(sentences), parse_features(config.features)
    command = featurize_command(features, config.corpora, store_root)
    with (
        reproducible(config.seed, config.threads),
        open_features(features, store_root, unique.keys, command) as stores,
    ):
        vectors = Vectors(features, stores, unique, ram_budget)
        network = _network(config, vectors, parts.types, np.unique(unique.of_instance[:train]))
        digest = _digest(config, corpora, vectors)
        yield ReadyTagger(
            parts=parts,
            train=train,
            batcher=SentenceBatcher(sentences, parts.annotated, vectors, parts.types),
            network=network,
            features=vectors.specs,
            encoders={store.meta.name: store.meta.facts for store in stores},
            digest=digest,
            state=load_state(folder, digest),
        )


def _network(config: TaggerConfig, vectors: Vectors, types: tuple[str, ...], train: NDArray[np.int64]) -> Network:
    """Return a network as initialised, which standardises its inputs by the sentences ``train``."""
    network = Network(_shape(config, tuple(InputConfig(spec.dim, spec.layers) for spec in vectors.specs), types))
    network.standardise(vectors.moments(train))
    return network


def _shape(config: TaggerConfig, inputs: tuple[InputConfig, ...], types: tuple[str, ...]) -> NetworkConfig:
    """Return what determines the network: its inputs and types, and what is configured."""
    own = asdict(config)
    return NetworkConfig(inputs, types, **{f.name: own[f.name] for f in fields(NetworkConfig) if f.name in own})


def _digest(config: TaggerConfig, corpora: Sequence[MentionCorpus], vectors: Vectors) -> str:
    """Return a digest of all that a training depends on; the state of another one is not taken up."""
    facts = [FORMAT_VERSION, asdict(config), [c.digest for c in corpora], [asdict(s) for s in vectors.specs]]
    return sha256(json.dumps([*facts, version("torch")]).encode()).hexdigest()


def featurize_command(features: Sequence[Feature], corpora: Iterable[str], store_root: str | Path) -> str:
    """Return the command that makes the vectors that a tagger reads."""
    names = dict.fromkeys(feature.name for feature in features)
    options = ["--encoders", ",".join(names), "--corpus", ",".join(corpora), "--store", str(store_root)]
    return shlex.join(["cli", "entities", "featurize", *options])
