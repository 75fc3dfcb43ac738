"""Figures of the paper (Hiai et al. 2021), to be shown beside those that were measured here.

Precision, recall and F1 of the positive class on GAD, mean over ten folds, and micro over the five scored groups on the
test part of ChemProt; all in shares of 1. The times are for one instance of the test part of ChemProt on a V100.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from classifier.data.features import parse_features


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A row of the paper's Tables 2 and 3.

    Attributes:
        precision, recall, f1: shares of 1.
        ms: milliseconds to extract from one test instance, of Table 3; None where the paper does not say.
    """

    precision: float
    recall: float
    f1: float
    ms: float | None = None


_GLOVE, _CSE, _ELMO = frozenset({"glove"}), frozenset({"glove", "cse"}), frozenset({"glove", "elmo"})
_ALL = frozenset({"glove", "cse", "elmo"})
# Table 2, by corpus: the encoders of a light model -> its row
LIGHT: Mapping[str, Mapping[frozenset[str], PaperRow]] = {
    "gad": {
        _GLOVE: PaperRow(0.7731, 0.8001, 0.7859),
        _CSE: PaperRow(0.7874, 0.8743, 0.8283),
        _ELMO: PaperRow(0.8310, 0.8543, 0.8416),
        _ALL: PaperRow(0.8264, 0.8636, 0.8438),
    },
    "chemprot": {
        _GLOVE: PaperRow(0.5813, 0.5743, 0.5778),
        _CSE: PaperRow(0.6741, 0.5879, 0.6281, 5.99),
        _ELMO: PaperRow(0.7649, 0.6582, 0.7076, 14.71),
        _ALL: PaperRow(0.7605, 0.6617, 0.7077, 16.55),
    },
}
# Table 2: models that are not of this kind
OTHERS: Mapping[str, Mapping[str, PaperRow]] = {
    "gad": {
        "SciBERT": PaperRow(0.8554, 0.8061, 0.8283),
        "BioBERT": PaperRow(0.7643, 0.8765, 0.8161),
        "E-SVM": PaperRow(0.7921, 0.8925, 0.8393),
    },
    "chemprot": {
        "SciBERT": PaperRow(0.7973, 0.7085, 0.7503, 37.20),
        "BioBERT": PaperRow(0.7702, 0.7590, 0.7646, 47.11),
        "SPINN": PaperRow(0.7485, 0.5606, 0.6411),
    },
}
# What the paper calls systems whose label begins so.
_CALLED = {"svm": "E-SVM", "spinn": "SPINN", "bert:scibert": "SciBERT", "bert:biobert": "BioBERT"}
# Table 5: by how much tags beat replacement
TAGS_GAIN: Mapping[str, float] = {"gad": 0.009, "chemprot": 0.016}


def corpus_name(spec: str) -> str:
    """Return the name of the corpus in a spec: ``gad`` for ``gad:DIR``."""
    return spec.partition(":")[0]


def rows_of_paper(spec: str) -> dict[str, PaperRow]:
    """Return all rows that the paper has for a corpus, by their names, the light models first; empty for another."""
    corpus = corpus_name(spec)
    light = LIGHT.get(corpus, {})
    named = {"+".join(name for name in ("glove", "cse", "elmo") if name in each): row for each, row in light.items()}
    return {**named, **OTHERS.get(corpus, {})}


def light_row(spec: str, features: str) -> PaperRow | None:
    """Return the row of a head in the paper's Table 2, or None if it has no such row.

    ``bioglove`` counts as GloVe and ``elmo2`` as ELMo.
    """
    parsed = parse_features(features)
    names = {feature.name for feature in parsed}
    if len(names) < len(parsed):
        return None
    encoders = frozenset({"bioglove": "glove", "elmo2": "elmo"}.get(name, name) for name in names)
    return LIGHT.get(corpus_name(spec), {}).get(encoders)


def called_in_paper(label: str) -> str | None:
    """Return what the paper calls a system other than the head, by its label here; None if it has no such system."""
    return next((name for start, name in _CALLED.items() if label.lower().startswith(start)), None)
