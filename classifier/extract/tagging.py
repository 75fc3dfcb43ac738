"""Which documents are tagged before their relations are extracted, and by what.

In: documents, with mentions or without. Out: the same in groups, with mentions. The tagger is loaded when the first
document needs it; encoders that the relation head reads too are not loaded again, and a sentence that both read is
encoded once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.entities.encoding import Encoding
from classifier.entities.facts import read_tagger
from classifier.entities.filter_facts import has_filter, read_filter
from classifier.entities.windows import ALL, LIKELY, MODES, SENTENCES, SHIPPED, is_tagged, windows
from featstore.bundled import bundled
from featstore.documents import Document
from featstore.encoders import Encoder
from featstore.errors import MissingFileError, check_choice
from featstore.formats import BadDocument
from featstore.pairing import Pairing
from featstore.types import kind_of

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
        sentences: which sentences the tagger reads: ``all``, or only those that are ``likely`` to hold a pair of the
            relation model's types, where the tagger has a sentence filter.

    Raises:
        UsageError: an unknown mode, or an unknown choice of sentences.
    """

    mode: str = "never"
    path: Path | None = None
    threads: int = 1
    device: str = "cpu"
    sentences: str = ALL
    _tagger: Tagger | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_choice("the mode of tagging", self.mode, MODES)
        check_choice("the choice of sentences", self.sentences, SENTENCES)

    @classmethod
    def by(cls, tagger: Tagger, mode: str = "missing", sentences: str = ALL) -> Tagging:
        """Return tagging by a tagger that is loaded already."""
        return cls(mode, sentences=sentences, _tagger=tagger)

    @property
    def facts(self) -> dict[str, str]:
        """What an output depends on: the mode, and the fingerprints of the tagger and its filter if there are any."""
        if self.mode == "never":
            return {"mode": self.mode}
        if self._tagger is not None:
            own = self._tagger.sentence_filter
            return self._facts(self._tagger.checkpoint.fingerprint, own.facts.fingerprint if own else None)
        try:
            folder = bundled(SHIPPED) if self.path is None else self.path
        except MissingFileError:
            return {"mode": self.mode}  # a document that needs it will say that it is not installed
        own_filter = read_filter(folder).fingerprint if has_filter(folder) else None
        return self._facts(read_tagger(folder).fingerprint, own_filter)

    def _facts(self, tagger: str, own_filter: str | None) -> dict[str, str]:
        used = {"filter": own_filter} if own_filter and self.sentences == LIKELY else {}
        return {"mode": self.mode, "tagger": tagger, **used}

    def groups(
        self,
        documents: Iterable[Document | BadDocument],
        encoding: Encoding,
        loaded: Mapping[str, Encoder],
        pairing: Pairing,
        renamed: Collection[tuple[tuple[str, str], ...]],
    ) -> Iterator[list[Document | BadDocument]]:
        """Yield documents with their mentions, in groups whose vectors are in ``encoding``.

        Args:
            documents: the documents.
            encoding: the encoders at work; those of the tagger are added to it.
            loaded: encoders that are in memory already, by name.
            pairing: what the relation model pairs, which tells the sentences that are of use.
            renamed: the user's own names for types (:attr:`classifier.extract.wanted.Wanted.types`), of each user.
        """
        if self.mode == "never":
            yield from ([document] for document in documents)
            return
        for window in windows(documents):
            if any(isinstance(document, Document) and is_tagged(document, self.mode) for document in window):
                tagger = self._loaded(encoding, loaded)
                pairs = None if self.sentences == ALL else found_pairs(pairing, tagger.checkpoint.types, renamed)
                yield tagger.tag_window(window, encoding, self.mode, pairs)
            else:
                yield window

    def _loaded(self, encoding: Encoding, loaded: Mapping[str, Encoder]) -> Tagger:
        if self._tagger is None:
            from classifier.entities.tagger import Tagger

            self._tagger = Tagger.load(self.path, loaded=loaded, threads=self.threads, device=self.device)
        encoding.include(self._tagger.encoders.values())
        return self._tagger


def found_pairs(
    pairing: Pairing, types: Sequence[str], renamed: Iterable[tuple[tuple[str, str], ...]]
) -> frozenset[tuple[str, str]]:
    """Return which of a tagger's types make pairs for a relation model.

    Args:
        pairing: what the model pairs.
        types: those of the tagger.
        renamed: the user's own names for types, of each user.
    """
    every = [{type_: kind_of(type_, pairing.types, dict(names)) for type_ in types} for names in renamed]
    return frozenset(
        (head, tail)
        for kinds in every
        for head in types
        for tail in types
        if (kinds[head], kinds[tail]) in pairing.kinds
    )
