"""A trained model at work: documents with entities to relations.

    from classifier import Extractor
    Extractor.load("MODEL/").extract("Aspirin inhibits COX-2.")
    Extractor.load("MODEL/").extract("Aspirin inhibits COX-2.", [(0, 7, "CHEMICAL"), (17, 22, "GENE")])

In: a model (a bundle, or the folder of a trained fold) and documents. Out: the relations of each, in the order of the
documents. A document without mentions is tagged first (:mod:`classifier.extract.tagging`). All pairs of the types that
the model knows in one sentence are candidates, marked as in training. Sentences are encoded on the way, through a store
if one is named, else in memory, rounded to the same dtype, so that a pair gets the probabilities that evaluation from
the cache would give it.

Documents are read in windows of a few thousand tokens: memory does not grow with their number, and a window's
sentences fill the encoders' batches. In the sentence context a sentence is encoded once for all its pairs, and its
input projection is shared (:mod:`classifier.data.batch`). Where a window ends depends on its own documents alone, so an
extraction that goes on at the end of a window gives, to the last digit, what it would have given in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.entities.encoders import check_encoder, load_encoders
from classifier.entities.encoding import Encoding
from classifier.extract.blocks import blocks
from classifier.extract.candidates import entity_of
from classifier.extract.models import model_folder
from classifier.extract.scorer import Scorer
from classifier.extract.tagging import Tagging
from classifier.extract.wanted import Extraction, Wanted, checked_pairing
from classifier.extract.work import Chunk, finish, windows
from classifier.training.predictions import Predictions
from featstore.copies import on_this_machine
from featstore.corpora.mark import Marking
from featstore.documents import Document, Entity, Relation
from featstore.encoders import Encoder
from featstore.errors import DataError, UsageError
from featstore.formats import BadDocument, ModelFacts
from featstore.pairing import Pairing
from featstore.records import Instance

if TYPE_CHECKING:  # torch takes a second to import, and only a model that is loaded needs it
    from classifier.systems.saved import AnyModel

# Called with a document's id, how many of its pairs have been scored, and how many it has.
PairsScored = Callable[[str, int, int], None]


class Extractor:
    """A model and its encoders.

    Args:
        checkpoint: the trained head, or the fitted system.
        encoders: those that it reads, by name.
        name: what outputs call the model.
        store: a store to read vectors from and to keep them in; None keeps them in memory, window by window. Its index
            is in memory, so with a store memory grows by some hundred bytes a sentence.
        threads: threads of the matrix products; more than one may be slower, and differ in the last digit.
        tagging: how documents get the mentions that they lack; None: they get none.

    Raises:
        MismatchError: an encoder that is not the one that the head was trained on; the text names both.
    """

    def __init__(
        self,
        checkpoint: AnyModel,
        encoders: Mapping[str, Encoder],
        *,
        name: str = "model",
        store: str | None = None,
        threads: int = 1,
        tagging: Tagging | None = None,
    ) -> None:
        if threads < 1:
            raise UsageError(f"{threads} threads were asked for; at least 1 is needed.")
        for spec in checkpoint.features:
            check_encoder(spec, encoders[spec.name], spec.name)
        self.checkpoint = checkpoint
        self.facts = ModelFacts(name, checkpoint.fingerprint, checkpoint.positive, checkpoint.corpus.name)
        self._encoders = {spec.name: encoders[spec.name] for spec in checkpoint.features}
        self._store, self._threads = store, threads
        self._scorer = Scorer(checkpoint, threads)
        self._tagging = tagging or Tagging()

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        fold: int | None = None,
        encoders: Sequence[str] = (),
        store: str | None = None,
        threads: int = 1,
        device: str = "cpu",
        precision: str | None = None,
        tag: str = "missing",
        tagger: str | Path | None = None,
        sentences: str = "all",
    ) -> Extractor:
        """Load a model: a bundle, a trained fold (``runs/NAME/fold-K``), a run, or one that comes with featstore.

        Args:
            path: the folder, or the name of a model that comes with featstore; None: the default one.
            fold: the fold of a run; None: the first that is trained.
            encoders: ``NAME:PATH`` for each encoder that is neither in the bundle nor comes with featstore.
            store, threads: see :class:`Extractor`.
            device: where the encoders run, ``cpu`` or ``cuda``.
            precision: of the matrix products of a fine-tuned transformer, ``float32``, ``bfloat16`` or ``int8``; None:
                the one that it was trained with.
            tag: which documents a tagger finds the mentions of: those that have none (``missing``), all of them
                (``always``), or none (``never``).
            tagger: the tagger's folder or its address; None: the one that comes with featstore.
            sentences: which sentences the tagger reads: ``all``, or only those that are ``likely`` to hold a pair of
                the model's types, which is faster. Mentions in the others are not found; ``Document.unread`` counts
                these sentences.

        Raises:
            MissingFileError: there is no model.
            DataError: a damaged or changed file.
            UsageError: a spec of an encoder that the model does not read, a precision that it cannot have, or an
                unknown choice of sentences.
            MismatchError: an encoder that is not the one it was trained on, or a file that was changed.
        """
        from classifier.extract.bundle import is_bundle, read_bundle
        from classifier.systems.saved import load_model

        tagger_folder = None if tagger is None else on_this_machine(tagger)
        folder = model_folder(path, fold)
        if is_bundle(folder):
            bundle = read_bundle(folder, device)
            checkpoint, name, specs = bundle.checkpoint, bundle.name, dict(bundle.encoders)
        else:
            checkpoint, specs = load_model(folder, device), {}
            name = folder.resolve().parent.name
        if precision is not None:
            from classifier.extract.precision import at_precision

            checkpoint = at_precision(checkpoint, precision, device)
        return cls(
            checkpoint,
            load_encoders(checkpoint, encoders, specs, device=device),
            name=name,
            store=store,
            threads=threads,
            tagging=Tagging(tag, tagger_folder, threads, device, sentences),
        )

    @property
    def tagging(self) -> dict[str, str]:
        """How documents get the mentions that they lack, as plain facts."""
        return self._tagging.facts

    @property
    def related(self) -> str:
        """The types that the model relates, in words: ``CHEMICAL and GENE``."""
        pairing = self.checkpoint.pairing
        return pairing.in_words if pairing else "pairs that are given to it"

    @property
    def marking(self) -> Marking:
        """How pairs are marked."""
        return self._scorer.marking

    def extract(
        self,
        text: str,
        entities: Iterable[Entity | tuple[int, int, str]] = (),
        *,
        threshold: float | None = None,
        top: int | None = None,
        max_distance: int | None = None,
        explain: bool = False,
    ) -> list[Relation]:
        """Return the relations of one text.

        Args:
            text: any number of sentences.
            entities: the mentions, or for each (start, end, type), half-open, in characters of ``text``; without any,
                a tagger finds them.
            threshold, top, max_distance, explain: see :class:`Wanted`.

        Raises:
            DataError: an entity that is outside of the text or holds no word.
            UsageError: an option out of range, or a model that does not say what makes a pair.
        """
        found = [entity_of(text, number, given) for number, given in enumerate(entities, start=1)]
        wanted = Wanted(threshold, top, max_distance, explain)
        (result,) = self.extract_documents([Document("text", text, tuple(found))], wanted)
        if isinstance(result, BadDocument):
            raise DataError(result.why)
        if result.problems:
            raise DataError(result.problems[0].why)
        return list(result.relations)

    def extract_documents(
        self, documents: Iterable[Document | BadDocument], wanted: Wanted | None = None
    ) -> Iterator[Extraction | BadDocument]:
        """Yield what the model says of each document, in their order; a document that cannot be read stays one."""
        for window in self.windows(documents, wanted):
            yield from window

    def windows(
        self,
        documents: Iterable[Document | BadDocument],
        wanted: Wanted | None = None,
        *,
        after: int = 0,
        scored: PairsScored | None = None,
        encoding: Encoding | None = None,
    ) -> Iterator[list[Extraction | BadDocument]]:
        """Yield the same, window by window; of ``documents`` no more has been read than was yielded.

        Args:
            documents: see :meth:`extract_documents`.
            wanted: likewise.
            after: how many documents of the input came before them; a window ends where a block of the input does.
            scored: called after each few seconds of work on a document that has very many pairs.
            encoding: what :meth:`encoding` returned, open, for a caller that extracts again and again.

        Raises:
            UsageError: the model was trained by a version that did not record what makes a pair, or has no type that
                the options name.
        """
        asked = wanted or Wanted()
        pairing = checked_pairing(self.checkpoint, asked)
        with nullcontext(encoding) if encoding else self.encoding() as at_work:
            for block in blocks(documents, after):
                groups = self._tagging.groups(block, at_work, self._encoders, pairing, [asked.types])
                for window in self._windows(groups, repeat(asked), pairing, at_work, scored):
                    at_work.forget()
                    yield window

    def extract_together(
        self, requests: Sequence[tuple[Sequence[Document], Wanted]]
    ) -> list[list[Extraction | BadDocument]]:
        """Return what the model says of the documents of several requests.

        All of them are one window: together they are encoded, tagged and scored several times as fast as one after the
        other. Each gets what it would have got alone, from a head to the last digit.

        Args:
            requests: the documents of each, all of which are held in memory, and what is wanted of them.
        """
        for _, wanted in requests:
            pairing = checked_pairing(self.checkpoint, wanted)
        every = [(document, wanted) for documents, wanted in requests for document in documents]
        if not every:
            return [[] for _ in requests]
        with self.encoding() as encoding:
            renamed = {wanted.types for _, wanted in requests}
            documents = [document for document, _ in every]
            groups = self._tagging.groups(documents, encoding, self._encoders, pairing, renamed)
            group = [document for group in groups for document in group]
            (window,) = self._windows([group], (wanted for _, wanted in every), pairing, encoding)
        found = iter(window)
        return [list(islice(found, len(documents))) for documents, _ in requests]

    def _windows(
        self,
        groups: Iterable[list[Document | BadDocument]],
        wanted: Iterable[Wanted],
        pairing: Pairing,
        encoding: Encoding,
        scored: PairsScored | None = None,
    ) -> Iterator[list[Extraction | BadDocument]]:
        """Yield what the model says, window by window; ``wanted`` says of each document which relations."""

        def score(chunk: Chunk) -> None:
            works = [pair.work for pair in chunk.pairs[-1:]]
            self._scorer.score(chunk, encoding)
            for last in works:
                if scored and last.scored < len(last.candidates):
                    scored(last.document.id, last.scored, len(last.candidates))

        each = iter(wanted)
        works = (
            [self._scorer.begin(d, w) if isinstance(d, Document) else d for d, w in zip(group, each, strict=False)]
            for group in groups
        )
        for window in windows(works, self._scorer.pairs, score):
            yield [finish(work, pairing) for work in window]

    def classify(self, instances: Sequence[Instance]) -> Predictions:
        """Score pairs that are marked already, as :attr:`marking` says, encoding what is not stored."""
        with self.encoding() as encoding:
            return self._scorer.classify(instances, encoding)

    def encoding(self) -> Encoding:
        """Return the model's encoders at work, a context manager."""
        return Encoding(self._encoders.values(), store=self._store, threads=self._threads)
