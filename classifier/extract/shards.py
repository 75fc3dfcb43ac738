"""The output of one job of several: a file that holds the blocks of documents of one shard.

In: what an extraction writes. Out: ``OUT.I-of-N``, beside the place where ``OUT`` will be once all shards are joined
(:mod:`classifier.extract.join`). It is lines of JSON, whatever the format of the output: a :class:`ShardHead`, a
:class:`ShardBlock` for each block, and a :class:`ShardEnd`. Each line is an object with one member, the name of what it
holds. The file grows and resumes as the output of an extraction does, a whole block at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from classifier.extract.blocks import BLOCK_DOCUMENTS
from classifier.extract.counted import CountedDocuments
from classifier.extract.journal import Figures, part_of
from featstore.documents import Document
from featstore.formats import BadDocument
from featstore.scale.shard import Shard
from featstore.streams import behind_links

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class ShardHead:
    """The first line of a shard's file.

    Attributes:
        format: the version of this format.
        shard: which shard it is, ``I/N``.
        block: documents of a block.
        facts: what is being extracted, the same for all shards.
        header, separator, footer: what the output has before, between and after the documents.
    """

    format: int
    shard: str
    block: int
    facts: Mapping[str, object]
    header: str
    separator: str
    footer: str


@dataclass(frozen=True, slots=True)
class ShardBlock:
    """A block of documents.

    Attributes:
        number: which block of the input, counted from 0.
        written: how many of its documents are in the output.
        text: these, with the separator between them.
    """

    number: int
    written: int
    text: str


@dataclass(frozen=True, slots=True)
class ShardEnd:
    """The last line of a shard's file.

    Attributes:
        documents: of the whole input.
        digest: of the whole input.
        figures: what the extraction did with the documents of this shard.
    """

    documents: int
    digest: str
    figures: Figures


def shard_file(target: Path, shard: Shard) -> Path:
    """Return where a shard of the output ``target`` is written."""
    target = behind_links(target)
    return target.with_name(f"{target.name}.{shard.number}-of-{shard.count}")


def own_documents(documents: CountedDocuments, shard: Shard) -> Iterator[Document | BadDocument]:
    """Yield the documents of a shard's blocks; all others are read and counted, but passed over."""
    for found in documents:
        if shard.has_block((documents.count - 1) // BLOCK_DOCUMENTS):
            yield found


def input_position(own: int, shard: Shard) -> int:
    """Return how many documents of the input have been read once ``own`` documents, all of whole blocks, are done."""
    blocks = own // BLOCK_DOCUMENTS
    return 0 if not blocks else ((blocks - 1) * shard.count + shard.number) * BLOCK_DOCUMENTS


class ShardFile:
    """What a shard writes: an :class:`~classifier.extract.journal.Output` that holds blocks.

    Its figures are of the shard's own documents.

    Args:
        target: the output that all shards will be joined to.
        shard: which shard this is.
        facts: what is being extracted.
        documents: the whole input on its way.
        ends: the separator and the footer of the output.
        fresh: begin anew, even if there is an interrupted extraction to go on with.

    Raises:
        UsageError, DataError, ResourceError: see :class:`~classifier.extract.journal.PartFile`.
    """

    def __init__(
        self,
        target: Path,
        shard: Shard,
        facts: Mapping[str, object],
        documents: CountedDocuments,
        ends: tuple[str, str],
        *,
        fresh: bool = False,
    ) -> None:
        self._shard, self._facts, self._documents = shard, facts, documents
        self._separator, self._footer = ends
        own = dict(facts) | {"shard": str(shard), "block": BLOCK_DOCUMENTS}
        self._part = part_of(shard_file(target, shard), own, fresh=fresh)
        self._texts: list[str] = []
        self._figures = self._part.figures

    @property
    def figures(self) -> Figures:
        """What has been done, up to the last piece."""
        return self._figures

    def begin(self, header: str) -> None:
        head = ShardHead(
            FORMAT_VERSION, str(self._shard), BLOCK_DOCUMENTS, self._facts, header, self._separator, self._footer
        )
        self._part.begin(_line("head", head))

    def add(self, text: str, figures: Figures) -> None:
        self._texts.append(text)
        self._figures = figures
        if figures.documents % BLOCK_DOCUMENTS == 0:
            self._part.add(self._block(), figures)
            self._texts = []

    def _block(self) -> str:
        """Return what came since the last block, as one."""
        before, after = self._part.figures, self._figures
        text = "".join(self._texts)
        if _written(before):  # the separator between two blocks belongs to neither
            text = text.removeprefix(self._separator)
        number = self._shard.number - 1 + before.documents // BLOCK_DOCUMENTS * self._shard.count
        return _line("block", ShardBlock(number, _written(after) - _written(before), text))

    def finish(self, footer: str) -> None:
        del footer  # it is in the head, for the joined output
        # The last block is a short one if the input ends in it. It goes with the end: the journal knows whole ones.
        last = self._block() if self._figures.documents > self._part.figures.documents else ""
        end = ShardEnd(self._documents.count, self._documents.digest, replace(self._figures, digest=""))
        self._part.finish(last + _line("end", end))

    def close(self) -> None:
        self._part.close()


def _written(figures: Figures) -> int:
    return figures.documents - figures.bad


def _line(name: str, value: ShardHead | ShardBlock | ShardEnd) -> str:
    return json.dumps({name: asdict(value)}, ensure_ascii=False) + "\n"
