"""A small corpus with a signal, and vectors for it: one random vector a word, and layers that are noise around it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_model import BLOCK

from featstore.ragged import Ragged
from featstore.records import Corpus, Instance
from featstore.stores import FeatureMeta, FeatureStore, create_store
from featstore.stores.memory import MemoryStore

WORDS = ("the", "level", "of", "in", "patients", "with", "was", "not", "and", "cells", "a", "study")
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
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few documents be several blocks of an extraction, each noted in the journal."""
    for module in ("blocks", "shards", "join"):
        monkeypatch.setattr(f"classifier.extract.{module}.BLOCK_DOCUMENTS", BLOCK)
    monkeypatch.setattr("classifier.extract.journal.JOURNAL_SECONDS", 0.0)


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


@pytest.fixture(scope="session")
def write_set() -> Callable[..., Path]:
    """Return a maker of feature sets on disk: instances, root, name, dim, layers -> the store's root."""

    def write(instances: Sequence[Instance], root: Path, *facts: object, **more: str) -> Path:
        _fill(create_store(root, _meta(*facts, **more)), instances).close()  # type: ignore[arg-type]
        return root

    return write


@pytest.fixture
def make_set(tmp_path: Path, write_set: Callable[..., Path]) -> Callable[..., Path]:
    """Return a maker of feature sets in the test's store: instances, name, dim, layers -> the store's root."""

    def make(instances: Sequence[Instance], *facts: object, root: Path = tmp_path / "features", **more: str) -> Path:
        return write_set(instances, root, *facts, **more)

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


@pytest.fixture(scope="session")
def write_pairs() -> Callable[..., Path]:
    """Return a writer of JSONL corpora: 72 pairs in three folds whose verb tells the label; each ninth sentence twice.

    The sentences begin with ``opening``, and ``positive`` is the label of the relation.
    """

    def write(path: Path, opening: str = "Here", positive: str = "CPR:4") -> Path:
        rng = np.random.default_rng(3)
        lines = []
        for n in range(72):
            filler = " ".join(rng.choice(WORDS, size=rng.integers(2, 8)))
            text = f"{opening} Compound {('beside', 'inhibits')[n % 2]} {filler} kinase {n} ."
            pair: dict[str, object] = {"text": text, "label": ("NONE", positive)[n % 2]}
            for name, word, kind in (("head", "Compound", "CHEMICAL"), ("tail", "kinase", "GENE")):
                start = text.index(word)
                pair[name] = {"start": start, "end": start + len(word), "type": kind}
            folds = [1 + (n + again) % 3 for again in range(1 + (n % 9 == 0))]
            lines += [json.dumps({**pair, "fold": fold}) for fold in folds]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def folded_pairs(tmp_path: Path, write_pairs: Callable[..., Path]) -> Path:
    """Such a corpus."""
    return write_pairs(tmp_path / "pairs.jsonl")
