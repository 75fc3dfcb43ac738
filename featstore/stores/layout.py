"""The shard: its arrays, its checksums, its name, and the bytes of its index file.

In: keys, offsets and values of some sentences. Out: what every backend stores of them, the same whichever
backend it is. The name of a shard is a digest of its content. Two writers that store the same vectors therefore write
the same shard, a shard of another encoder does not fit its folder, and a damaged index is noticed. Each sentence has a
checksum, so that damage can be located by sentence, and the index ends with a checksum of the data files, for the bytes
that belong to no sentence. FORMAT.md is the specification.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DamagedStoreError, UsageError
from featstore.files import Buffer
from featstore.fingerprint import canonical_json
from featstore.records import KEY_BYTES
from featstore.stores.contract import FeatureMeta

FORMAT_VERSION = 1
SET_FILE = "set.json"
INDEX_SUFFIX = ".index"
_CHUNK_BYTES = 16 * 1024**2
# A path in a feature set: the store, the set's folder, and the rest.
_IN_SET = re.compile(r"(?P<store>.*?)/?(?P<set>[^/]+-[0-9a-f]{16}-float(?:16|32)-[a-z0-9]+)(?:/.*)?", re.DOTALL)
_MAGIC = b"FSINDEX1"
_HEADER = len(_MAGIC) + 8
_PER_SENTENCE = KEY_BYTES + 8 + 8  # key, offset, checksum


def repair_advice(where: str) -> str:
    """Return the end of every message about damage: the commands that list and mend it.

    Args:
        where: the path of the feature set or of something in it.
    """
    found = _IN_SET.fullmatch(where)
    if found is None:
        return "`cli store verify` lists the damage of a store."
    store = found["store"] or "."
    verify = shlex.join(["cli", "store", "verify", "--store", store])
    repair = shlex.join(["cli", "store", "repair", found["set"], "--store", store])
    return f"`{verify}` lists the damage and `{repair}`, with the options of the corpus, mends it."


@dataclass(frozen=True, slots=True, eq=False)
class ShardIndex:
    """The index of a shard: its sentences.

    Attributes:
        keys: (n, 16) uint8, the sentence keys.
        offsets: (n + 1,) int64, sentence ``i`` is rows ``offsets[i]:offsets[i + 1]``.
        checksums: (n,) uint64, :func:`checksum` of each sentence's rows.
    """

    keys: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    checksums: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def rows(self) -> int:
        """Rows of all sentences together."""
        return int(self.offsets[-1])


def key_array(keys: Sequence[bytes]) -> NDArray[np.uint8]:
    """Return ``keys`` as one array of shape (n, 16).

    Raises:
        UsageError: a key is not 16 bytes long.
    """
    wrong = next((key for key in keys if len(key) != KEY_BYTES), None)
    if wrong is not None:
        raise UsageError(f"a sentence key has {KEY_BYTES} bytes, one of {len(wrong)} bytes was given: {wrong.hex()}.")
    return np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, KEY_BYTES)


def disk_dtype(meta: FeatureMeta) -> np.dtype[np.floating]:
    """The type of a stored row's elements: little endian on every machine."""
    return np.dtype(meta.dtype).newbyteorder("<")


def checksum(rows: NDArray[np.floating]) -> int:
    """Return the 64-bit BLAKE2b of a sentence's stored bytes as a little-endian integer."""
    return int.from_bytes(hashlib.blake2b(rows.data, digest_size=8).digest(), "little")


def checksums(values: NDArray[np.floating], offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return :func:`checksum` of each sentence; Shape: values (sum T, D) contiguous, result (n,)."""
    edges = offsets.tolist()
    sums = [checksum(values[a:b]) for a, b in pairwise(edges)]
    return np.array(sums, dtype=np.uint64)


def shard_name(meta: FeatureMeta, index: ShardIndex) -> str:
    """Return the name of a shard: 128-bit BLAKE2b of whose vectors it holds and of its index, as hex."""
    whose = {
        "format": FORMAT_VERSION,
        "identity": meta.identity,
        "dim": meta.dim,
        "dtype": meta.dtype,
        "sentences": len(index),
    }
    digest = hashlib.blake2b(canonical_json(whose).encode("ascii"), digest_size=16)
    for part in (index.keys, index.offsets.astype("<i8"), index.checksums.astype("<u8")):
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def files_checksum(files: Mapping[str, Buffer]) -> int:
    """Return the CRC-32 of a shard's files: of each, sorted by name, its name, a zero byte, its length, its bytes."""
    crc = 0
    for name in sorted(files):
        head = name.encode("utf-8") + b"\0" + len(files[name]).to_bytes(8, "little")
        crc = zlib.crc32(files[name], zlib.crc32(head, crc))
    return crc


def pack_index(index: ShardIndex, files: int) -> bytes:
    """Return the bytes of a shard's index file, little endian: magic, count, keys, offsets, checksums, ``files``."""
    return b"".join(
        (
            _MAGIC,
            len(index).to_bytes(8, "little"),
            index.keys.tobytes(),
            index.offsets.astype("<i8").tobytes(),
            index.checksums.astype("<u8").tobytes(),
            files.to_bytes(8, "little"),
        )
    )


def sentences_of_size(size: int) -> int:
    """Return how many sentences an index file of ``size`` bytes lists, or -1 if no index has that size."""
    count, rest = divmod(size - _HEADER - 16, _PER_SENTENCE)
    return count if rest == 0 and count > 0 else -1


def head_size(count: int) -> int:
    """Bytes of an index file up to the end of its keys."""
    return _HEADER + count * KEY_BYTES


def unpack_keys(raw: bytes, size: int, where: str) -> NDArray[np.uint8]:
    """Return the keys of an index file of ``size`` bytes from its head; Shape: (n, 16).

    Raises:
        DamagedStoreError: the size or the head is not that of an index.
    """
    count = sentences_of_size(size)
    if count < 0 or len(raw) < head_size(count) or raw[:_HEADER] != _MAGIC + count.to_bytes(8, "little"):
        raise DamagedStoreError(
            f"{where} ({size} bytes) is not the index of a shard of format {FORMAT_VERSION}. {repair_advice(where)}"
        )
    return np.frombuffer(raw, dtype=np.uint8, count=count * KEY_BYTES, offset=_HEADER).reshape(-1, KEY_BYTES)


def unpack_index(raw: bytes, where: str) -> tuple[ShardIndex, int]:
    """Return a shard's index and its files' checksum. Whether it fits its name is checked by :func:`check_name`.

    Raises:
        DamagedStoreError: the bytes are not those of an index.
    """
    keys = unpack_keys(raw, len(raw), where)
    count, end = len(keys), head_size(len(keys))
    offsets = np.frombuffer(raw, dtype="<i8", count=count + 1, offset=end).astype(np.int64)
    sums = np.frombuffer(raw, dtype="<u8", count=count, offset=end + 8 * (count + 1)).astype(np.uint64)
    return ShardIndex(keys, offsets, sums), int.from_bytes(raw[-8:], "little")


def check_name(meta: FeatureMeta, index: ShardIndex, name: str, where: str) -> None:
    """Make sure that an index is the one that was written under ``name`` for this feature set.

    Raises:
        DamagedStoreError: it is not.
    """
    sound = index.offsets[0] == 0 and bool((np.diff(index.offsets) >= 0).all())
    if not sound or shard_name(meta, index) != name:
        raise DamagedStoreError(
            f"{where}: the index does not fit its name; its bytes changed, or it belongs to another feature set "
            f"than {meta.name} {meta.identity[:16]} {meta.dtype}. {repair_advice(where)}"
        )


def chunk_rows(values: NDArray[np.floating]) -> int:
    """Return the rows of a chunk: equal chunks of at most 16 MiB."""
    chunks = max(1, -(-values.nbytes // _CHUNK_BYTES))
    return max(1, -(-len(values) // chunks))
