"""Joining the outputs of all shards of an extraction into the output that one job would have written.

In: the files that :mod:`classifier.extract.shards` describes. Out: one file, the same byte for byte as without shards.
The blocks are read in the order of the input, one at a time, so memory does not grow with their number. No model is
loaded.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from classifier.extract.blocks import BLOCK_DOCUMENTS
from classifier.extract.files import Extracted
from classifier.extract.shards import FORMAT_VERSION, ShardBlock, ShardEnd, ShardHead, shard_file
from featstore.addresses import address_of, fetch, names_in
from featstore.errors import DataError, MismatchError, MissingFileError
from featstore.files import check_output_file, clear_errors, open_output
from featstore.plain import from_plain
from featstore.scale.shard import Shard
from featstore.streams import behind_links


def join_shards(target: Path) -> Extracted:
    """Write ``target`` from the files of its shards, which stay where they are.

    Args:
        target: the output that the shards were named after.

    Returns:
        What all shards did together.

    Raises:
        MissingFileError: a shard is not there, or not finished.
        MismatchError: the shards are not of one extraction.
        DataError: a file is not a shard's.
        UsageError, ResourceError: the output cannot be written.
    """
    start = time.perf_counter()
    check_output_file(target)
    with tempfile.TemporaryDirectory(prefix="featstore-") as folder:
        done = _join(target, _fetched(target, Path(folder)) if address_of(target) else _shard_files(target))
    return replace(done, seconds=time.perf_counter() - start)


def _fetched(target: Path, folder: Path) -> list[Path]:
    """Return copies of the files of all shards of an output at an address."""
    shards = _shard_files(target)
    for shard in shards:
        fetch(str(address_of(shard)), folder / shard.name)
    return [folder / shard.name for shard in shards]


def _join(target: Path, files: list[Path]) -> Extracted:
    shards = [_ShardReader(path) for path in files]
    head = shards[0].head
    for shard in shards[1:]:
        _check_same(shards[0], shard, "does not extract the same", head.facts == shard.head.facts)
    with open_output(target) as file:
        file.write(head.header.encode("utf-8"))
        for text in _in_order(shards, head.separator):
            file.write(text.encode("utf-8"))
        file.write(head.footer.encode("utf-8"))
    return _total([shard.end for shard in shards])


def _shard_files(target: Path) -> list[Path]:
    """Return the files of all shards of an output, in their order."""
    real = behind_links(target)
    named = re.compile(rf"{re.escape(real.name)}\.(\d{{1,9}})-of-(\d{{1,9}})")
    with clear_errors(real.parent, "read"):
        folder = address_of(real.parent)
        matches = [named.fullmatch(n) for n in (names_in(folder) if folder else os.listdir(real.parent))]
    found = {(int(match[1]), int(match[2])) for match in matches if match}
    counts = sorted({count for _, count in found})
    if len(counts) != 1:
        there = f"shards of {' and of '.join(map(str, counts))}" if counts else "none"
        raise MissingFileError(
            f"the outputs of all shards of {target} are needed, and there are {there}; `cli extract --shard I/N -o "
            f"{target}` writes {shard_file(target, Shard(1, 2)).name} and so on. Remove what is of other runs."
        )
    (count,) = counts
    missing = [number for number in range(1, count + 1) if (number, count) not in found]
    if missing:
        names = ", ".join(f"{number}/{count}" for number in missing[:10]) + (", .." if len(missing) > 10 else "")
        raise MissingFileError(
            f"{len(missing):,} of the {count:,} shards of {target} are not there, or not finished: {names}. Run these "
            "again; each goes on where it stopped."
        )
    return [shard_file(target, Shard(number, count)) for number in range(1, count + 1)]


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a shard's file: one of its members is there."""

    head: ShardHead | None = None
    block: ShardBlock | None = None
    end: ShardEnd | None = None


class _ShardReader:
    """The file of a shard, read line by line. It is opened for each: there may be more shards than files to be open."""

    def __init__(self, path: Path) -> None:
        self.path, self._offset = path, 0
        head = self._line().head
        if head is None or head.format != FORMAT_VERSION or head.block != BLOCK_DOCUMENTS:
            raise DataError(
                f"{path} is not the output of a shard that this version of featstore reads; extract it again."
            )
        self.head = head

    def _line(self) -> _Line:
        with clear_errors(self.path, "read"), self.path.open("rb") as file:
            file.seek(self._offset)
            raw = file.readline()
            self._offset = file.tell()
        try:
            return from_plain(_Line, json.loads(raw), str(self.path))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.path} is not a whole shard of an extraction: {error} Extract it again.") from error

    def blocks(self) -> Iterator[ShardBlock]:
        """Yield the blocks; after the last, :attr:`end` is there."""
        while (block := (line := self._line()).block) is not None:
            yield block
        if line.end is None:
            raise DataError(f"{self.path} has a line that is no block of documents; extract it again.")
        self.end = line.end


def _in_order(shards: Sequence[_ShardReader], separator: str) -> Iterator[str]:
    """Yield the texts of all blocks in the order of the input, with the separators between them."""
    number, some = 0, False
    readers = [shard.blocks() for shard in shards]
    while (block := next(readers[number % len(shards)], None)) is not None:
        if block.number != number:
            path = shards[number % len(shards)].path
            raise DataError(f"{path} has block {block.number} where block {number} belongs; extract it again.")
        if block.written:
            yield separator + block.text if some else block.text
            some = True
        number += 1
    for shard, reader in zip(shards, readers, strict=True):
        if next(reader, None) is not None:
            raise MismatchError(f"{shard.path} has more documents than other shards; run all with the same input.")
        one, other = shards[0].end, shard.end
        same = (one.documents, one.digest) == (other.documents, other.digest)
        _check_same(shards[0], shard, "has not read the same documents", same)
    if number != -(-shards[0].end.documents // BLOCK_DOCUMENTS):
        path = shards[number % len(shards)].path
        raise DataError(f"{path} lacks block {number}, which its documents fill; extract it again.")


def _check_same(one: _ShardReader, other: _ShardReader, what: str, same: bool) -> None:
    if not same:
        raise MismatchError(
            f"{other.path} {what} as {one.path}; run all shards with the same input, model and options (--fresh begins "
            "one anew)."
        )


def _total(ends: Sequence[ShardEnd]) -> Extracted:
    """Return what all shards did together."""
    nothing: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    for end in ends:
        nothing.update(end.figures.nothing)
        problems.update(end.figures.problems)
    return Extracted(
        documents=ends[0].documents,
        bad=sum(end.figures.bad for end in ends),
        pairs=sum(end.figures.pairs for end in ends),
        relations=sum(end.figures.relations for end in ends),
        resumed_at=0,
        seconds=0.0,
        nothing=dict(nothing),
        problems=dict(problems),
        lost=sum(end.figures.lost for end in ends),
        unread=sum(end.figures.unread for end in ends),
    )
