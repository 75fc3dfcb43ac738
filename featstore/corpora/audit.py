"""Audit: what a corpus holds, and what of its test parts its training parts already show.

In: a spec. Out: a :class:`CorpusReport` of plain data: counts by split, fold and class (the paper's Table 1), proof
that mentions and offsets agree, sentences, tokens, and the leakage between train and test of each fold.

Leakage is counted on instances of the test part. *Exact*: their sentence, as the encoders see it plain, occurs in the
training part. *Near*: a sentence of the training part shares at least 0.8 of its words (Jaccard similarity of
the sets of lower-cased tokens; exact ones included).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from featstore.corpora.choice import CorpusChoice
from featstore.corpora.duplicates import near_duplicates
from featstore.corpora.table import read_quietly
from featstore.corpora.text import SPLITTER, TOKENISER
from featstore.records import Corpus, Instance

NEAR = 0.8
LONG_TOKEN = 50  # ELMo reads no more characters of a token


@dataclass(frozen=True, slots=True)
class TokenStats:
    """Tokens of the distinct sentences.

    Attributes:
        total: all of them.
        mean, p50, p99, max: tokens a sentence.
        long: tokens of more than 50 characters, of which ELMo sees the beginning only.
        longest: characters of the longest.
    """

    total: int
    mean: float
    p50: int
    p99: int
    max: int
    long: int
    longest: int


@dataclass(frozen=True, slots=True)
class Leakage:
    """What of one fold's test part stands in its training part (dev included); instances.

    Attributes:
        fold: the fold.
        train, test: instances of the two parts.
        exact: test instances whose sentence is in the training part.
        near: test instances with a near duplicate there, the exact ones included.
        other_label: those of ``near`` none of whose duplicates has their label.
    """

    fold: int
    train: int
    test: int
    exact: int
    near: int
    other_label: int


@dataclass(frozen=True, slots=True)
class Leaked:
    """Which test instances of one fold stand in its training part; ids.

    Attributes:
        exact: those whose sentence is there.
        near: those with a near duplicate there, the exact ones included.
    """

    exact: frozenset[str]
    near: frozenset[str]


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """All that ``cli data check`` shows.

    Attributes:
        spec, name, digest: of the corpus.
        tokeniser, splitter: name and version.
        instances: all of them.
        labels: all labels, the negative one first.
        positive: those that the official score counts.
        counts: ``all`` and each split, or each fold (its test part), -> label -> instances, with a ``total``.
        mentions, agreeing: mentions compared with their characters, and those that agree; 0 where the corpus came
            with its mentions masked.
        sentences: distinct sentences.
        tokens: their tokens.
        leakage: one entry a fold; empty where there is no test part.
        notes: what the reader counted.
        problems: the places that were left out because they are not what the format says.
    """

    spec: str
    name: str
    digest: str
    tokeniser: str
    splitter: str
    instances: int
    labels: tuple[str, ...]
    positive: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    mentions: int
    agreeing: int
    sentences: int
    tokens: TokenStats
    leakage: tuple[Leakage, ...]
    notes: Mapping[str, int]
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return the report as plain data that ``json.dumps`` takes."""
        return asdict(self)


def check_corpus(
    spec: str, *, instances: Path | None = None, progress: Callable[[str], None] | None = None
) -> CorpusReport:
    """Read a corpus and report on it; errors as :func:`featstore.corpora.load_corpus`.

    Args:
        spec: the corpus.
        instances: as for :func:`featstore.corpora.load_corpus`.
        progress: called with each step before it begins.
    """
    tell = progress or (lambda _: None)
    tell(f"reading {spec}")
    # The plain sentences: in the sentence context the encoders see no tags.
    corpus = read_quietly(CorpusChoice(spec, context="sentence", instances=instances))
    tell(f"comparing the sentences of {len(corpus.instances):,} instances")
    return audit(corpus)


def audit(corpus: Corpus) -> CorpusReport:
    """Report on a corpus that was loaded in the sentence context."""
    sentences = {instance.group: instance.tokens for instance in corpus.instances}
    return CorpusReport(
        spec=corpus.spec,
        name=corpus.name,
        digest=corpus.digest,
        tokeniser=TOKENISER,
        splitter=SPLITTER,
        instances=len(corpus.instances),
        labels=corpus.labels,
        positive=corpus.positive,
        counts=_counts(corpus),
        mentions=corpus.notes.get("mentions", 0),
        agreeing=corpus.notes.get("mentions agreeing", 0),
        sentences=len(sentences),
        tokens=_token_stats(list(sentences.values())),
        leakage=_leakage(corpus, sentences),
        notes=dict(corpus.notes),
        problems=tuple(problem.text for problem in corpus.problems),
    )


def _counts(corpus: Corpus) -> dict[str, dict[str, int]]:
    """Count instances by part and label; unlabelled ones count in the total alone."""
    tables: dict[str, Counter[str]] = defaultdict(Counter)
    for instance in corpus.instances:
        part = instance.split if instance.fold is None else f"fold {instance.fold}"
        for name in ("all", part):
            if name is not None:
                tables[name].update([instance.label] if instance.label is not None else [])
                tables[name]["total"] += 1
    columns = (*corpus.labels, "total")
    parts = sorted(tables, key=_place_of_part)
    return {name: {column: tables[name][column] for column in columns} for name in parts}


def _place_of_part(name: str) -> tuple[int, int, str]:
    """The order of a report: all, the splits in the order of their use, the folds by number."""
    order = ("all", "train", "dev", "test")
    number = name.removeprefix("fold ")
    return (order.index(name) if name in order else len(order), int(number) if number.isdecimal() else 0, name)


def _token_stats(sentences: Sequence[tuple[str, ...]]) -> TokenStats:
    lengths = np.array([len(tokens) for tokens in sentences])
    characters = [len(token) for tokens in sentences for token in tokens]
    p50, p99 = (int(np.percentile(lengths, q, method="nearest")) for q in (50, 99))
    return TokenStats(
        total=int(lengths.sum()),
        mean=round(float(lengths.mean()), 2),
        p50=p50,
        p99=p99,
        max=int(lengths.max()),
        long=sum(length > LONG_TOKEN for length in characters),
        longest=max(characters),
    )


def leaked_instances(corpus: Corpus) -> dict[int, Leaked]:
    """Return, for each fold, which test instances stand in its training part, exactly or nearly.

    Args:
        corpus: loaded in the sentence context.
    """
    alike = _alike({instance.group: instance.tokens for instance in corpus.instances})
    leaked = {}
    for fold in corpus.folds:
        parts = corpus.partition(fold)
        seen = {corpus.instances[position].group for position in (*parts.train, *parts.dev)}
        test = [corpus.instances[position] for position in parts.test]
        leaked[fold] = Leaked(
            exact=frozenset(instance.id for instance in test if instance.group in seen),
            near=frozenset(instance.id for instance in test if alike[instance.group] & seen),
        )
    return leaked


def _alike(sentences: Mapping[str, tuple[str, ...]]) -> dict[str, set[str]]:
    """Return for each sentence those that nearly equal it, itself included."""
    groups = list(sentences)
    words = [frozenset(token.lower() for token in sentences[group]) for group in groups]
    alike: dict[str, set[str]] = {group: {group} for group in groups}
    for one, other in near_duplicates(words, NEAR):
        alike[groups[one]].add(groups[other])
        alike[groups[other]].add(groups[one])
    return alike


def _leakage(corpus: Corpus, sentences: Mapping[str, tuple[str, ...]]) -> tuple[Leakage, ...]:
    """Measure each fold; near duplicates are sought once, among all distinct sentences."""
    alike = _alike(sentences)
    reports = []
    for fold in corpus.folds:
        parts = corpus.partition(fold)
        train = [corpus.instances[position] for position in (*parts.train, *parts.dev)]
        test = [corpus.instances[position] for position in parts.test]
        if train and test:
            reports.append(_fold_leakage(fold, train, test, alike))
    return tuple(reports)


def _fold_leakage(
    fold: int, train: Sequence[Instance], test: Sequence[Instance], alike: Mapping[str, set[str]]
) -> Leakage:
    labels: dict[str, set[str | None]] = defaultdict(set)
    for instance in train:
        labels[instance.group].add(instance.label)
    exact = near = other_label = 0
    for instance in test:
        twins = alike[instance.group] & labels.keys()
        exact += instance.group in twins
        near += bool(twins)
        other_label += bool(twins) and all(instance.label not in labels[twin] for twin in twins)
    return Leakage(fold, len(train), len(test), exact, near, other_label)
