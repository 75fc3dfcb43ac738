"""A trained tagger at work: documents of plain text to documents with mentions.

    from classifier.entities.tagger import Tagger
    Tagger.load().tag_text("Aspirin inhibits COX-2.")

In: a tagger and documents. Out: the same documents with the mentions that it finds, in their order. Sentences are
encoded on the way, through a store if one is named, else in memory, window by window, so that memory does not grow with
the number of documents. Mentions that a document has are kept. Which documents are tagged is a choice: those without
any mention (``missing``), all of them (``always``: what is found is added where it overlaps no mention that is there),
or none (``never``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np

from classifier.data.vectors import Vectors
from classifier.entities.batch import SentenceBatcher, distinct
from classifier.entities.checkpoint import TaggerCheckpoint, load_tagger
from classifier.entities.encoders import check_encoder, load_encoders
from classifier.entities.encoding import Encoding
from classifier.entities.filter_facts import has_filter
from classifier.entities.predict import find_mentions
from classifier.entities.sentence_filter import SentenceFilter, TypePairs, load_filter
from classifier.entities.sentences import TaggedSentence, sentences_of
from classifier.entities.windows import MODES, SHIPPED, is_tagged, windows
from featstore.bundled import bundled
from featstore.copies import on_this_machine
from featstore.documents import Document, Entity
from featstore.encoders import Encoder
from featstore.errors import check_choice
from featstore.featurize.threads import running_threads
from featstore.formats import BadDocument
from featstore.formats.bioc import with_mentions
from featstore.stores import FeatureStore

CHUNK_TOKENS = 65536  # encoded at once, where one document alone has more


class Tagger:
    """A tagger and its encoders.

    Args:
        checkpoint: the trained network.
        encoders: those that it reads, by name.
        name: what outputs call it.
        store: a store to read vectors from and to keep them in; None keeps them in memory, window by window.
        threads: threads of the matrix products.
        sentence_filter: tells which sentences need not be read where only relations are wanted; None: all are read.

    Raises:
        MismatchError: an encoder that is not the one that it was trained on; the text names both.
    """

    def __init__(
        self,
        checkpoint: TaggerCheckpoint,
        encoders: Mapping[str, Encoder],
        *,
        name: str = "tagger",
        store: str | None = None,
        threads: int = 1,
        sentence_filter: SentenceFilter | None = None,
    ) -> None:
        for spec in checkpoint.features:
            check_encoder(spec, encoders[spec.name], spec.name)
        self.checkpoint, self.name = checkpoint, name
        self.encoders = dict(encoders)
        self._store, self._threads = store, threads
        self.sentence_filter = sentence_filter

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        encoders: Sequence[str] = (),
        loaded: Mapping[str, Encoder] | None = None,
        store: str | None = None,
        threads: int = 1,
        device: str = "cpu",
    ) -> Tagger:
        """Load a tagger.

        Args:
            path: its folder or the address of it; None: the one that comes with featstore.
            encoders: ``NAME:PATH`` for each encoder that does not come with featstore.
            loaded: encoders that are in memory already, by name; those that the tagger reads too are not loaded again.
            store, threads: see :class:`Tagger`.
            device: where the encoders run, ``cpu`` or ``cuda``.

        Raises:
            MissingFileError: there is no tagger.
            DataError: a damaged or changed file.
            UsageError: a spec of an encoder that the tagger does not read.
            MismatchError: an encoder that is not the one it was trained on, or a file that was changed.
        """
        folder = bundled(SHIPPED) if path is None else on_this_machine(path)
        checkpoint = load_tagger(folder)
        found = load_encoders(checkpoint, encoders, device=device, loaded=loaded)
        own = load_filter(folder, checkpoint.features) if has_filter(folder) else None
        name = folder.resolve().name
        return cls(checkpoint, found, name=name, store=store, threads=threads, sentence_filter=own)

    def tag_text(self, text: str) -> tuple[Entity, ...]:
        """Return the mentions of a text of any length."""
        with self.encoding() as encoding:
            (document,) = self.tag_window([Document("text", text, ())], encoding)
        return document.entities if isinstance(document, Document) else ()

    def tag(
        self, documents: Iterable[Document | BadDocument], mode: str = "missing"
    ) -> Iterator[Document | BadDocument]:
        """Yield documents with their mentions, in their order; a document that could not be read stays one.

        Args:
            documents: documents, with mentions or without.
            mode: which of them are tagged: ``missing``, ``always`` or ``never``.

        Raises:
            UsageError: an unknown mode.
        """
        check_choice("the mode of tagging", mode, MODES)
        with self.encoding() as encoding:
            for window in windows(documents):
                yield from self.tag_window(window, encoding, mode)
                encoding.forget()

    def encoding(self) -> Encoding:
        """Return the tagger's encoders at work."""
        return Encoding(self.encoders.values(), store=self._store, threads=self._threads)

    def tag_window(
        self,
        window: Sequence[Document | BadDocument],
        encoding: Encoding,
        mode: str = "missing",
        pairs: TypePairs | None = None,
    ) -> list[Document | BadDocument]:
        """Tag some documents; the vectors of their sentences stay in ``encoding`` if they are not too many.

        Args:
            window: the documents.
            encoding: the encoders at work.
            mode: which documents are tagged.
            pairs: the types of the only pairs that are of use; sentences that can hardly hold one are not read, and
                each document has their number (``unread``). Documents that come with mentions are read whole. None:
                every sentence is read.
        """
        wanted = {n: d for n, d in enumerate(window) if isinstance(d, Document) and is_tagged(d, mode)}
        sentences = [s for n, d in wanted.items() for s in sentences_of(replace(d, entities=()), n)]
        found: dict[int, list[tuple[int, int, str]]] = {n: [] for n in wanted}
        failed: set[int] = set()
        unread: Counter[int] = Counter()
        for chunk in _chunks(sentences):
            if pairs is not None and self.sentence_filter is not None:
                free = {n for n, document in wanted.items() if not document.entities}
                chunk, passed = self._filtered(chunk, encoding, free, pairs)
                unread.update(passed)
            stores, lost = encoding.fill({s.key: s.tokens for s in chunk}, self.checkpoint.features)
            failed |= {sentence.document for sentence in chunk if sentence.key in lost}
            kept = [sentence for sentence in chunk if sentence.key not in lost]
            for sentence, mentions in zip(kept, self._find(kept, stores), strict=True):
                found[sentence.document] += mentions
        tagged = list(window)
        for n, document in wanted.items():
            if n in failed:
                no_room = "memory has no room to encode one of its sentences."
                tagged[n] = BadDocument(document.id, document.place, no_room)
            else:
                tagged[n] = replace(_with_found(document, found[n]), unread=unread[n])
        return tagged

    def _filtered(
        self, sentences: Sequence[TaggedSentence], encoding: Encoding, free: Collection[int], pairs: TypePairs
    ) -> tuple[list[TaggedSentence], list[int]]:
        """Return the sentences to read, and of each other its document.

        Args:
            sentences: the sentences.
            encoding: the encoders at work; those of words look all words up.
            free: the documents whose sentences may be passed over.
            pairs: see :meth:`tag_window`.
        """
        assert self.sentence_filter is not None
        asked = [sentence for sentence in sentences if sentence.document in free]
        stores, lost = encoding.fill({s.key: s.tokens for s in asked}, self.sentence_filter.features)
        asked = [sentence for sentence in asked if sentence.key not in lost]
        with running_threads(self._threads):
            can_hold = self.sentence_filter.can_hold(asked, stores, pairs)
        passed = {id(sentence) for sentence, held in zip(asked, can_hold, strict=True) if not held}
        return (
            [sentence for sentence in sentences if id(sentence) not in passed],
            [sentence.document for sentence in sentences if id(sentence) in passed],
        )

    def _find(
        self, sentences: Sequence[TaggedSentence], stores: Sequence[FeatureStore]
    ) -> Iterator[list[tuple[int, int, str]]]:
        """Yield what is found in each sentence, in characters of its document."""
        if not sentences:
            return
        checkpoint = self.checkpoint
        with running_threads(self._threads):
            vectors = Vectors(checkpoint.parsed_features, stores, distinct(sentences))
            batcher = SentenceBatcher(sentences, [()] * len(sentences), vectors, checkpoint.types)
            found = find_mentions(checkpoint.network, batcher, np.arange(len(sentences)))
        for n, sentence in enumerate(sentences):
            yield [(sentence.offsets[m.start][0], sentence.offsets[m.end - 1][1], m.type) for m in found[n]]


def _chunks(sentences: Sequence[TaggedSentence]) -> Iterator[list[TaggedSentence]]:
    """Yield sentences in chunks that are encoded at once; the sentences of a usual window are one chunk."""
    chunk: list[TaggedSentence] = []
    tokens = 0
    for sentence in sentences:
        if chunk and tokens + len(sentence.tokens) > CHUNK_TOKENS:
            yield chunk
            chunk, tokens = [], 0
        chunk.append(sentence)
        tokens += len(sentence.tokens)
    if chunk:
        yield chunk


def _with_found(document: Document, found: Iterable[tuple[int, int, str]]) -> Document:
    """Return a document with what was found in it added where it overlaps no mention that is there."""
    taken = [(entity.start, entity.end) for entity in document.entities]
    ids = {entity.id for entity in document.entities}
    free = (id_ for id_ in map("T{}".format, count(1)) if id_ not in ids)
    added = [
        Entity(next(free), type_, start, end, document.text[start:end])
        for start, end, type_ in found
        if all(end <= other[0] or other[1] <= start for other in taken)
    ]
    return with_mentions(document, added)
