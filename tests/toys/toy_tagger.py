"""Corpora of mentions that a rule makes, and a tagger that has learnt it in a second."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from toy_model import WordEncoder

from classifier.entities.checkpoint import TaggerCheckpoint
from classifier.entities.config import TaggerConfig
from classifier.entities.corpora import MentionCorpus, load_mentions
from classifier.entities.runs import corpus_sentences, train_tagger
from classifier.entities.tagger import Tagger
from featstore.featurize.encode import encode_missing
from featstore.featurize.forecast import feature_meta
from featstore.stores import create_store

NAMES = {
    "CHEMICAL": ("aspirin", "morphine", "zinc oxide"),
    "GENE": ("COX-2", "Akt", "p53 kinase"),
    "DISEASE": ("gout",),
}
FILLER = ("inhibits", "the", "in", "cells", "of", "rats", "was", "seen")


def write_corpus(folder: Path, types: Sequence[str], count: int = 24, seed: int = 1) -> Path:
    """Write documents that name all things, of which only those of ``types`` are annotated."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for part, share in (("train", count), ("dev", count // 4), ("test", count // 4)):
        lines = []
        for n in range(share):
            text, entities = "We saw", []
            for type_ in rng.permutation(list(NAMES)):
                text += f" {' '.join(rng.choice(FILLER, size=rng.integers(1, 4)))} "
                name = str(rng.choice(NAMES[type_]))
                if type_ in types:
                    start = len(text)
                    entities.append({"id": f"T{start}", "type": str(type_), "start": start, "end": start + len(name)})
                text += name
            lines.append(json.dumps({"id": f"{folder.name}-{part}-{n}", "text": f"{text}.", "entities": entities}))
        (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def fill_store(root: Path, corpora: Iterable[MentionCorpus]) -> Path:
    """Store the word vectors of some corpora's sentences."""
    encoder = WordEncoder()
    store = create_store(str(root), feature_meta(encoder, dtype="float16", backend="hdf5"))
    encode_missing(corpus_sentences(corpora), encoder, store)
    store.close()
    return root


def make_config(corpora: Sequence[Path], **options: Any) -> TaggerConfig:
    """Return a configuration that learns these corpora in some steps."""
    quick = {"features": "words", "hidden": 8, "surface": 4, "max_epochs": 12, "batch_size": 4, "lr": 0.02}
    specs = tuple(f"files:{folder}" for folder in corpora)
    return TaggerConfig(specs, **{**quick, "dropout": 0.1, "average": 0.9, "precision": "float32", **options})


def train_toy(folder: Path, corpora: Sequence[Path], store: Path, **options: Any) -> TaggerCheckpoint:
    """Train a tagger on the corpora below some folders; the store is filled first."""
    config = make_config(corpora, **options)
    loaded = [load_mentions(spec) for spec in config.corpora]
    return train_tagger(loaded, fill_store(store, loaded), config, folder)


def toy_tagger(checkpoint: TaggerCheckpoint, encoder: WordEncoder | None = None, **options: Any) -> Tagger:
    """Return a tagger at work."""
    return Tagger(checkpoint, {"words": encoder or WordEncoder()}, **options)
