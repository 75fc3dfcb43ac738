"""Which documents are tagged before their relations are extracted, and by what.

In: documents, with mentions or without. Out: the same in groups, with mentions. The tagger is loaded when the first
document needs it; encoders that the relation head reads too are not loaded again, and a sentence that both read is
encoded once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.entities.encoding import Encoding
from classifier.entities.facts import read_tagger
from classifier.entities.windows import MODES, SHIPPED, is_tagged, windows
from featstore.bundled import bundled
from featstore.documents import Document
from featstore.encoders import Encoder
from featstore.errors import MissingFileError, check_choice
from featstore.formats import BadDocument

if TYPE_CHECKING:  # torch takes a second to import, and only a tagger that is loaded needs it
    from classifier.entities.tagger import Tagger


@dataclass(slots=True)
class Tagging:
    """How documents get the mentions that they lack.

    Attributes:
        mode: which documents are tagged: ``missing`` (those without any mention), ``always`` or ``never``.
        path: the tagger's folder; None: the tagger that comes with featstore.
        threads: threads of its matrix products.
        device: where its encoders run.

    Raises:
        UsageError: an unknown mode.
    """

    mode: str = "never"
    path: Path | None = None
    threads: int = 1
    device: str = "cpu"
    _tagger: Tagger | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_choice("the mode of tagging", self.mode, MODES)

    @classmethod
    def by(cls, tagger: Tagger, mode: str = "missing") -> Tagging:
        """Return tagging by a tagger that is loaded already."""
        return cls(mode, _tagger=tagger)

    @property
    def facts(self) -> dict[str, str]:
        """What an output depends on: the mode, and the tagger's fingerprint if there is one."""
        if self.mode == "never":
            return {"mode": self.mode}
        if self._tagger is not None:
            return {"mode": self.mode, "tagger": self._tagger.checkpoint.fingerprint}
        try:
            folder = bundled(SHIPPED) if self.path is None else self.path
        except MissingFileError:
            return {"mode": self.mode}  # a document that needs it will say that it is not installed
        return {"mode": self.mode, "tagger": read_tagger(folder).fingerprint}

    def groups(
        self, documents: Iterable[Document | BadDocument], encoding: Encoding, loaded: Mapping[str, Encoder]
    ) -> Iterator[list[Document | BadDocument]]:
        """Yield documents with their mentions, in groups whose vectors are in ``encoding``.

        Args:
            documents: the documents.
            encoding: the encoders at work; those of the tagger are added to it.
            loaded: encoders that are in memory already, by name.
        """
        if self.mode == "never":
            yield from ([document] for document in documents)
            return
        for window in windows(documents):
            if any(isinstance(document, Document) and is_tagged(document, self.mode) for document in window):
                yield self._loaded(encoding, loaded).tag_window(window, encoding, self.mode)
            else:
                yield window

    def _loaded(self, encoding: Encoding, loaded: Mapping[str, Encoder]) -> Tagger:
        if self._tagger is None:
            from classifier.entities.tagger import Tagger

            self._tagger = Tagger.load(self.path, loaded=loaded, threads=self.threads, device=self.device)
        encoding.include(self._tagger.encoders.values())
        return self._tagger
