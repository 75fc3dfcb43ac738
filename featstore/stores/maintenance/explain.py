"""Explain, fact by fact, why vectors are in the store or not.

In: the facts of an encoder as it is now, and the keys of a corpus. Out: the feature sets of that encoder, the
differences in their facts, and how many of the sentences each set has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from featstore.fingerprint import fingerprint
from featstore.stores.access import look_up

ABSENT = "(absent)"


@dataclass(frozen=True, slots=True)
class FactDifference:
    """A fact that differs.

    Attributes:
        fact: its name; parts of nested facts are joined with dots.
        wanted: its value now, as JSON, or ``(absent)``.
        found: its value in the store, likewise.
    """

    fact: str
    wanted: str
    found: str


@dataclass(frozen=True, slots=True)
class SetMatch:
    """A feature set of the encoder.

    Attributes:
        path: its directory or address.
        identity: whose vectors it holds.
        dtype: their type.
        backend: how they are stored.
        differences: what differs from the encoder as it is now; empty if its vectors can be used.
        stored: how many of the sentences it has.
        missing: how many it lacks.
    """

    path: str
    identity: str
    dtype: str
    backend: str
    differences: tuple[FactDifference, ...]
    stored: int
    missing: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """The vectors of an encoder that a store has for some sentences.

    Attributes:
        name: the encoder's name.
        identity: the identity that is wanted.
        sentences: distinct sentences asked for.
        verdict: ``hit`` (a usable set has all), ``partial`` (the best usable one has some), ``stale`` (only sets with
            other facts have any; none of their vectors is ever served for these facts), ``miss`` (nothing).
        sets: all sets of that name, usable ones and those with most of the sentences first.
    """

    name: str
    identity: str
    sentences: int
    verdict: str
    sets: tuple[SetMatch, ...]


def explain(root: str | Path, name: str, facts: Mapping[str, object], keys: Sequence[bytes]) -> Explanation:
    """Return the vectors of an encoder that the store has for some sentences, and why others are missing.

    Args:
        root: the store.
        name: the encoder's name.
        facts: its facts as it is now.
        keys: the sentences.

    Raises:
        DamagedStoreError: a set that cannot be read.
    """
    distinct, identity = list(dict.fromkeys(keys)), fingerprint(facts)
    matches = []
    for found in look_up(root, name):
        info = found.info
        with closing(found.open()) as store:
            missing = len(store.missing(distinct))
        differences = () if info.meta.identity == identity else tuple(differing(facts, info.meta.facts))
        if info.meta.identity != identity and not differences:
            differences = (FactDifference("identity", json.dumps(identity), json.dumps(info.meta.identity)),)
        matches.append(
            SetMatch(
                info.path,
                info.meta.identity,
                info.meta.dtype,
                info.meta.backend,
                differences,
                len(distinct) - missing,
                missing,
            )
        )
    matches.sort(key=lambda m: (bool(m.differences), m.missing, m.path))
    return Explanation(name, identity, len(distinct), _verdict(matches), tuple(matches))


def _verdict(matches: list[SetMatch]) -> str:
    usable = [m for m in matches if not m.differences]
    if any(m.missing == 0 for m in usable):
        return "hit"
    if any(m.stored for m in usable):
        return "partial"
    return "stale" if any(m.stored for m in matches) else "miss"


def differing(wanted: Mapping[str, object], found: Mapping[str, object]) -> Iterator[FactDifference]:
    """Give the facts that differ, sorted by name."""
    left, right = dict(_flat(wanted, "")), dict(_flat(found, ""))
    for fact in sorted(left.keys() | right.keys()):
        if left.get(fact) != right.get(fact):
            yield FactDifference(fact, left.get(fact, ABSENT), right.get(fact, ABSENT))


def _flat(facts: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value, sort_keys=True, ensure_ascii=False)
