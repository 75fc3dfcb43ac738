"""The sentences of several corpora, and which of them a tagger is trained, chosen and tested on.

In: corpora of mentions. Out: their sentences in parts. A document of a training part that is also in a part that is
held out, of whichever corpus (BioRED took abstracts of BC5CDR), is not trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from classifier.entities.corpora import MentionCorpus
from classifier.entities.sentences import TaggedSentence, sentences_of
from classifier.entities.types import TYPES
from featstore.documents import Document
from featstore.errors import DataError


@dataclass(frozen=True, slots=True)
class Part:
    """Documents of one corpus.

    Attributes:
        name: the corpus.
        types: the types that it annotates.
        documents: the documents.
        sentences: theirs; each knows the place of its document in ``documents``.
    """

    name: str
    types: tuple[str, ...]
    documents: tuple[Document, ...]
    sentences: tuple[TaggedSentence, ...]

    @classmethod
    def of(cls, corpus: MentionCorpus, documents: Iterable[Document]) -> Part:
        """Split documents of a corpus into sentences."""
        chosen = tuple(documents)
        sentences = [s for number, document in enumerate(chosen) for s in sentences_of(document, number)]
        return cls(corpus.name, corpus.types, chosen, tuple(sentences))


@dataclass(frozen=True, slots=True)
class Parts:
    """What a tagger is trained and chosen on.

    Attributes:
        types: the types that some corpus annotates, in the order of ``TYPES``.
        train: the training part of each corpus.
        dev: the part of each corpus that the epoch is chosen by; none if it is trained on.
        left_out: documents that are not trained on because a part that is held out has them too.
    """

    types: tuple[str, ...]
    train: tuple[Part, ...]
    dev: tuple[Part, ...]
    left_out: int

    @property
    def sentences(self) -> list[TaggedSentence]:
        """All sentences: those of the training parts, then those of the dev parts."""
        return [sentence for part in (*self.train, *self.dev) for sentence in part.sentences]

    @property
    def annotated(self) -> list[tuple[str, ...]]:
        """For each of :attr:`sentences` the types that its corpus annotates."""
        return [part.types for part in (*self.train, *self.dev) for _ in part.sentences]


def training_parts(corpora: Sequence[MentionCorpus], with_dev: bool) -> Parts:
    """Return the parts that a tagger is trained and chosen on.

    Args:
        corpora: the corpora.
        with_dev: train on the dev parts as well.

    Raises:
        DataError: no mention to learn, or no dev part to choose the epoch by.
    """
    held_out = {document.id for corpus in corpora for document in corpus.part("test")}
    if not with_dev:
        held_out |= {document.id for corpus in corpora for document in corpus.part("dev")}
    splits = ("train", "dev") if with_dev else ("train",)
    train, left_out = [], 0
    for corpus in corpora:
        documents = corpus.part(*splits)
        kept = [document for document in documents if document.id not in held_out]
        left_out += len(documents) - len(kept)
        train.append(Part.of(corpus, kept))
    if not any(sentence.mentions for part in train for sentence in part.sentences):
        raise DataError("no document of the training parts has a mention; a tagger cannot learn what it never sees.")
    dev = () if with_dev else tuple(Part.of(c, c.part("dev")) for c in corpora if c.part("dev"))
    if not (with_dev or dev):
        raise DataError("none of the corpora has a dev part to choose the epoch by; train with --with-dev.")
    types = tuple(type_ for type_ in TYPES if any(type_ in corpus.types for corpus in corpora))
    return Parts(types, tuple(train), dev, left_out)
