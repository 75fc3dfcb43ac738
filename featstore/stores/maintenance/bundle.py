"""A feature set in one file, to give away: keys and vectors, without the text.

In: a feature set, or a bundle from anywhere. Out: a tar file, or the vectors in a store. A bundle is not unpacked. No
name in it is used as a path, and no library parses its members. Each member is read as plain numbers, compared with the
manifest and the checksums, and appended like any other vectors, to any backend. FORMAT.md, section 11.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DamagedStoreError, DataError, FeatstoreError
from featstore.files import Buffer, check_input, clear_errors, open_output
from featstore.progress import Progress
from featstore.ragged import Ragged
from featstore.stores.access import create_store
from featstore.stores.contract import FeatureMeta
from featstore.stores.layout import (
    ShardIndex,
    check_name,
    checksums,
    disk_dtype,
    files_checksum,
    pack_index,
    sentences_of_size,
    unpack_index,
)
from featstore.stores.places import join
from featstore.stores.rows import byte_view
from featstore.stores.sets import describe, directory_name, open_files, parse_meta

BUNDLE_VERSION = 1
_MANIFEST = "manifest.json"
_LARGEST_MANIFEST = 16 * 1024**2


@dataclass(frozen=True, slots=True)
class Bundled:
    """The content of a bundle.

    Attributes:
        bundle: the file.
        path: the feature set that it was made from, or that it was imported into.
        meta: what it holds.
        shards: shards in it.
        sentences: sentences in them.
        tokens: rows of them.
    """

    bundle: str
    path: str
    meta: FeatureMeta
    shards: int
    sentences: int
    tokens: int


def export_bundle(path: str | Path, bundle: str | Path, *, progress: Progress | None = None) -> Bundled:
    """Write a feature set to a bundle; a plain file is there whole or not at all.

    Raises:
        DamagedStoreError: the set is not what was written.
        UsageError, ResourceError: the bundle cannot be written.
    """
    files = open_files(path)
    names = list(files.sizes())
    indexes = {name: files.load_index(name) for name in names}
    manifest = {
        "bundle": BUNDLE_VERSION,
        "set": describe(files.meta),
        "shards": [{"name": name, "sentences": len(i), "rows": i.rows} for name, i in indexes.items()],
    }
    # "|" is a stream that is never sought in, so that a bundle can go into a pipe
    with open_output(Path(bundle)) as file, tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, _MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode("ascii"))
        for done, (name, index) in enumerate(indexes.items()):
            values = byte_view(np.ascontiguousarray(files.load_checked(name, index)))
            _add(tar, f"{name}.index", pack_index(index, files_checksum({"": values})))
            _add(tar, f"{name}.values", values)
            if progress:
                progress(done + 1, len(names))
    tokens = sum(i.rows for i in indexes.values())
    return Bundled(str(bundle), str(path), files.meta, len(names), sum(map(len, indexes.values())), tokens)


def _add(tar: tarfile.TarFile, name: str, data: Buffer) -> None:
    member = tarfile.TarInfo(name)  # no owner, no time: equal sets give equal bundles
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def import_bundle(
    bundle: str | Path,
    root: str | Path,
    *,
    backend: str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Bundled:
    """Store the vectors of a bundle that are not stored yet.

    Args:
        bundle: the file.
        root: the store.
        backend: how to store them; None takes the backend of the set that was exported.
        dry_run: check the whole bundle and write nothing.
        progress: called after each shard.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is not a bundle, or it has changed since it was exported. The shards before the fault are stored.
        MismatchError: a newer version of featstore wrote it.
    """
    path = Path(bundle)
    check_input(path)
    with _reading(path), open(path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        size = os.fstat(file.fileno()).st_size
        found = json.loads(_member(tar, _MANIFEST, None, size))
        meta, shards = _manifest(found, str(path))
        if backend:
            meta = replace(meta, backend=backend)
        store = None if dry_run else create_store(root, meta)
        sentences = tokens = 0
        for done, shard in enumerate(shards):
            index, values = _shard(tar, meta, shard, size)
            sentences, tokens = sentences + len(index), tokens + index.rows
            if store is not None:
                store.append([key.tobytes() for key in index.keys], Ragged(values, index.offsets))
            if progress:
                progress(done + 1, len(shards))
        if tar.next() is not None:
            raise ValueError("it has members that its manifest does not announce")
    return Bundled(str(path), join(str(root), directory_name(meta)), meta, len(shards), sentences, tokens)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        with clear_errors(path, "read"):
            yield
    except FeatstoreError as error:
        error.add_note(f"while reading the bundle {path}")
        raise
    except (tarfile.TarError, ValueError, LookupError, TypeError, RecursionError, EOFError) as error:
        raise DataError(
            f"{path} is not a bundle as featstore exports it: {error}. Nothing of it is trusted."
        ) from error


@dataclass(frozen=True, slots=True)
class _Announced:
    """A shard as the manifest announces it."""

    name: str
    sentences: int
    rows: int


def _manifest(found: object, where: str) -> tuple[FeatureMeta, list[_Announced]]:
    """Return the set's facts and the announced shards from the manifest's content."""
    shards = found.get("shards") if isinstance(found, dict) and found.get("bundle") == BUNDLE_VERSION else None
    if not isinstance(found, dict) or not isinstance(shards, list):
        raise ValueError(f"its manifest is not one of bundle version {BUNDLE_VERSION}")
    return parse_meta(found.get("set"), where), [_announced(shard) for shard in shards]


def _announced(shard: object) -> _Announced:
    """Return a shard of the manifest."""
    name = shard.get("name") if isinstance(shard, dict) else None
    if not isinstance(shard, dict) or not isinstance(name, str):
        raise ValueError("its manifest does not list shards")
    sentences, rows = shard.get("sentences"), shard.get("rows")
    if type(sentences) is not int or type(rows) is not int or min(sentences, rows) < 0:
        raise ValueError(f"its manifest gives no counts for shard {name[:40]!r}")
    return _Announced(name, sentences, rows)


def _member(tar: tarfile.TarFile, name: str, expected: int | None, limit: int) -> bytes:
    """Return the next member's bytes; it must be a regular file of that name and size."""
    member = tar.next()
    if member is None or member.name != name or member.type != tarfile.REGTYPE or member.sparse is not None:
        raise ValueError(f"a regular file {name} was expected, there is {member.name[:80] if member else 'nothing'!r}")
    allowed = _LARGEST_MANIFEST if expected is None else min(expected, limit)
    if member.size > allowed or (expected is not None and member.size != expected):
        raise ValueError(f"{name} says that it has {member.size} bytes, {expected or allowed} are announced or allowed")
    file = tar.extractfile(member)
    data = file.read() if file is not None else b""
    if len(data) != member.size:
        raise ValueError(f"it ends within {name}")
    return data


def _shard(
    tar: tarfile.TarFile, meta: FeatureMeta, shard: _Announced, limit: int
) -> tuple[ShardIndex, NDArray[np.floating]]:
    """Return the next shard, every byte of it checked."""
    name, dtype = shard.name, disk_dtype(meta)
    index_size = 32 * shard.sentences + 32
    if sentences_of_size(index_size) != shard.sentences:
        raise ValueError(f"shard {name[:40]!r} has no sentences")
    try:
        index, crc = unpack_index(_member(tar, f"{name}.index", index_size, limit), name)
        check_name(meta, index, name, name)
    except DamagedStoreError as error:
        raise ValueError(f"the index of shard {name[:40]!r} is not the one that was exported") from error
    if index.rows != shard.rows:
        raise ValueError(f"shard {name} has {index.rows} rows, its manifest says {shard.rows}")
    raw = _member(tar, f"{name}.values", index.rows * meta.dim * dtype.itemsize, limit)
    values = np.frombuffer(raw, dtype=dtype).reshape(index.rows, meta.dim)
    bad = np.flatnonzero(checksums(values, index.offsets) != index.checksums)
    if len(bad):
        raise ValueError(
            f"the vectors of sentence {index.keys[bad[0]].tobytes().hex()} are not those that were exported"
        )
    if files_checksum({"": raw}) != crc:
        raise ValueError(f"the checksum of {name}.values does not fit")
    return index, values
