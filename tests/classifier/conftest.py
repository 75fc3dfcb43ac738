"""A small corpus with a signal, and vectors for it: one random vector a word, and layers that are noise around it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featstore.ragged import Ragged
from featstore.records import Corpus, Instance
from featstore.stores import FeatureMeta, FeatureStore, create_store
from featstore.stores.memory import MemoryStore

WORDS = ("the", "level", "of", "in", "patients", "with", "was", "not", "and", "cells", "a", "study")
ENDS = (("head", "CHEMICAL"), ("tail", "GENE"))
SIGNAL = {"neg": "unrelated", "pos": "inhibits"}


def _instance(n: int, rng: np.random.Generator, context: str, label: str) -> Instance:
    plain = [*rng.choice(WORDS, size=rng.integers(5, 14)), SIGNAL[label], "gene", "drug"]
    rng.shuffle(plain)
    head, tail = plain.index("gene"), plain.index("drug")
    layout: list[int] = []
    tags = ("<gene>", "</gene>", "<chem>", "</chem>")
    for i in range(len(plain)):
        layout += [-1, i, -2] if i == head else [-3, i, -4] if i == tail else [i]
    tokens = tuple(plain)
    if context == "tagged":
        tokens = tuple(plain[i] if i >= 0 else tags[-1 - i] for i in layout)
    spans = [(layout.index(i), layout.index(i) + 1) for i in (head, tail)]
    return Instance(
        id=f"toy:{n}",
        tokens=tokens,
        layout=tuple(layout) if context == "sentence" else tuple(range(len(layout))),
        tags=tags if context == "sentence" else (),
        head=spans[0],
        tail=spans[1],
        head_type="gene",
        tail_type="chem",
        label=label,
        fold=1 + n % 3,
        group=" ".join(plain),
        source={"pmid": str(n // 3), "head": "T1", "tail": "T2"},
    )


@pytest.fixture
def make_corpus() -> Callable[..., Corpus]:
    """Return a maker of corpora: 90 sentences, three folds, two labels; every tenth sentence comes twice."""

    def make(context: str = "tagged", count: int = 90) -> Corpus:
        rng = np.random.default_rng(5)
        instances = [_instance(n, rng, context, ("neg", "pos")[n % 2]) for n in range(count)]
        instances += [replace(i, id=f"{i.id}:again") for i in instances[::10]]
        return Corpus("toy", "toy", tuple(instances), ("neg", "pos"), ("pos",), "tags", context, "d1" * 8)

    return make


def word_vector(word: str, dim: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
    return np.random.default_rng(seed).standard_normal(dim)


def vectors_of(tokens: Sequence[str], meta: FeatureMeta) -> np.ndarray:
    rng = np.random.default_rng(len(tokens))
    rows = np.array([word_vector(word, meta.dim) for word in tokens])
    return (rows + 0.01 * rng.standard_normal(rows.shape)).astype(meta.dtype)


def _fill(store: FeatureStore, instances: Sequence[Instance]) -> FeatureStore:
    sentences = {i.key: i.tokens for i in instances}
    rows = [vectors_of(tokens, store.meta) for tokens in sentences.values()]
    store.append(list(sentences), Ragged.from_list(rows, store.meta.dim, store.meta.dtype))
    return store


def _meta(name: str, dim: int, layers: int = 1, identity: str = "", dtype: str = "float16") -> FeatureMeta:
    return FeatureMeta(name, (identity or name.encode().hex()).ljust(64, "0"), dim, layers, dtype, "hdf5")


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of feature sets on disk: name, dim, layers, instances -> the store's root."""

    def make(instances: Sequence[Instance], *facts: object, root: Path = tmp_path / "features", **more: str) -> Path:
        _fill(create_store(root, _meta(*facts, **more)), instances).close()  # type: ignore[arg-type]
        return root

    return make


@pytest.fixture
def make_store(make_set: Callable[..., Path]) -> Callable[[Corpus], Path]:
    """Return a maker of stores on disk with the sets ``glove`` (8 columns) and ``elmo`` (3 layers of 6)."""

    def make(corpus: Corpus) -> Path:
        make_set(corpus.instances, "glove", 8)
        return make_set(corpus.instances, "elmo", 18, 3)

    return make


@pytest.fixture
def in_memory() -> Callable[..., FeatureStore]:
    """Return a maker of sets in memory: instances, name, dim, layers -> the set."""

    def make(instances: Sequence[Instance], *facts: object) -> FeatureStore:
        return _fill(MemoryStore(_meta(*facts)), instances)  # type: ignore[arg-type]

    return make


@pytest.fixture
def folded_pairs(tmp_path: Path) -> Path:
    """A JSONL corpus of 72 pairs in three folds whose verb tells the label; every ninth sentence comes twice."""
    rng = np.random.default_rng(3)
    lines = []
    for n in range(72):
        label = ("NONE", "CPR:4")[n % 2]
        filler = " ".join(rng.choice(WORDS, size=rng.integers(2, 8)))
        text = f"Compound {('beside', 'inhibits')[n % 2]} {filler} kinase {n} ."
        spans = [(text.index(word), text.index(word) + len(word)) for word in ("Compound", "kinase")]
        pair = {name: {"start": a, "end": b, "type": kind} for (name, kind), (a, b) in zip(ENDS, spans, strict=True)}
        lines += [
            json.dumps({"text": text, **pair, "label": label, "fold": 1 + (n + k) % 3}) for k in range(1 + (n % 9 == 0))
        ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
