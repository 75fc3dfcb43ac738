"""A tagger trained into a folder, and evaluated on a corpus.

In: corpora of mentions, the root of a store that holds the vectors of their sentences, a :class:`TaggerConfig`. Out,
in the folder: ``model.safetensors``, ``tagger.json`` (all facts, every epoch), ``README.md`` (the card) and, for each
corpus that it is evaluated on, ``metrics-CORPUS.json``. Before a tagger is trained to its end nothing of it is written
but, once a minute, the state from which an interrupted training goes on.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.data.features import Feature, open_features, parse_features
from classifier.data.vectors import RAM_BUDGET, Vectors
from classifier.entities.batch import SentenceBatcher, distinct
from classifier.entities.checkpoint import TaggerCheckpoint, load_tagger, round_weights, save_tagger
from classifier.entities.config import NetworkConfig, TaggerConfig
from classifier.entities.corpora import MentionCorpus
from classifier.entities.facts import (
    FORMAT_VERSION,
    MeasuredMentions,
    TaggerEpoch,
    TaggerMetrics,
    TaggerTraining,
    TrainedCorpus,
    metrics_file,
    metrics_files,
)
from classifier.entities.filter_facts import FILTER_FACTS, FILTER_WEIGHTS
from classifier.entities.loop import Training
from classifier.entities.model import Network
from classifier.entities.parts import Part, Parts, training_parts
from classifier.entities.place import (
    check_tagger_folder,
    tagger_target,
    trained_tagger_at,
    without_places,
    write_card,
)
from classifier.entities.predict import find_mentions
from classifier.entities.resume import load_state, save_state
from classifier.entities.scores import MentionScores, TypedSpan, score_mentions
from classifier.head.config import InputConfig
from classifier.runs.facts import to_json
from classifier.runs.memory import PeakMemory
from classifier.runs.workplace import working_at
from classifier.training.epoch import Notice, TellNotice, silent
from classifier.training.loop import reproducible
from classifier.training.resume import forget_unfinished
from featstore.addresses import spelled
from featstore.documents import Document
from featstore.errors import DataError
from featstore.files import write_file


def corpus_sentences(corpora: Iterable[MentionCorpus]) -> dict[bytes, tuple[str, ...]]:
    """Return the distinct sentences of all parts of some corpora by key: what a store must hold of them."""
    return {s.key: s.tokens for corpus in corpora for s in Part.of(corpus, corpus.documents).sentences}


def train_tagger(
    corpora: Sequence[MentionCorpus],
    store_root: str | Path,
    config: TaggerConfig,
    folder: Path,
    *,
    progress: Callable[[TaggerEpoch], None] | None = None,
    tell: TellNotice | None = None,
    ram_budget: int = RAM_BUDGET,
) -> TaggerCheckpoint:
    """Train a tagger and write it, in its folder or, whole, at its address.

    Args:
        corpora: loaded as ``config.corpora`` says.
        store_root: the store that holds the vectors of their sentences.
        config: how to train.
        folder: where the tagger is written; it is created, or an address.
        progress: called after each epoch.
        tell: hears what else the user should know.
        ram_budget: bytes of vectors to hold in memory.

    Raises:
        UsageError: a folder that holds a tagger of another configuration, a loss that is no number.
        DataError: no mention to learn, no dev part, vectors that are not finite.
        MissingFeatureError: a feature that was not featurized.
        MismatchError: somebody else has written a tagger at the address in the meantime.
        ResourceError: no room, no permission, or an address that cannot be reached.
    """
    check_tagger_folder(folder, config)
    tell = tell or silent
    with working_at(tagger_target(folder, config), tell) as work:
        if work.is_late:
            tell(Notice(f"the tagger was finished before, and is now put at {spelled(folder)}."))
        else:
            work.begin()
            _train(corpora, store_root, config, work.folder, progress, ram_budget)
        work.put()
        return load_tagger(work.folder)


def _train(
    corpora: Sequence[MentionCorpus],
    store_root: str | Path,
    config: TaggerConfig,
    folder: Path,
    progress: Callable[[TaggerEpoch], None] | None,
    ram_budget: int,
) -> None:
    """Train a tagger and write it into a folder of this machine."""
    start, memory = time.perf_counter(), PeakMemory()
    parts = training_parts(corpora, config.with_dev)
    sentences = parts.sentences
    count = sum(len(part.sentences) for part in parts.train)
    unique, features = distinct(sentences), parse_features(config.features)
    with (
        reproducible(config.seed, config.threads),
        open_features(
            features, store_root, unique.keys, featurize_command(features, config.corpora, store_root)
        ) as stores,
    ):
        vectors = Vectors(features, stores, unique, ram_budget)
        network = _network(config, vectors, parts.types, np.unique(unique.of_instance[:count]))
        batcher = SentenceBatcher(sentences, parts.annotated, vectors, parts.types)
        digest = _digest(config, corpora, vectors)
        training = Training(network, config, load_state(folder, digest))
        training.run(
            batcher,
            np.arange(count),
            lambda: _dev_score(network, batcher, parts, count),
            progress=progress,
            save=lambda state: save_state(folder, state, digest),
        )
    round_weights(network)
    checkpoint = TaggerCheckpoint(
        network=network.eval(),
        features=vectors.specs,
        encoders={store.meta.name: store.meta.facts for store in stores},
        corpora=tuple(_corpus_facts(corpus, part) for corpus, part in zip(corpora, parts.train, strict=True)),
        config=without_places(config),
        training=TaggerTraining.of(
            training.epochs,
            left_out=parts.left_out,
            seconds=time.perf_counter() - start,
            peak_memory=memory.bytes,
        ),
    )
    _publish(folder, checkpoint)


def _network(config: TaggerConfig, vectors: Vectors, types: tuple[str, ...], train: NDArray[np.int64]) -> Network:
    """Return a network as initialised, which standardises its inputs by the sentences ``train``."""
    network = Network(_shape(config, tuple(InputConfig(spec.dim, spec.layers) for spec in vectors.specs), types))
    network.standardise(vectors.moments(train))
    return network


def _digest(config: TaggerConfig, corpora: Sequence[MentionCorpus], vectors: Vectors) -> str:
    """Return a digest of all that a training depends on; the state of another one is not taken up."""
    facts = [FORMAT_VERSION, asdict(config), [c.digest for c in corpora], [asdict(s) for s in vectors.specs]]
    return sha256(json.dumps([*facts, version("torch")]).encode()).hexdigest()


def _publish(folder: Path, checkpoint: TaggerCheckpoint) -> None:
    """Write a tagger and its card, in the place of one that was there."""
    for path in (*metrics_files(folder), folder / FILTER_FACTS, folder / FILTER_WEIGHTS):
        path.unlink(missing_ok=True)  # of the tagger before
    save_tagger(folder, checkpoint)
    write_card(folder)
    forget_unfinished(folder)


def evaluate_tagger(
    folder: Path,
    corpus: MentionCorpus,
    store_root: str | Path,
    split: str = "test",
    *,
    tell: TellNotice | None = None,
    ram_budget: int = RAM_BUDGET,
) -> MentionScores:
    """Evaluate a tagger on a part of a corpus, over the types that both know; write the figures and the card.

    Mentions that the corpus annotates within others, which no tagger of this kind can find, count as not found.

    Args:
        folder: the tagger's folder, or its address.
        corpus: the corpus.
        store_root: the store that holds the vectors of its sentences.
        split: the part of it.
        tell: hears what the user should know.
        ram_budget: bytes of vectors to hold in memory.

    Raises:
        DataError: the corpus has no such part, or was trained on and this part of it with it.
        MismatchError: the store holds other vectors than it was trained on.
        MissingFileError, MissingFeatureError: no tagger, or vectors that were not featurized.
        ResourceError: no room, no permission, or an address that cannot be reached.
    """
    with trained_tagger_at(folder, tell) as place:
        return _evaluate(place, corpus, store_root, split, ram_budget)


def _evaluate(
    folder: Path, corpus: MentionCorpus, store_root: str | Path, split: str, ram_budget: int
) -> MentionScores:
    """Evaluate the tagger in a folder of this machine."""
    checkpoint = load_tagger(folder)
    documents = corpus.part(split)
    if not documents:
        raise DataError(f"{corpus.spec} has no {split} part.")
    part = Part.of(corpus, documents)
    unique = distinct(part.sentences)
    config = checkpoint.config
    with (
        reproducible(config.seed, config.threads),
        open_features(
            checkpoint.parsed_features,
            store_root,
            unique.keys,
            featurize_command(checkpoint.parsed_features, [corpus.spec], store_root),
            checkpoint.features,
        ) as stores,
    ):
        vectors = Vectors(checkpoint.parsed_features, stores, unique, ram_budget)
        annotated = [part.types] * len(part.sentences)
        batcher = SentenceBatcher(part.sentences, annotated, vectors, checkpoint.types)
        found = _by_document(checkpoint.network, batcher, part, 0)
    types = [type_ for type_ in corpus.types if type_ in checkpoint.types]
    scores = score_mentions(map(mentions_of, documents), found, types)
    _note(folder, corpus.name, split, scores)
    return scores


def mentions_of(document: Document) -> list[TypedSpan]:
    """Return the annotated mentions of a document."""
    return [(entity.start, entity.end, entity.type) for entity in document.entities]


def _shape(config: TaggerConfig, inputs: tuple[InputConfig, ...], types: tuple[str, ...]) -> NetworkConfig:
    """Return what determines the network: its inputs and types, and what is configured."""
    own = asdict(config)
    return NetworkConfig(inputs, types, **{f.name: own[f.name] for f in fields(NetworkConfig) if f.name in own})


def _dev_score(network: Network, batcher: SentenceBatcher, parts: Parts, first: int) -> float | None:
    """Return the mean over the corpora of exact micro-F1 on their dev parts; None if there are none."""
    scores = []
    for part in parts.dev:
        found = _by_document(network, batcher, part, first)
        first += len(part.sentences)
        score = score_mentions(map(mentions_of, part.documents), found, part.types).exact["all"]
        scores.append(score.f1 or 0.0)
    return sum(scores) / len(scores) if scores else None


def _by_document(network: Network, batcher: SentenceBatcher, part: Part, first: int) -> list[list[TypedSpan]]:
    """Return what is found in each document of a part whose sentences stand at ``first`` in the batcher."""
    positions = np.arange(first, first + len(part.sentences))
    by_document: list[list[TypedSpan]] = [[] for _ in part.documents]
    for place, mentions in find_mentions(network, batcher, positions).items():
        sentence = part.sentences[place - first]
        by_document[sentence.document] += [
            (sentence.offsets[m.start][0], sentence.offsets[m.end - 1][1], m.type) for m in mentions
        ]
    return by_document


def _corpus_facts(corpus: MentionCorpus, part: Part) -> TrainedCorpus:
    return TrainedCorpus(corpus.name, corpus.digest, corpus.types, len(part.documents), len(part.sentences))


def _note(folder: Path, corpus: str, split: str, scores: MentionScores) -> None:
    """Write the figures of an evaluation, and the card with those of all."""
    measured = MeasuredMentions.of(scores)
    metrics = TaggerMetrics(corpus, split, measured.exact, measured.relaxed)
    write_file(folder / metrics_file(corpus, split), to_json(metrics))
    write_card(folder)


def featurize_command(features: Sequence[Feature], corpora: Iterable[str], store_root: str | Path) -> str:
    """Return the command that makes the vectors that a tagger reads."""
    names = dict.fromkeys(feature.name for feature in features)
    options = ["--encoders", ",".join(names), "--corpus", ",".join(corpora), "--store", str(store_root)]
    return shlex.join(["cli", "entities", "featurize", *options])
