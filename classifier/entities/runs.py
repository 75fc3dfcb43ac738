"""A tagger trained into a folder, and evaluated on a corpus.

In: corpora of mentions, the root of a store that holds the vectors of their sentences, a :class:`TaggerConfig`. Out,
in the folder: ``model.safetensors``, ``tagger.json`` (all facts, every epoch), ``README.md`` (the card) and, for each
corpus that it is evaluated on, ``metrics-CORPUS.json``. Before a tagger is trained to its end nothing of it is written
but, once a minute, the state from which an interrupted training goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from classifier.data.features import open_features
from classifier.data.vectors import RAM_BUDGET, Vectors
from classifier.entities.batch import SentenceBatcher, distinct
from classifier.entities.checkpoint import TaggerCheckpoint, load_tagger, round_weights, save_tagger
from classifier.entities.config import TaggerConfig
from classifier.entities.corpora import MentionCorpus
from classifier.entities.estimate import TaggerPlan, plan_of
from classifier.entities.facts import (
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
from classifier.entities.parts import Part, Parts
from classifier.entities.place import (
    check_tagger_folder,
    tagger_target,
    trained_tagger_at,
    without_places,
    write_card,
)
from classifier.entities.predict import find_mentions
from classifier.entities.prepare import featurize_command, ready_to_train
from classifier.entities.resume import save_state
from classifier.entities.scores import MentionScores, TypedSpan, score_mentions
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
    announce: Callable[[TaggerPlan], None] | None = None,
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
        announce: called before the first epoch with what will be trained.
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
            _train(corpora, store_root, config, work.folder, announce, progress, ram_budget)
        work.put()
        return load_tagger(work.folder)


def plan_tagger(
    corpora: Sequence[MentionCorpus],
    store_root: str | Path,
    config: TaggerConfig,
    folder: Path,
    *,
    ram_budget: int = RAM_BUDGET,
) -> TaggerPlan:
    """Return what :func:`train_tagger` would do with the same arguments, and write nothing; errors as there."""
    check_tagger_folder(folder, config)
    place = tagger_target(folder, config).work_folder
    with ready_to_train(corpora, store_root, config, place, ram_budget) as ready:
        return plan_of(ready, config)


def _train(
    corpora: Sequence[MentionCorpus],
    store_root: str | Path,
    config: TaggerConfig,
    folder: Path,
    announce: Callable[[TaggerPlan], None] | None,
    progress: Callable[[TaggerEpoch], None] | None,
    ram_budget: int,
) -> None:
    """Train a tagger and write it into a folder of this machine."""
    start, memory = time.perf_counter(), PeakMemory()
    with ready_to_train(corpora, store_root, config, folder, ram_budget) as ready:
        if announce:
            announce(plan_of(ready, config))
        network, parts, batcher = ready.network, ready.parts, ready.batcher
        training = Training(network, config, ready.state)
        training.run(
            batcher,
            np.arange(ready.train),
            lambda: _dev_score(network, batcher, parts, ready.train),
            progress=progress,
            save=lambda state: save_state(folder, state, ready.digest),
        )
    round_weights(network)
    checkpoint = TaggerCheckpoint(
        network=network.eval(),
        features=ready.features,
        encoders=ready.encoders,
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
