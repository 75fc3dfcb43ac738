"""Training the sentence filter of a tagger, a minute's work on the vectors that the tagger was trained on.

In: a tagger's folder, corpora of mentions, the store with the vectors of their words. Out: the filter's files in the
folder, and the card. It learns on the training parts, as the tagger does (what a corpus does not annotate is not a
negative), and its thresholds are chosen on the dev parts, which it does not learn from, whether the tagger does or not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.data.features import FeatureSpec, open_features
from classifier.data.vectors import RAM_BUDGET, Vectors
from classifier.entities.batch import SentenceBatcher, distinct
from classifier.entities.checkpoint import TaggerCheckpoint, load_tagger
from classifier.entities.config import KEEP
from classifier.entities.corpora import MentionCorpus
from classifier.entities.filter_facts import FILTER_FORMAT, FilteredPair, FilterFacts, word_features
from classifier.entities.filter_model import FilterNetwork
from classifier.entities.parts import Part, training_parts
from classifier.entities.place import trained_tagger_at, write_card
from classifier.entities.prepare import featurize_command
from classifier.entities.sentence_filter import SentenceFilter, save_filter, sentence_scores, weights_of
from classifier.training.epoch import TellNotice
from classifier.training.loop import reproducible
from featstore.errors import UsageError
from featstore.fingerprint import fingerprint

REACH = 2
EPOCHS, BATCH, RATE, DECAY = 4, 64, 0.01, 0.3
FEWEST = 20  # sentences with a pair by which a threshold is chosen


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The sentences that thresholds are chosen on: their scores (n, types), lengths (n,), and whose they are."""

    parts: Sequence[Part]
    scores: NDArray[np.float64]
    lengths: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Learnt:
    """What was learnt: the network, the features that it reads, its thresholds, from how many sentences."""

    network: FilterNetwork
    features: tuple[FeatureSpec, ...]
    pairs: tuple[FilteredPair, ...]
    sentences: int


def train_filter(
    folder: Path,
    corpora: Sequence[MentionCorpus],
    store_root: str | Path,
    *,
    keep: float = KEEP,
    tell: TellNotice | None = None,
    ram_budget: int = RAM_BUDGET,
) -> SentenceFilter:
    """Train the sentence filter of a tagger and write it into the tagger's folder, or put it at its address.

    Args:
        folder: of the tagger, or its address.
        corpora: what it learns from; at least one has a dev part.
        store_root: the store that holds the vectors of their words.
        keep: share of the dev parts' sentences with a pair that shall be read.
        tell: hears what the user should know.
        ram_budget: bytes of vectors to hold in memory.

    Raises:
        UsageError: a share that is none.
        DataError: no mention to learn, or no dev part.
        MissingFileError, MissingFeatureError: no tagger, or vectors that were not featurized.
        MismatchError: the store holds other vectors than the tagger was trained on, or somebody else has written the
            tagger in the meantime.
        ResourceError: no room, no permission, or an address that cannot be reached.
    """
    if not 0 < keep <= 1:
        raise UsageError(f"--keep is {keep}; it is a share of sentences, above 0 and at most 1.")
    start = time.perf_counter()
    with trained_tagger_at(folder, tell) as place:
        checkpoint = load_tagger(place)
        learnt = _train(checkpoint, corpora, store_root, keep, ram_budget)
        facts = FilterFacts(
            format=FILTER_FORMAT,
            features=learnt.features,
            types=checkpoint.types,
            reach=REACH,
            keep=keep,
            pairs=learnt.pairs,
            corpora={corpus.name: corpus.digest for corpus in corpora},
            sentences=learnt.sentences,
            seconds=time.perf_counter() - start,
            fingerprint=_fingerprint(learnt.network, learnt.features, learnt.pairs),
            weights_sha256="",
        )
        trained = save_filter(place, learnt.network, facts)
        write_card(place)
    return trained


def _train(
    checkpoint: TaggerCheckpoint, corpora: Sequence[MentionCorpus], store_root: str | Path, keep: float, ram_budget: int
) -> _Learnt:
    """Train a network on the training parts and choose its thresholds on the dev parts."""
    places = word_features(checkpoint.features, checkpoint.encoders)
    specs = tuple(checkpoint.features[n] for n in places)
    features = [checkpoint.parsed_features[n] for n in places]
    parts = training_parts(corpora, with_dev=False)
    sentences, count = parts.sentences, sum(len(part.sentences) for part in parts.train)
    unique = distinct(sentences)
    command = featurize_command(features, [corpus.spec for corpus in corpora], store_root)
    with (
        reproducible(checkpoint.config.seed, checkpoint.config.threads),
        open_features(features, store_root, unique.keys, command, specs) as stores,
    ):
        vectors = Vectors(features, stores, unique, ram_budget)
        batcher = SentenceBatcher(sentences, parts.annotated, vectors, checkpoint.types)
        network = FilterNetwork(sum(spec.dim * spec.layers for spec in specs), len(checkpoint.types), REACH)
        network.standardise(vectors.moments(np.unique(unique.of_instance[:count])))
        _learn(network, batcher, np.arange(count), checkpoint.config.seed)
        scores = sentence_scores(network, batcher)[count:]
    pairs = _thresholds(_Chosen(parts.dev, scores, batcher.lengths[count:]), checkpoint.types, keep)
    return _Learnt(network, specs, pairs, count)


def _learn(network: FilterNetwork, batcher: SentenceBatcher, positions: NDArray[np.int64], seed: int) -> None:
    """Train a network with AdamW, whose rate falls to 0, and round its weights to what is stored."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    for number in range(EPOCHS):
        seen = 0
        for batch in batcher.shuffled(positions, BATCH, (seed, number)):
            for group in optimizer.param_groups:
                group["lr"] = RATE * (1 - (number + seen / len(positions)) / EPOCHS)
            seen += len(batch.lengths)
            optimizer.zero_grad()
            logs = network(batch.rows, batch.surface, batch.index, batch.lengths)
            network.loss(logs, batch.lengths, batch.possible).backward()
            optimizer.step()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.half())
    network.eval()


def _thresholds(chosen: _Chosen, types: Sequence[str], keep: float) -> tuple[FilteredPair, ...]:
    """Return the pairs of types that enough sentences of the dev parts hold, and the threshold of each."""
    found = (_threshold(chosen, types, pair, keep) for pair in combinations_with_replacement(types, 2))
    return tuple(pair for pair in found if pair is not None)


def _threshold(chosen: _Chosen, types: Sequence[str], pair: tuple[str, str], keep: float) -> FilteredPair | None:
    """Return the threshold above which the share ``keep`` of the sentences with a pair lies; None: too few have one."""
    known = np.array([set(pair) <= set(part.types) for part in chosen.parts for _ in part.sentences], dtype=np.bool_)
    counts = np.array(
        [[sum(m.type == t for m in s.mentions) for t in pair] for part in chosen.parts for s in part.sentences]
    )[known]
    pairs = counts[:, 0] * (counts[:, 1] - (pair[0] == pair[1]))
    if (pairs > 0).sum() < FEWEST:
        return None
    scores = chosen.scores[known][:, [types.index(type_) for type_ in pair]].sum(1)
    held = np.sort(scores[pairs > 0])
    threshold = float(held[int((1 - keep) * len(held))])
    read, lengths = scores >= threshold, chosen.lengths[known]
    return FilteredPair(
        types=pair,
        threshold=threshold,
        sentences=len(scores),
        holding=len(held),
        read=float(read.mean()),
        read_tokens=float(lengths[read].sum() / lengths.sum()),
        kept=float(pairs[read].sum() / pairs.sum()),
    )


def _fingerprint(network: FilterNetwork, specs: Sequence[FeatureSpec], pairs: Sequence[FilteredPair]) -> str:
    """Return a digest of all that the filter's answers depend on."""
    thresholds = [[*pair.types, pair.threshold] for pair in pairs]
    weights = sha256(weights_of(network)).hexdigest()
    return fingerprint({"weights": weights, "features": [asdict(spec) for spec in specs], "thresholds": thresholds})
