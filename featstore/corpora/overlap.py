"""What two corpora share: documents by their ids, and sentences by their text.

In: two corpora, loaded in the sentence context. Out: an :class:`Overlap`: for each part of the one and each part of the
other the documents with the same id, and the instances of the one whose sentence is in the other, exactly or
nearly.

*Exactly*: the same words, capitals aside. *Nearly*: at least six tenths of the runs of two words that either of the
two sentences has are in both (Jaccard similarity). That is found for all pairs of sentences without comparing each
with each (:mod:`featstore.corpora.duplicates`), so that corpora of 100,000 sentences take a minute, not a day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from featstore.corpora.duplicates import near_pairs
from featstore.corpora.table import load_corpus
from featstore.records import Corpus, Instance

NEAR = 0.6


@dataclass(frozen=True, slots=True)
class PartOverlap:
    """What a part of the one corpus shares with a part of the other.

    Attributes:
        part: of the first corpus: ``train``, ``dev``, ``test``, or ``all`` where it has folds.
        other: the same of the second.
        documents: ids of the documents that are in both, sorted; none where a corpus has no such ids.
        instances: instances of the first part.
        exact: those of them whose sentence is in the second part.
        near: those with a sentence there that is nearly theirs, the exact ones included.
    """

    part: str
    other: str
    documents: tuple[str, ...]
    instances: int
    exact: int
    near: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """What ``cli data check A --against B`` shows.

    Attributes:
        spec, other: of the two corpora.
        parts: each part of the first with each of the second.
    """

    spec: str
    other: str
    parts: tuple[PartOverlap, ...]

    def to_json(self) -> dict[str, object]:
        """Return the report as plain data that ``json.dumps`` takes."""
        return asdict(self)


def check_overlap(spec: str, other: str) -> Overlap:
    """Read two corpora and compare them; errors as :func:`featstore.corpora.load_corpus`."""
    return overlap(load_corpus(spec, context="sentence"), load_corpus(other, context="sentence"))


def overlap(one: Corpus, other: Corpus) -> Overlap:
    """Compare two corpora that were loaded in the sentence context."""
    parts, others = _parts(one), _parts(other)
    near = _near(_sentences(one), _sentences(other))
    return Overlap(
        one.spec,
        other.spec,
        tuple(
            _compare(part, name, _documents(one, part) & _documents(other, name), parts, others, near)
            for part in parts
            for name in others
        ),
    )


def nearly_among(ones: Sequence[Instance], others: Sequence[Instance]) -> list[bool]:
    """Tell for each instance whether its sentence is, exactly or nearly, one of some others, the tags set aside."""
    mine, theirs = list(map(_untagged, ones)), list(dict.fromkeys(map(_untagged, others)))
    near = set(theirs) | _near(list(dict.fromkeys(mine)), theirs).keys()
    return [sentence in near for sentence in mine]


def _untagged(instance: Instance) -> tuple[str, ...]:
    """Return the words of a sentence in small letters, without the tags that stand in it."""
    inserted = [offset == (-1, -1) for offset in instance.offsets] or [False] * len(instance.tokens)
    return tuple(word for word, tag in zip(_words(instance), inserted, strict=True) if not tag)


def _parts(corpus: Corpus) -> Mapping[str, list[Instance]]:
    parts: dict[str, list[Instance]] = defaultdict(list)
    for instance in corpus.instances:
        parts[instance.split or "all"].append(instance)
    return parts


def _sentences(corpus: Corpus) -> list[tuple[str, ...]]:
    """Return the distinct sentences, in small letters."""
    return list(dict.fromkeys(map(_words, corpus.instances)))


def _words(instance: Instance) -> tuple[str, ...]:
    return tuple(token.lower() for token in instance.tokens)


def _near(
    ones: Sequence[tuple[str, ...]], others: Sequence[tuple[str, ...]]
) -> Mapping[tuple[str, ...], set[tuple[str, ...]]]:
    """Return for each sentence of the first corpus those of the second that nearly equal it."""
    near: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
    for one, other in near_pairs([_runs(s) for s in ones], [_runs(s) for s in others], NEAR):
        near[ones[one]].add(others[other])
    return near


def _runs(words: tuple[str, ...]) -> frozenset[str]:
    """Return the runs of two words of a sentence; of one word, the word."""
    return frozenset(" ".join(pair) for pair in pairwise(words)) or frozenset(words)


def _compare(
    part: str,
    name: str,
    documents: set[str],
    parts: Mapping[str, Sequence[Instance]],
    others: Mapping[str, Sequence[Instance]],
    near: Mapping[tuple[str, ...], set[tuple[str, ...]]],
) -> PartOverlap:
    there = set(map(_words, others[name]))
    words = list(map(_words, parts[part]))
    exact = [sentence in there for sentence in words]
    return PartOverlap(
        part=part,
        other=name,
        documents=tuple(sorted(documents)),
        instances=len(words),
        exact=sum(exact),
        near=sum(is_exact or not there.isdisjoint(near.get(s, ())) for is_exact, s in zip(exact, words, strict=True)),
    )


def _documents(corpus: Corpus, part: str) -> set[str]:
    return {id_ for id_, split in corpus.documents.items() if (split or "all") == part}
