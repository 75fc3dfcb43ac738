"""Work on documents by workers: blocks of them go out, what a model makes of each comes back.

In: documents as they are read, and an engine. Out: what the model makes of them, block by block in the order of the
documents, so that whoever writes it down need not know who found it. Each worker loads the model once. Extraction
(:class:`ExtractBlocks`) and tagging (:mod:`classifier.extract.tag_files`) are shared among workers in this way.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from classifier.extract.blocks import blocks
from classifier.extract.counted import CountedDocuments
from classifier.extract.extractor import Extractor
from classifier.extract.wanted import Extraction, Wanted
from featstore.documents import Document
from featstore.errors import MismatchError
from featstore.formats import BadDocument
from featstore.scale.engine import Engine, Job, Tell, in_order

LOST = (
    "the workers that its block of documents was given to ended before they were done; is there too little memory? "
    "Run the command again on this document with fewer --workers."
)
ModelT = TypeVar("ModelT")
FoundT = TypeVar("FoundT")
Block = Sequence[Document | BadDocument]


@dataclass(frozen=True, slots=True)
class ReadSoFar:
    """What of the input has been read when a window or a block is done.

    Attributes:
        documents: how many documents.
        digest: of these.
    """

    documents: int
    digest: str

    @classmethod
    def of(cls, documents: CountedDocuments) -> ReadSoFar:
        """Return where the reading of ``documents`` is."""
        return cls(documents.count, documents.digest)


@dataclass(frozen=True, slots=True)
class BlockWorkers(Generic[ModelT]):
    """Who works on blocks of documents in place of this process.

    Attributes:
        engine: where the workers are.
        load: loads the model in a worker; it is pickled.
    """

    engine: Engine
    load: Callable[[], ModelT]


def check_same_model(there: str, here: str) -> None:
    """Make sure that a worker has loaded the model that the command has.

    Args:
        there: the fingerprint of the model that this process, a worker, has loaded.
        here: the fingerprint where the command runs.

    Raises:
        MismatchError: it is another model.
    """
    if there != here:
        raise MismatchError(
            f"the model on {platform.node()} is {there[:16]}, and {here[:16]} where the command runs; all machines "
            "need the same files."
        )


@dataclass(frozen=True, slots=True)
class ExtractBlocks:
    """The extraction from blocks of documents (:mod:`featstore.scale.engine`).

    Attributes:
        load: loads the model.
        fingerprint: the model's, where the command runs.
        wanted: which relations.
    """

    load: Callable[[], Extractor]
    fingerprint: str
    wanted: Wanted

    @contextmanager
    def worker(self, tell: Tell) -> Iterator[Callable[[Block], list[Extraction | BadDocument]]]:
        """Load the model, and return what extracts from a block.

        Raises:
            MismatchError: the model is another one there.
        """
        del tell  # an item takes seconds
        extractor = self.load()
        check_same_model(extractor.facts.fingerprint, self.fingerprint)
        with extractor.encoding() as encoding:

            def extract(block: Block) -> list[Extraction | BadDocument]:
                windows = extractor.windows(block, self.wanted, encoding=encoding)
                return [found for window in windows for found in window]

            yield extract


def done_by_workers(
    engine: Engine,
    job: Job[Block, list[FoundT]],
    documents: CountedDocuments,
    own: Iterable[Document | BadDocument],
    after: int,
) -> Generator[tuple[list[FoundT] | list[BadDocument], ReadSoFar], None, None]:
    """Yield what a model makes of each block, and where in the input the block ends.

    Args:
        engine: where the workers are.
        job: what they do with a block; it returns something for each of its documents.
        documents: the whole input on its way.
        own: those of ``documents`` to work on; taking one reads on in ``documents``.
        after: how many of them came before.
    """
    given: dict[int, tuple[Block, ReadSoFar]] = {}

    def items() -> Iterator[Block]:
        for number, block in enumerate(blocks(own, after)):
            found = list(block)
            given[number] = found, ReadSoFar.of(documents)
            yield found

    with closing(engine.run(job, items())) as done:
        for each in in_order(done):
            block, position = given.pop(each.number)
            yield (_lost(block) if each.result is None else each.result), position


def _lost(block: Block) -> list[BadDocument]:
    """Return the documents of a block that no worker could do."""
    return [BadDocument(d.id, d.place, LOST) if isinstance(d, Document) else d for d in block]
