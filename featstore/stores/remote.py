"""A store on an object store or any other address that fsspec knows.

In and out: see :mod:`featstore.stores.places`. A single object appears whole or not at all, so a shard's objects
are written first and its index last. There are no locks. Only age distinguishes what dead writers left from what live
ones are writing, and shards must not be removed while others write (FORMAT.md). Credentials and endpoints are settings
of fsspec (``AWS_*``, ``FSSPEC_S3_*``), not of the store.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, TypedDict

from featstore.addresses import asking, open_address, open_to_read
from featstore.errors import MissingFileError
from featstore.files import Buffer
from featstore.stores.places import check_relative, join, missing

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


_AHEAD = 2**14  # bytes: what a library reads of a file's beginning comes with one request


class _Entry(TypedDict):
    """What a file system says of an entry of a folder."""

    name: str
    size: int | None
    type: str


class RemotePlace:
    """A directory of an fsspec file system."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._pid = -1
        self._connect()

    def _connect(self) -> AbstractFileSystem:
        """Return the file system; a forked process gets a connection of its own."""
        if self._pid != os.getpid():
            self._fs, self._root = open_address(self._url)
            self._pid = os.getpid()
        return self._fs

    @contextmanager
    def _asking(self, name: str) -> Iterator[AbstractFileSystem]:
        address = join(self.location, name) if name else self.location
        try:
            with asking(address):
                yield self._connect()
        except MissingFileError as error:
            raise missing(self.location, name) from error

    @property
    def location(self) -> str:
        return self._url

    def local(self, name: str) -> None:  # noqa: ARG002
        return None

    def create(self) -> None:
        """Nothing to do: addresses have no directories."""

    def _path(self, name: str) -> str:
        return f"{self._root}/{check_relative(name)}" if name else str(self._root)

    def exists(self, name: str) -> bool:
        with self._asking(name) as fs:
            return bool(fs.exists(self._path(name)))

    def writable(self) -> bool:
        return True  # only trying tells

    def _entries(self, folder: str) -> dict[str, _Entry]:
        with self._asking(folder) as fs:
            try:
                entries = fs.ls(self._path(folder), detail=True)
            except FileNotFoundError:
                return {}  # a folder that nobody has written to yet
        named = ((entry["name"].rstrip("/").rpartition("/")[2], entry) for entry in entries)
        return dict(sorted(named, key=lambda pair: pair[0]))

    def sizes(self, folder: str) -> dict[str, int]:
        return {name: int(entry["size"] or 0) for name, entry in self._entries(folder).items()}

    def ages(self, folder: str) -> dict[str, float]:
        now, ages = time.time(), {}
        for name, entry in self._entries(folder).items():
            with self._asking(f"{folder}/{name}") as fs:
                files = fs.find(entry["name"]) if entry["type"] == "directory" else [entry["name"]]
                ages[name] = min(now - fs.modified(file).timestamp() for file in files)
        return ages

    def total(self, name: str) -> int:
        with self._asking(name) as fs:
            return int(fs.du(self._path(name)))

    def read(self, name: str) -> bytes:
        with self._asking(name) as fs:
            return bytes(fs.cat_file(self._path(name)))

    def open(self, name: str) -> BinaryIO:
        with self._asking(name):
            return open_to_read(f"{self._url}/{check_relative(name)}", ahead=_AHEAD)

    def read_heads(self, sizes: Mapping[str, int]) -> Iterator[bytes]:
        return iter(self.read_spans([(name, 0, size) for name, size in sizes.items()]))

    def read_spans(self, spans: Sequence[tuple[str, int, int]]) -> list[bytes]:
        if not spans:
            return []
        with self._asking(spans[0][0]) as fs:
            paths = [self._path(name) for name, _, _ in spans]
            firsts, ends = [first for _, first, _ in spans], [first + size for _, first, size in spans]
            return [bytes(part) for part in fs.cat_ranges(paths, firsts, ends, on_error="raise")]

    def read_tree(self, name: str) -> dict[str, bytes]:
        path = self._path(name)
        with self._asking(name) as fs:
            found = fs.find(path)
            if not found:
                raise missing(self.location, name)
            files = fs.cat(found, on_error="raise")
        if isinstance(files, bytes):
            files = {found[0]: files}
        return {file.removeprefix(path).lstrip("/"): bytes(data) for file, data in files.items()}

    def publish(self, content: Mapping[str, Mapping[str, Buffer]]) -> None:
        for name, files in content.items():
            path = self._path(name)
            with self._asking(name) as fs:
                fs.pipe({f"{path}/{check_relative(file)}".rstrip("/"): bytes(data) for file, data in files.items()})

    def remove(self, names: Sequence[str]) -> None:
        for name in names:
            with self._asking(name) as fs:
                if fs.exists(self._path(name)):
                    fs.rm(self._path(name), recursive=True)

    def move(self, name: str, target: str) -> None:
        self.publish({target: self.read_tree(name)})
        self.remove([name])

    @contextmanager
    def alone(self, *, wait: bool) -> Iterator[bool]:  # noqa: ARG002
        yield False
