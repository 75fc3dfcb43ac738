"""The models behind the API: documents in, relations out, for many requests at once.

In: installed models and requests. Out: the same extractions as ``cli extract`` gives, number for number. The documents
of all requests that wait are processed together, because what a model says of one does not depend on the others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from classifier.extract.extractor import Extractor
from classifier.extract.reasons import why_nothing
from classifier.extract.wanted import Extraction, Wanted
from classifier.serve.gather import Gatherer
from classifier.serve.limits import Limits
from featstore.documents import Document
from featstore.errors import UsageError, did_you_mean
from featstore.formats import BadDocument, read_documents, writer_of
from featstore.pairing import Pairing

Answer = list[Extraction | BadDocument]


@dataclass(frozen=True, slots=True)
class RequestedWork:
    """The work that one request asks for.

    Attributes:
        model: the model's name.
        documents: the documents.
        wanted: which relations.
        tag: which documents the tagger reads: ``missing``, ``always`` or ``never``.
    """

    model: str
    documents: tuple[Document, ...]
    wanted: Wanted
    tag: str

    @property
    def tagged(self) -> tuple[Document, ...]:
        """The documents as a tagger that reads those without mentions should get them."""
        if self.tag == "always":
            return tuple(replace(document, entities=()) for document in self.documents)
        return tuple(document for document in self.documents if document.entities or self.tag != "never")

    @property
    def size(self) -> int:
        """Characters of text."""
        return sum(len(document.text) for document in self.documents) + 1


class Service:
    """Installed models, and the queue in front of them.

    Args:
        models: by name; the first is the default.
        limits: how much may wait and be worked on together.
    """

    def __init__(self, models: Mapping[str, Extractor], limits: Limits) -> None:
        self.models = models
        self._gatherer: Gatherer[RequestedWork, Answer] = Gatherer(
            self._work, batch_size=limits.batch_characters, queue_size=limits.waiting_characters
        )

    def model(self, name: str | None) -> str:
        """Return the name of a model, the default one's for None.

        Raises:
            UsageError: no such model is installed.
        """
        if name is None:
            return next(iter(self.models))
        if name not in self.models:
            raise UsageError(
                f"model '{name}' is not installed; choose from {', '.join(self.models)}."
                f"{did_you_mean(name, tuple(self.models))}"
            )
        return name

    def submit(self, work: RequestedWork) -> Future[Answer]:
        """Queue a request; see :meth:`Gatherer.submit`."""
        return self._gatherer.submit(work, work.size)

    def close(self) -> None:
        """Finish the waiting requests and refuse new ones."""
        self._gatherer.close()

    def write(self, answer: Answer, model: str, format_: str) -> str:
        """Return the documents of an answer and their relations in a format, as ``cli extract`` writes a file of them.

        Raises:
            UsageError: the format is not written.
            DataError: it cannot hold one of the documents.
        """
        writer, facts = writer_of(format_), self.models[model].facts
        pieces = [
            writer.document(found.document, found.relations, facts, found.nothing)
            for found in answer
            if isinstance(found, Extraction)
        ]
        return writer.header(facts) + writer.separator.join(pieces) + writer.footer()

    def _work(self, batch: Sequence[RequestedWork]) -> list[Answer | Exception]:
        answers: dict[int, Answer | Exception] = {}
        for model in {work.model for work in batch}:
            places = [n for n, work in enumerate(batch) if work.model == model]
            extractor = self.models[model]
            found = extractor.extract_together([(batch[n].tagged, batch[n].wanted) for n in places])
            pairing = extractor.checkpoint.pairing
            assert pairing is not None  # else there were no extractions
            answers.update((n, _completed(batch[n], answer, pairing)) for n, answer in zip(places, found, strict=True))
        return [answers[n] for n in range(len(batch))]


def _completed(work: RequestedWork, found: Answer, pairing: Pairing) -> Answer:
    """Put the documents back that have no mentions and shall get none."""
    answers = iter(found)
    return [
        next(answers)
        if document.entities or work.tag != "never"
        else Extraction(document, (), 0, why_nothing(document, pairing, work.wanted, 0))
        for document in work.documents
    ]


def read_upload(name: str, content: bytes) -> list[Document | BadDocument]:
    """Return the documents of a file that a client sent.

    Args:
        name: its name; only the suffixes are used.
        content: its bytes.

    Raises:
        UsageError, DataError: its format cannot be told, or it is not of that format.
    """
    suffixes = "".join(PurePath(name.replace("\\", "/")).suffixes[-2:])
    safe = "".join(c for c in suffixes if c.isalnum() or c in ".-")[:20]
    with tempfile.TemporaryDirectory(prefix="featstore-") as folder:
        path = Path(folder) / f"upload{safe}"
        path.write_bytes(content)
        return [_named(found, str(path), name) for found in read_documents(path)]


def _named(found: Document | BadDocument, path: str, name: str) -> Document | BadDocument:
    """Name the client's file in place of ours wherever a place is named."""
    if isinstance(found, BadDocument):
        return replace(found, where=found.where.replace(path, name), why=found.why.replace(path, name))
    problems = (replace(p, place=p.place.replace(path, name), why=p.why.replace(path, name)) for p in found.problems)
    return replace(found, place=found.place.replace(path, name), problems=tuple(problems))
