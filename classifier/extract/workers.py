"""Extraction by workers: blocks of documents go out, what the model says of them comes back.

In: documents as they are read, and an engine. Out: what the model says, block by block in the order of the documents,
so that whoever writes it down need not know who found it. Each worker loads the model once.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from classifier.extract.blocks import blocks
from classifier.extract.counted import CountedDocuments
from classifier.extract.extractor import Extractor
from classifier.extract.wanted import Extraction, Wanted
from featstore.errors import MismatchError
from featstore.formats import BadDocument
from featstore.records import Document
from featstore.scale.engine import Engine, in_order

LOST = (
    "the workers that its block of documents was given to ended before they were done; is there too little memory? "
    "Extract it with fewer --workers."
)
_Block = Sequence[Document | BadDocument]
_Said = list[Extraction | BadDocument]


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
class ExtractionWorkers:
    """Who extracts in place of this process.

    Attributes:
        engine: where the workers are.
        load: loads the model in a worker; it is pickled.
    """

    engine: Engine
    load: Callable[[], Extractor]


@dataclass(frozen=True, slots=True)
class BlockJob:
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
    def worker(self) -> Iterator[Callable[[_Block], _Said]]:
        """Load the model, and return what extracts from a block.

        Raises:
            MismatchError: the model is another one there.
        """
        extractor = self.load()
        if extractor.facts.fingerprint != self.fingerprint:
            raise MismatchError(
                f"the model on {platform.node()} is {extractor.facts.fingerprint[:16]}, and {self.fingerprint[:16]} "
                "here; all machines need the same files."
            )
        with extractor.encoding() as encoding:

            def extract(block: _Block) -> _Said:
                windows = extractor.windows(block, self.wanted, encoding=encoding)
                return [found for window in windows for found in window]

            yield extract


def said_of_blocks(
    workers: ExtractionWorkers,
    fingerprint: str,
    wanted: Wanted,
    documents: CountedDocuments,
    own: Iterable[Document | BadDocument],
    after: int,
) -> Generator[tuple[_Said, ReadSoFar], None, None]:
    """Yield what the model says of each block, and where in the input the block ends.

    Args:
        workers: who extracts.
        fingerprint: of the model.
        wanted: which relations.
        documents: the whole input on its way.
        own: those of ``documents`` to extract from; taking one reads on in ``documents``.
        after: how many of them came before.
    """
    given: dict[int, tuple[_Block, ReadSoFar]] = {}

    def items() -> Iterator[_Block]:
        for number, block in enumerate(blocks(own, after)):
            found = list(block)
            given[number] = found, ReadSoFar.of(documents)
            yield found

    with closing(workers.engine.run(BlockJob(workers.load, fingerprint, wanted), items())) as done:
        for each in in_order(done):
            block, position = given.pop(each.number)
            yield (_lost(block) if each.result is None else each.result), position


def _lost(block: _Block) -> _Said:
    """Return the documents of a block that no worker could do."""
    return [BadDocument(d.id, d.place, LOST) if isinstance(d, Document) else d for d in block]
