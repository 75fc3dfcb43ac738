"""The card of a tagger: what a person reads who finds its folder.

In: the facts of ``tagger.json`` and of the evaluations beside it. Out: Markdown with the front matter of a model card.
Nothing of the corpora's text is in it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import MISSING, fields

from classifier.data.features import parse_features
from classifier.entities.config import KEEP, TaggerConfig
from classifier.entities.facts import TaggerFacts, TaggerMetrics
from classifier.entities.filter_facts import FilterFacts
from classifier.scores.percent import percent
from featstore.errors import count_of
from featstore.markdown import markdown_table


def tagger_card(
    facts: TaggerFacts, evaluations: Sequence[TaggerMetrics] = (), own_filter: FilterFacts | None = None
) -> str:
    """Return the card.

    Args:
        facts: those of ``tagger.json``.
        evaluations: those of ``metrics-CORPUS.json``.
        own_filter: those of ``filter.json``; None if it has no sentence filter.
    """
    config, training = facts.config, facts.training
    parts = "the training and development parts" if config.with_dev else "the training parts"
    matter = {
        "library_name": "featstore",
        "pipeline_tag": "token-classification",
        "tags": ["named-entity-recognition", "biomedical"],
        "datasets": [corpus.name for corpus in facts.corpora],
        "license": "apache-2.0",
    }
    corpora = [
        [c.name, ", ".join(c.types), f"{c.documents:,}", f"{c.sentences:,}", f"`{c.digest[:16]}`"]
        for c in facts.corpora
    ]
    encoders = [[f.name, f"`{f.identity}`", f.layer, f"{f.layers} x {f.dim}", f.dtype] for f in facts.features]
    chosen = (
        f"{count_of(len(training.epochs), 'epoch')}, the last was kept"
        if config.with_dev
        else f"{count_of(len(training.epochs), 'epoch')}, the best was {training.best_epoch}"
    )
    return (
        "\n\n".join(
            [
                "---\n" + "\n".join(f"{key}: {json.dumps(value)}" for key, value in matter.items()) + "\n---",
                f"# Tagger on {config.features}",
                f"A Bi-LSTM with a CRF that reads stored vectors of the encoders below and finds the mentions of "
                f"{', '.join(facts.network.types)}. It serves research; it was not made for clinical decisions.",
                "## Test parts\n\n"
                + (
                    _scores(evaluations)
                    if evaluations
                    else "It has not been evaluated yet; `cli entities eval` does that."
                ),
                "## What it was trained on\n\n"
                f"It was trained on {parts}; what a corpus does not annotate was not taken for a negative. "
                f"{training.left_out:,} documents were left out, because a part that is held out has them too. "
                f"{chosen}.\n\n" + markdown_table(["corpus", "annotates", "documents", "sentences", "digest"], corpora),
                "## Encoders\n\n" + markdown_table(["encoder", "identity", "layer", "columns", "stored as"], encoders),
                *([_filter(own_filter)] if own_filter else []),
                f"## Again\n\n    {_featurize(config)}\n    {_train(config)}"
                + (f"\n    {_train_filter(config, own_filter)}" if own_filter else ""),
                "## Versions\n\n" + markdown_table(["", ""], [[name, value] for name, value in facts.versions.items()]),
            ]
        )
        + "\n"
    )


def _filter(facts: FilterFacts) -> str:
    """Return what there is to say of the sentence filter."""
    rows = [
        [f"{head} and {tail}", f"{p.sentences:,}", f"{p.holding:,}", *map(percent, (p.read, p.read_tokens, p.kept))]
        for p in facts.pairs
        for head, tail in [p.types]
    ]
    return (
        "## Sentence filter\n\n"
        "Where only relations are wanted, a linear model on word vectors and the looks of the words tells which "
        f"sentences can hardly hold a pair, and these are not encoded. It learnt from {facts.sentences:,} sentences of "
        f"the training parts. Its thresholds keep {percent(facts.keep)} % of the sentences with a pair in the dev "
        "parts; the table has what it does there, in percent.\n\n"
        + markdown_table(["pair", "sentences", "with a pair", "read", "tokens read", "pairs kept"], rows)
    )


def _featurize(config: TaggerConfig) -> str:
    """Return the command that makes the vectors; a corpus is named without where it lay."""
    names = dict.fromkeys(feature.name for feature in parse_features(config.features))
    return shlex.join(["cli", "entities", "featurize", "--encoders", ",".join(names), "--corpus", _corpora(config)])


def _train(config: TaggerConfig) -> str:
    """Return the command that trains this tagger: every option that is not the default."""
    words = ["cli", "entities", "train", "--corpus", _corpora(config)]
    for field in fields(TaggerConfig):
        value = getattr(config, field.name)
        if field.name == "corpora" or (field.default is not MISSING and value == field.default):
            continue
        words += [f"--{field.name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return shlex.join(words)


def _train_filter(config: TaggerConfig, facts: FilterFacts) -> str:
    """Return the command that trains the filter of this tagger again."""
    words = ["cli", "entities", "filter", "--corpus", _corpora(config)]
    return shlex.join(words + ([] if facts.keep == KEEP else ["--keep", str(facts.keep)]))


def _corpora(config: TaggerConfig) -> str:
    return ",".join(name if name == "sample" else f"{name}:{name.upper()}" for name in config.corpora)


def _scores(evaluations: Sequence[TaggerMetrics]) -> str:
    rows = []
    for found in evaluations:
        for type_, exact in found.exact.items():
            cells = map(percent, (exact.precision, exact.recall, exact.f1))
            rows.append([found.corpus, type_, *cells, percent(found.relaxed[type_].f1), f"{exact.annotated:,}"])
    return markdown_table(["corpus", "type", "P", "R", "F1", "relaxed F1", "annotated"], rows)
