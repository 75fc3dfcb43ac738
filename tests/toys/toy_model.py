"""A model with random weights and an encoder of one random vector a word: quick, and with an answer for everything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from classifier.data.features import FeatureSpec
from classifier.extract.extractor import Extractor
from classifier.extract.manifest import MANIFEST, BundleFacts
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import Head
from classifier.runs.checkpoint import Checkpoint, save_checkpoint
from classifier.runs.facts import CorpusFacts, PartSizes, TrainingFacts, to_json
from classifier.training.config import TrainConfig
from featstore.documents import Document, Entity
from featstore.fingerprint import fingerprint
from featstore.pairing import Pairing
from featstore.ragged import Ragged

DIM = 6
LABELS = ("NONE", "CPR:3", "CPR:4")
BLOCK = 4  # documents of a block of an extraction, where a test has small ones


class WordEncoder:
    """The encoder ``words``; ``before`` is called with every batch."""

    name, dim, layers, shares_text = "words", DIM, 1, False

    def __init__(self, before: Callable[[Sequence[Sequence[str]]], None] = lambda _: None) -> None:
        self._before = before

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"encoder": "words", "weights": {}}

    @property
    def identity(self) -> str:
        return fingerprint(self.facts)

    def encode(self, batch: Sequence[Sequence[str]]) -> Ragged:
        self._before(batch)
        parts = [np.array([_vector(token) for token in tokens], dtype=np.float32).reshape(-1, DIM) for tokens in batch]
        return Ragged.from_list(parts, DIM)


def _vector(word: str) -> np.ndarray:
    raw = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=DIM).digest()
    return np.frombuffer(raw, dtype=np.uint8) / 64 - 2


def make_checkpoint(
    context: str = "sentence",
    kinds: tuple[tuple[str, str], ...] = (("chem", "gene"),),
    words: Mapping[str, str] | None = None,
    indicators: str = "tags",
    tags: tuple[str, ...] | None = None,
    mention_states: bool = False,
) -> Checkpoint:
    """Return a head with large random weights, so that its answers differ from pair to pair."""
    names = sorted({kind for pair in kinds for kind in pair})
    if tags is None:
        tags = tuple(sorted(mark for name in names for mark in (f"<{name}>", f"</{name}>")))
    tags = tags if context == "sentence" else ()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        head = Head(
            HeadConfig((InputConfig(DIM),), labels=len(LABELS), tags=len(tags), hidden=4, mention_states=mention_states)
        )
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.mul_(3)
    return Checkpoint(
        head=head.eval(),
        features=(FeatureSpec("words", WordEncoder().identity, "float16", "mix", 1, DIM),),
        labels=LABELS,
        positive=LABELS[1:],
        tags=tags,
        corpus=CorpusFacts("toy:/home/someone", "toy", "d1" * 8, context, indicators),
        fold=1,
        config=TrainConfig(features="words"),
        training=TrainingFacts(instances=PartSizes(90, 10), best_epoch=1, seconds=1.0, epochs=()),
        pairing=Pairing(kinds, words or {}),
    )


def write_toy_bundle(folder: Path, licence: str = "other") -> None:
    """Write the facts of a bundle of :func:`make_checkpoint`, as far as they are read to list it."""
    facts = save_checkpoint(folder, make_checkpoint())
    manifest = BundleFacts(1, "toy", facts.weights_sha256, licence, {}, {})
    (folder / MANIFEST).write_bytes(to_json(manifest))


def make_extractor(encoder: WordEncoder | None = None, store: Path | None = None, **options: Any) -> Extractor:
    """Return a model at work; ``options`` are those of :func:`make_checkpoint`."""
    checkpoint = make_checkpoint(**options)
    return Extractor(checkpoint, {"words": encoder or WordEncoder()}, name="toy", store=str(store) if store else None)


def make_document(number: int, pairs: int = 1) -> Document:
    """Return a document of ``pairs`` sentences with a chemical and a gene each, and one sentence without."""
    text, entities = "", list[Entity]()
    for n in range(pairs):
        chemical, gene = f"drug{number}", f"GEN{n}"
        for type_, name in (("CHEMICAL", chemical), ("GENE-Y", gene)):
            text += "We saw that " if type_ == "CHEMICAL" else " inhibits the kinase "
            entities.append(Entity(f"T{len(entities) + 1}", type_, len(text), len(text) + len(name), name))
            text += name
        text += " in cells.\n"
    return Document(str(number), text + "Nothing else was seen.", tuple(entities))


def write_documents(path: Path, documents: Sequence[Document]) -> Path:
    """Write documents as JSONL; return ``path``."""
    lines = []
    for document in documents:
        entities = [{"id": e.id, "type": e.type, "start": e.start, "end": e.end} for e in document.entities]
        lines.append(json.dumps({"id": document.id, "text": document.text, "entities": entities}) + "\n")
    path.write_text("".join(lines))
    return path


def load_words(path: str | None, *, device: str = "cpu", precision: str = "float32") -> WordEncoder:
    """The factory of the encoder ``words``, for tests that load it by its name."""
    del path, device, precision
    return WordEncoder()
