"""A segment of the key index: the sorted keys of many shards, searched where they lie.

In: the bytes of a segment's files, or sorted keys. Out: where a key is stored, or the bytes of new files. A segment
is never loaded whole. Keys are hashes, so they are spread evenly over parts by their first bits, and within a part
over blocks of one page. The first key of each block is kept in memory (0.05 bytes a key); a look-up then reads one
page, from a local file by offset and from an object store by range. Positional reads are used instead of a memory map
for the reasons that :mod:`featstore.stores.rows` gives. FORMAT.md, section 12, states the bytes.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DamagedStoreError
from featstore.stores.index import SortedKeys
from featstore.stores.places import Place, join

INDEX = "index"
CONTENTS_SUFFIX = ".shards"
PART_SUFFIX = ".keys"
PART_KEYS = 2**20  # that a part holds at most, on average
_MAGIC = b"FSKEYS01"
_BLOCK_KEYS, _WORDS = 170, 512  # keys of a block, and its 64-bit words: one page
_BLOCK_BYTES = 8 * _WORDS
_NONE = 2**64 - 1  # where a block has no key
_GAP, _GAP_AT_ADDRESS = 8, 64  # blocks that are read along, since a request more takes longer
_AT_ONCE = 4096  # keys that are looked up together: 16 MB of blocks
_KEPT = 4096  # blocks that were read last from an address and stay in memory: 16 MB


@dataclass(frozen=True, slots=True)
class Contents:
    """What a segment is made of.

    Attributes:
        counts: keys in each part; their number is a power of two.
        parts: digest of each part's file, which is its name.
        shards: names of the shards whose keys it holds, ascending.
    """

    counts: tuple[int, ...]
    parts: tuple[str, ...]
    shards: tuple[str, ...]

    @property
    def keys(self) -> int:
        """Keys of all parts."""
        return sum(self.counts)

    def files(self) -> dict[str, int]:
        """Return the names of the parts' files and their sizes."""
        return {part + PART_SUFFIX: part_size(n) for part, n in zip(self.parts, self.counts, strict=True) if n}


def _blocks_of(count: int) -> int:
    return -(-count // _BLOCK_KEYS)


def part_size(count: int) -> int:
    """Return the bytes of a part with ``count`` keys: its blocks, and the first key of each."""
    return _blocks_of(count) * (_BLOCK_BYTES + 8)


def digest(content: bytes) -> str:
    """Return the name of a file of the index: 128-bit BLAKE2b of its content, as hex."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def pack_contents(contents: Contents) -> bytes:
    """Return the bytes of the file that makes a segment."""
    return b"".join(
        (
            _MAGIC,
            np.array([len(contents.shards), len(contents.parts), *contents.counts], dtype="<u8").tobytes(),
            bytes.fromhex("".join(contents.parts)),
            bytes.fromhex("".join(contents.shards)),
        )
    )


def unpack_contents(raw: bytes) -> Contents:
    """Return what :func:`pack_contents` was given.

    Raises:
        ValueError: these are not such bytes.
    """
    head = len(_MAGIC) + 16
    if len(raw) < head or raw[: len(_MAGIC)] != _MAGIC:
        raise ValueError("it is not the list of a segment")
    shards, parts = np.frombuffer(raw, dtype="<u8", count=2, offset=len(_MAGIC)).tolist()
    if parts < 1 or parts & (parts - 1) or len(raw) != head + 24 * parts + 16 * shards:
        raise ValueError("it has not the size that its head says")
    counts = np.frombuffer(raw, dtype="<u8", count=parts, offset=head).tolist()
    names = [raw[at : at + 16].hex() for at in range(head + 8 * parts, len(raw), 16)]
    return Contents(tuple(counts), tuple(names[:parts]), tuple(names[parts:]))


def parts_for(count: int) -> int:
    """Return how many parts ``count`` keys are divided into."""
    return max(1, 1 << (-(-count // PART_KEYS) - 1).bit_length())


def part_edges(parts: int) -> list[tuple[int, int]]:
    """Return the first and the last high half of a key that each part may hold."""
    width = 2**64 // parts
    return [(p * width, (p + 1) * width - 1) for p in range(parts)]


def pack_part(keys: SortedKeys) -> bytes:
    """Return the bytes of a part; the positions are shard and sentence, in the high and the low 32 bits."""
    count, blocks = len(keys.high), _blocks_of(len(keys.high))
    table = np.zeros((blocks, _WORDS), dtype="<u8")
    for column, words in enumerate((keys.high, keys.low, keys.position.view(np.uint64))):
        padded = np.full(blocks * _BLOCK_KEYS, _NONE, dtype="<u8")
        padded[:count] = words
        table[:, column * _BLOCK_KEYS : (column + 1) * _BLOCK_KEYS] = padded.reshape(blocks, _BLOCK_KEYS)
    return table.tobytes() + table[:, 0].tobytes()


class Segment:
    """The keys of many shards, on a disk or at an address.

    Args:
        place: the feature set.
        name: of the segment.
        contents: what it is made of.
    """

    def __init__(self, place: Place, name: str, contents: Contents) -> None:
        self.name = name
        self.contents = contents
        self._place = place
        parts = len(contents.parts)
        self._shift = 65 - parts.bit_length()  # that leaves the number of a key's part
        self._blocks = np.array([_blocks_of(n) for n in contents.counts], dtype=np.int64)
        self._firsts: dict[int, NDArray[np.uint64]] = {}  # of each part in use, the first key of each block
        local = place.local("") is not None
        self._gap = _GAP if local else _GAP_AT_ADDRESS
        # The system keeps pages of local files.
        self._recent: OrderedDict[tuple[int, int], bytes] | None = None if local else OrderedDict()

    def find(self, high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return shard (high 32 bits) and sentence of each key, -1 where it is not there; Shape: all (m,).

        Raises:
            MissingFileError: the segment is gone, since another took its place.
            DamagedStoreError: it is not what was written.
        """
        found = np.full(len(high), -1, dtype=np.int64)
        order = np.argsort(high)
        for first in range(0, len(order), _AT_ONCE):
            take = order[first : first + _AT_ONCE]
            found[take] = self._find(high[take], low[take])
        return found

    def _find(self, high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.int64]:
        part = self._part_of(high)
        self._load_firsts(np.unique(part[self._blocks[part] > 0]).tolist())
        block = np.full(len(high), -1, dtype=np.int64)
        for number in np.unique(part).tolist():
            if number in self._firsts:
                here = part == number
                block[here] = np.searchsorted(self._firsts[number], high[here], side="right") - 1
        found = np.full(len(high), -1, dtype=np.int64)
        todo = np.flatnonzero(block >= 0)
        while len(todo):
            wanted, which = np.unique(np.stack((part[todo], block[todo])), axis=1, return_inverse=True)
            rows = self._read(wanted)[which.reshape(-1)]
            same = (rows[:, :_BLOCK_KEYS] == high[todo, None]) & (
                rows[:, _BLOCK_KEYS : 2 * _BLOCK_KEYS] == low[todo, None]
            )
            at = same.argmax(axis=1)
            hit = same[np.arange(len(todo)), at]
            words = rows[np.arange(len(todo)), 2 * _BLOCK_KEYS + at]
            found[todo[hit]] = words[hit].view(np.int64)
            # A key whose high half begins its block may be in the block before.
            again = ~hit & (rows[:, 0] == high[todo]) & (block[todo] > 0)
            todo = todo[again]
            block[todo] -= 1
        return found

    def _part_of(self, high: NDArray[np.uint64]) -> NDArray[np.int64]:
        if self._shift == 64:
            return np.zeros(len(high), dtype=np.int64)
        return (high >> np.uint64(self._shift)).astype(np.int64)

    def _name(self, part: int) -> str:
        return f"{INDEX}/{self.contents.parts[part]}{PART_SUFFIX}"

    def damaged(self) -> DamagedStoreError:
        """Return the error for a segment that is not what was written."""
        return DamagedStoreError(f"{join(self._place.location, INDEX)}/{self.name} is not what was written.")

    def _load_firsts(self, parts: Sequence[int]) -> None:
        lacking = [part for part in parts if part not in self._firsts]
        spans = [
            (self._name(part), int(self._blocks[part]) * _BLOCK_BYTES, 8 * int(self._blocks[part])) for part in lacking
        ]
        for part, (_, _, size), raw in zip(lacking, spans, self._place.read_spans(spans) if spans else [], strict=True):
            firsts = np.frombuffer(raw, dtype="<u8")
            if len(raw) != size or (firsts[1:] < firsts[:-1]).any():
                raise self.damaged()
            self._firsts[part] = firsts.astype(np.uint64)

    def _read(self, wanted: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return blocks, given as ascending pairs of part and block; Shape: wanted (2, m), result (m, 512)."""
        out = np.empty((wanted.shape[1], _WORDS), dtype="<u8")
        lacking = list(range(wanted.shape[1]))
        if self._recent is not None:
            kept = [self._recent.get((p, b)) for p, b in wanted.T.tolist()]
            for at, raw in enumerate(kept):
                if raw is not None:
                    out[at] = np.frombuffer(raw, dtype="<u8")
            lacking = [at for at, raw in enumerate(kept) if raw is None]
        self._fetch(wanted, np.array(lacking, dtype=np.int64), out)
        if self._recent is not None:
            for at, (part, block) in enumerate(wanted.T.tolist()):
                self._recent[part, block] = out[at].tobytes()
                self._recent.move_to_end((part, block))
            while len(self._recent) > _KEPT:
                self._recent.popitem(last=False)
        return out.astype(np.uint64, copy=False)

    def _fetch(self, wanted: NDArray[np.int64], lacking: NDArray[np.int64], out: NDArray[np.uint64]) -> None:
        """Read those of the wanted blocks that are lacking; neighbours in one go."""
        if not len(lacking):
            return
        part, block = wanted[:, lacking]
        apart = (part[1:] != part[:-1]) | (block[1:] > block[:-1] + self._gap)
        heads = np.flatnonzero(np.concatenate(([True], apart)))
        ends = np.concatenate((heads[1:], [len(lacking)]))
        sizes = block[ends - 1] + 1 - block[heads]
        spans = [
            (self._name(int(part[a])), int(block[a]) * _BLOCK_BYTES, int(n) * _BLOCK_BYTES)
            for a, n in zip(heads, sizes, strict=True)
        ]
        for a, b, (_, _, size), raw in zip(heads, ends, spans, self._place.read_spans(spans), strict=True):
            if len(raw) != size:
                raise self.damaged()
            blocks = np.frombuffer(raw, dtype="<u8").reshape(-1, _WORDS)
            out[lacking[a:b]] = blocks[block[a:b] - block[a]]

    def between(self, first: int, last: int) -> SortedKeys:
        """Return the keys whose high half is from ``first`` to ``last``, with their shards and sentences.

        Raises:
            MissingFileError, DamagedStoreError: as :meth:`find`.
        """
        ends = self._part_of(np.array([first, last], dtype=np.uint64)).tolist()
        parts = [p for p in range(ends[0], ends[1] + 1) if self._blocks[p]]
        self._load_firsts(parts)
        spans = []
        for part in parts:
            a = max(int(np.searchsorted(self._firsts[part], np.uint64(first), side="left")) - 1, 0)
            b = int(np.searchsorted(self._firsts[part], np.uint64(last), side="right"))
            spans.append((self._name(part), a * _BLOCK_BYTES, (b - a) * _BLOCK_BYTES))
        blocks = b"".join(self._place.read_spans(spans))
        if len(blocks) != sum(size for _, _, size in spans):
            raise self.damaged()
        table = np.frombuffer(blocks, dtype="<u8").reshape(-1, _WORDS).astype(np.uint64, copy=False)
        high, low, where = (table[:, i * _BLOCK_KEYS : (i + 1) * _BLOCK_KEYS].reshape(-1) for i in range(3))
        real = where != np.uint64(_NONE)
        return SortedKeys(high[real], low[real], where[real].view(np.int64)).between(first, last)

    def check(self, keys: NDArray[np.uint8] | None = None) -> None:
        """Make sure that the parts that would hold some keys, or all parts, are what was written.

        Raises:
            MissingFileError, DamagedStoreError: one is not.
        """
        if keys is None:
            asked = list(range(len(self.contents.parts)))
        else:
            asked = np.unique(self._part_of(np.ascontiguousarray(keys).view("<u8")[:, 0])).tolist()
        for part in asked:
            if self._blocks[part] and digest(self._place.read(self._name(part))) != self.contents.parts[part]:
                raise self.damaged()
