"""What the files of a sentence filter say: ``filter.json`` beside a tagger's ``tagger.json``.

In: JSON that may come from anywhere. Out: values whose every field has its type. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from classifier.data.features import FeatureSpec
from classifier.runs.facts import read_facts
from featstore.addresses import is_there

FILTER_FORMAT = 1
FILTER_WEIGHTS, FILTER_FACTS = "filter.safetensors", "filter.json"
FILTER_MADE_BY = "`cli entities filter` makes it"


@dataclass(frozen=True, slots=True)
class FilteredPair:
    """Two types, and how sentences that may hold a mention of each are told from the others.

    Attributes:
        types: the two types, in the order of the tagger's; the same twice for two mentions of one type.
        threshold: the lowest score of a sentence that is read.
        sentences: of the dev parts of the corpora that annotate both types.
        holding: how many of these hold such a pair.
        read: share of the sentences that are read.
        read_tokens: share of the tokens that are read.
        kept: share of the pairs of annotated mentions that are in the sentences that are read.
    """

    types: tuple[str, str]
    threshold: float
    sentences: int
    holding: int
    read: float
    read_tokens: float
    kept: float


@dataclass(frozen=True, slots=True)
class FilterFacts:
    """The content of ``filter.json``.

    Attributes:
        format: version of the form of network and file.
        features: the features of the tagger that it reads.
        types: the types that it scores, those of the tagger.
        reach: tokens that it looks at on each side of a token.
        keep: share of the dev parts' sentences with a pair that the thresholds shall keep.
        pairs: the pairs of types that it can filter by.
        corpora: digest of each corpus that it was trained on, by name.
        sentences: trained on.
        seconds: wall time of its training.
        fingerprint: of all that its answers depend on.
        weights_sha256: digest of ``filter.safetensors``.
    """

    format: int
    features: tuple[FeatureSpec, ...]
    types: tuple[str, ...]
    reach: int
    keep: float
    pairs: tuple[FilteredPair, ...]
    corpora: Mapping[str, str]
    sentences: int
    seconds: float
    fingerprint: str
    weights_sha256: str


def has_filter(folder: Path) -> bool:
    """Tell whether a tagger has a sentence filter; those of earlier versions have none."""
    return is_there(folder / FILTER_FACTS)


def read_filter(folder: Path) -> FilterFacts:
    """Read the ``filter.json`` of a tagger.

    Raises:
        MissingFileError: there is none.
        DataError: it is damaged or changed.
        MismatchError: a later version of featstore wrote it.
    """
    return read_facts(FilterFacts, folder / FILTER_FACTS, FILTER_FORMAT, FILTER_MADE_BY)


def word_features(features: Sequence[FeatureSpec], encoders: Mapping[str, Mapping[str, object]]) -> list[int]:
    """Return which of a tagger's features give a word the same vector in every sentence, by their place.

    Tables of word vectors say in their facts how a word is looked up. All else reads the sentence, and would cost what
    the filter saves.
    """
    return [n for n, spec in enumerate(features) if "lookup" in encoders.get(spec.name, {})]
