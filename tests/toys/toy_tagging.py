"""Tagging without a network: words that look like the toy documents' names are their mentions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from toy_model import WordEncoder, make_checkpoint

from classifier.entities.windows import WINDOW_DOCUMENTS, is_tagged
from classifier.extract.extractor import Extractor
from classifier.extract.tagging import Tagging
from featstore.documents import Document, Entity
from featstore.formats import BadDocument

_NAMES = {"CHEMICAL": re.compile(r"\bdrug\d+|\bAspirin\b"), "GENE": re.compile(r"\bGEN\d+|\bCOX-2\b")}


class ToyTagging:
    """What :class:`~classifier.extract.tagging.Tagging` is to an extractor."""

    def __init__(self, mode: str = "missing") -> None:
        self.mode = mode
        self.facts = {"mode": mode}

    def groups(self, documents: Iterable[Document | BadDocument], *_: object) -> Iterator[list[Document | BadDocument]]:
        group: list[Document | BadDocument] = []
        for document in documents:
            if isinstance(document, Document) and is_tagged(document, self.mode):
                document = replace(document, entities=tuple(_mentions(document.text)))
            group.append(document)
            if len(group) == WINDOW_DOCUMENTS:
                yield group
                group = []
        yield group


def _mentions(text: str) -> Iterator[Entity]:
    for type_, names in _NAMES.items():
        for found in names.finditer(text):
            yield Entity(f"{type_[0]}{found.start()}", type_, found.start(), found.end(), found[0])


def make_text_extractor(encoder: WordEncoder | None = None, mode: str = "missing", **options: Any) -> Extractor:
    """Return a model at work on plain text; ``options`` are those of :func:`toy_model.make_checkpoint`."""
    checkpoint = make_checkpoint(**options)
    tagging = cast(Tagging, ToyTagging(mode))
    encoders: Mapping[str, WordEncoder] = {"words": encoder or WordEncoder()}
    return Extractor(checkpoint, encoders, name="toy", tagging=tagging)
