"""Figures of the paper (Hiai et al. 2021), to be shown beside those that were measured here.

F1 of the positive class on GAD, mean over ten folds, and micro-F1 over the five scored groups on the test part of
ChemProt; both in shares of 1.
"""

from __future__ import annotations

from collections.abc import Mapping

from classifier.data.features import parse_features

# Table 2, by corpus: the encoders of a light model -> F1
LIGHT: Mapping[str, Mapping[frozenset[str], float]] = {
    "gad": {
        frozenset({"glove"}): 0.7859,
        frozenset({"glove", "cse"}): 0.8283,
        frozenset({"glove", "elmo"}): 0.8416,
        frozenset({"glove", "cse", "elmo"}): 0.8438,
    },
    "chemprot": {
        frozenset({"glove"}): 0.5778,
        frozenset({"glove", "cse"}): 0.6281,
        frozenset({"glove", "elmo"}): 0.7076,
        frozenset({"glove", "cse", "elmo"}): 0.7077,
    },
}
# Table 2: models that are not of this kind
OTHERS: Mapping[str, Mapping[str, float]] = {
    "gad": {"SciBERT": 0.8283, "BioBERT": 0.8161, "E-SVM": 0.8393},
    "chemprot": {"SciBERT": 0.7503, "BioBERT": 0.7646, "SPINN": 0.6411},
}
# Table 5: by how much tags beat replacement
TAGS_GAIN: Mapping[str, float] = {"gad": 0.009, "chemprot": 0.016}


def corpus_name(spec: str) -> str:
    """Return the name of the corpus in a spec: ``gad`` for ``gad:DIR``."""
    return spec.partition(":")[0]


def light_f1(spec: str, features: str) -> float | None:
    """Return F1 of a row in the paper's Table 2, or None if the table has no such row. ``bioglove`` counts as GloVe."""
    parsed = parse_features(features)
    names = {feature.name for feature in parsed}
    if len(names) < len(parsed):
        return None
    encoders = frozenset("glove" if name == "bioglove" else name for name in names)
    return LIGHT.get(corpus_name(spec), {}).get(encoders)
