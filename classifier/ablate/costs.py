"""The costs of a row of an ablation: time to train, time to extract, memory, room in the store.

In: the results of a row, the store, and the corpus as the row reads it. Out: a :class:`Cost`. Nothing is measured here.
All figures were recorded when the work was done, on the machine that did it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from classifier.data.features import FeatureSpec
from classifier.runs.results import FoldResult
from featstore.records import Corpus, Instance
from featstore.stores import find_sets
from featstore.stores.pace import read_pace
from featstore.stores.sets import SetInfo


@dataclass(frozen=True, slots=True)
class Cost:
    """The costs of a row; None where a figure was not recorded.

    Attributes:
        train_seconds: mean time to train one cell.
        epochs: mean number of epochs of one cell.
        peak_memory: largest resident memory, in bytes, while a cell was trained.
        head_ms: mean time to read and score one test instance.
        encode_ms: time to encode one test instance with all encoders of the row. It is the time of `cli featurize` for
            a token, times the number of tokens of the distinct test sentences, divided by the number of their
            instances.
        store_bytes: room that the vectors of the corpus's distinct sentences take.
    """

    train_seconds: float
    epochs: float
    peak_memory: int | None
    head_ms: float | None
    encode_ms: float | None
    store_bytes: int | None

    @property
    def extraction_ms(self) -> float | None:
        """Time from plain tokens to the label of one instance; None unless both parts are known."""
        return None if self.head_ms is None or self.encode_ms is None else self.head_ms + self.encode_ms


@dataclass(frozen=True, slots=True)
class Workload:
    """The amount of text to encode in a corpus that is marked in one way.

    Attributes:
        tokens: number of tokens of its distinct sentences.
        per_instance: for each fold, the number of tokens of the distinct test sentences, divided by the number of test
            instances.
    """

    tokens: int
    per_instance: Mapping[int, float]


def extent(corpus: Corpus) -> Workload:
    """Measure a corpus."""
    tests = {fold: [corpus.instances[p] for p in corpus.partition(fold).test] for fold in corpus.folds}
    return Workload(
        tokens=_tokens(corpus.instances),
        per_instance={fold: _tokens(instances) / len(instances) for fold, instances in tests.items() if instances},
    )


def _tokens(instances: Iterable[Instance]) -> int:
    return sum(map(len, {instance.key: instance.tokens for instance in instances}.values()))


def row_cost(results: Sequence[FoldResult], store_root: str, corpus: Workload) -> Cost:
    """Return the costs of a row.

    Args:
        results: its cells.
        store_root: the store that it reads.
        corpus: as the row marks it.
    """
    memory = [r.peak_memory for r in results if r.peak_memory is not None]
    head = [r.classify_ms for r in results if r.classify_ms is not None]
    paces = [_seconds_a_token(store_root, spec) for spec in results[0].features]
    known = [pace for pace in paces if pace is not None]
    tokens = fmean(corpus.per_instance[r.fold] for r in results)
    return Cost(
        train_seconds=fmean(r.seconds for r in results),
        epochs=fmean(len(r.epochs) for r in results),
        peak_memory=max(memory, default=None),
        head_ms=fmean(head) if head else None,
        encode_ms=1000 * sum(known) * tokens if len(known) == len(paces) else None,
        store_bytes=_store_bytes(store_root, results[0].features, corpus.tokens),
    )


def _sets(store_root: str, spec: FeatureSpec) -> list[SetInfo]:
    found = find_sets(store_root, f"{spec.name}@{spec.identity}")
    return [info for info in found if info.meta.dtype == spec.dtype]


def _seconds_a_token(store_root: str, spec: FeatureSpec) -> float | None:
    paces = [pace for info in _sets(store_root, spec) if (pace := read_pace(info.path))]
    tokens = sum(pace.tokens for pace in paces)
    return sum(pace.seconds for pace in paces) / tokens if tokens else None


def _store_bytes(store_root: str, features: Sequence[FeatureSpec], tokens: int) -> int | None:
    total = 0
    for spec in {(spec.name, spec.identity, spec.dtype): spec for spec in features}.values():
        found = _sets(store_root, spec)
        if not found:
            return None
        total += tokens * found[0].meta.dim * np.dtype(spec.dtype).itemsize
    return total
