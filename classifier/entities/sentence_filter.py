"""The sentence filter of a tagger: which sentences a language model need not encode for a pair of types.

In: sentences, and the vectors of their words, which are looked up. Out: whether each may hold a mention of either type
of a pair. A tagger that reads language models has to encode a sentence before it can look for mentions; where only
relations are wanted, a sentence that can hardly hold two mentions to relate needs neither.

On disk it is ``filter.safetensors`` (float16; means and scales float32) and ``filter.json`` in the tagger's folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from classifier.data.features import Feature, FeatureSpec
from classifier.data.vectors import Vectors
from classifier.entities.batch import SentenceBatcher, distinct
from classifier.entities.filter_facts import (
    FILTER_FACTS,
    FILTER_FORMAT,
    FILTER_MADE_BY,
    FILTER_WEIGHTS,
    FilterFacts,
    read_filter,
)
from classifier.entities.filter_model import FilterNetwork
from classifier.entities.sentences import TaggedSentence
from classifier.runs.facts import to_json
from classifier.runs.weights import read_weights
from featstore.errors import DataError, MismatchError
from featstore.files import write_file
from featstore.stores import FeatureStore

BATCH = 256
_FULL = ("mean", "scale")  # what stays float32
_MOST = 1000  # columns, types and reach of what is read from a file
TypePairs = frozenset[tuple[str, str]]  # types that a relation model pairs, in any order


@dataclass(frozen=True, slots=True, eq=False)
class SentenceFilter:
    """A trained filter.

    Attributes:
        network: the network, in evaluation mode.
        facts: what ``filter.json`` says of it.
    """

    network: FilterNetwork
    facts: FilterFacts

    @property
    def features(self) -> tuple[FeatureSpec, ...]:
        """What it reads: word vectors, which cost a look-up."""
        return self.facts.features

    def can_hold(
        self, sentences: Sequence[TaggedSentence], stores: Sequence[FeatureStore], pairs: TypePairs
    ) -> list[bool]:
        """Tell of each sentence whether it may hold one of some pairs.

        A pair that the filter has no threshold for may be in any sentence.

        Args:
            sentences: the sentences.
            stores: a set for each of :attr:`features` that holds them.
            pairs: the pairs of types.
        """
        known = {frozenset(pair.types): pair for pair in self.facts.pairs}
        wanted = [known.get(frozenset(pair)) for pair in pairs]
        if None in wanted:
            return [True] * len(sentences)
        if not sentences:
            return []
        scores = sentence_scores(self.network, self.batcher(sentences, stores))
        held = np.zeros(len(sentences), dtype=np.bool_)
        for pair in filter(None, wanted):
            one, other = (scores[:, self.facts.types.index(type_)] for type_ in pair.types)
            held |= one + other >= pair.threshold
        found: list[bool] = held.tolist()
        return found

    def batcher(self, sentences: Sequence[TaggedSentence], stores: Sequence[FeatureStore]) -> SentenceBatcher:
        """Return what makes batches of sentences."""
        vectors = Vectors([Feature(s.name, s.layer) for s in self.features], stores, distinct(sentences))
        return SentenceBatcher(sentences, [()] * len(sentences), vectors, self.facts.types)


@torch.inference_mode()
def sentence_scores(network: FilterNetwork, batcher: SentenceBatcher) -> NDArray[np.float64]:
    """Return the score of each type in all sentences of a batcher; Shape: (n, types)."""
    scores = np.zeros((len(batcher.lengths), network.types))
    for batch in batcher.in_order(np.arange(len(scores)), BATCH):
        logs = network(batch.rows, batch.surface, batch.index, batch.lengths)
        scores[batch.positions] = network.sentence_scores(logs, batch.lengths).numpy()
    return scores


def weights_of(network: FilterNetwork) -> bytes:
    """Return the weights of a network as they are stored."""
    tensors = {name: value if name in _FULL else value.half() for name, value in network.state_dict().items()}
    return save_tensors({name: value.contiguous() for name, value in tensors.items()})


def save_filter(folder: Path, network: FilterNetwork, facts: FilterFacts) -> SentenceFilter:
    """Write a filter into the folder of its tagger, the facts last."""
    weights = weights_of(network)
    facts = replace(facts, weights_sha256=sha256(weights).hexdigest())
    (folder / FILTER_FACTS).unlink(missing_ok=True)  # the old facts must not stand beside the new weights
    write_file(folder / FILTER_WEIGHTS, weights)
    write_file(folder / FILTER_FACTS, to_json(facts))
    return SentenceFilter(network, facts)


def load_filter(folder: Path, features: Iterable[FeatureSpec]) -> SentenceFilter:
    """Read what :func:`save_filter` wrote.

    Args:
        folder: the folder of the tagger.
        features: those of the tagger, some of which the filter reads.

    Raises:
        MissingFileError: a file of the filter is missing.
        DataError: a damaged or changed file.
        MismatchError: a format that this version does not know, weights of another filter, or features that the tagger
            does not read.
    """
    facts = read_filter(folder)
    if facts.format != FILTER_FORMAT:
        raise MismatchError(
            f"{folder / FILTER_FACTS} has format {facts.format}; this version reads {FILTER_FORMAT}. Train it again: "
            "`cli entities filter`."
        )
    weights = read_weights(folder / FILTER_WEIGHTS, facts.weights_sha256, FILTER_FACTS, FILTER_MADE_BY)
    if not set(facts.features) <= set(features):
        raise MismatchError(f"the sentence filter in {folder} reads other vectors than the tagger; {FILTER_MADE_BY}.")
    try:
        network = _network(facts, weights)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, SafetensorError) as error:
        raise DataError(f"{folder} does not hold an intact sentence filter ({error}); {FILTER_MADE_BY}.") from error
    return SentenceFilter(network, facts)


def _network(facts: FilterFacts, weights: bytes) -> FilterNetwork:
    """Return the network that the facts describe, with its weights; nothing large is made before the two fit."""
    columns = sum(spec.dim * spec.layers for spec in facts.features)
    if not 0 < len(facts.types) < _MOST or not 0 <= facts.reach < _MOST:
        raise ValueError(f"{len(facts.types)} types and a reach of {facts.reach} are no filter")
    tensors = load_tensors(weights)
    with torch.device("meta"):
        network = FilterNetwork(columns, len(facts.types), facts.reach)
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return network.eval()
