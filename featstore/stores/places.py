"""Where a store lies: a local directory, or an address that fsspec knows (``s3://bucket/prefix``).

In: names below a directory, with ``/`` between their parts, and bytes. Out: the few file operations that stores need,
each of which happens completely or not at all. Locally a file is written under a temporary name, flushed with its
directory entries, and renamed. On an object store a single object is atomic, so the order of writing is enough: the
index of a shard is written last, and a shard without an index does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from featstore.errors import DamagedStoreError, MissingFileError, ResourceError
from featstore.files import Buffer

STAGING = "tmp"  # where a local place writes before it renames; readers ignore it


class Place(Protocol):
    """A directory.

    All methods raise MissingFileError for what is not there, and ResourceError where the disk is full, or does not
    let itself be written, or is gone.
    """

    @property
    def location(self) -> str:
        """Its path or address, as the user would write it."""
        ...

    def local(self, name: str) -> Path | None:
        """The path of ``name``, or None where there are no local files."""
        ...

    def create(self) -> None:
        """Make the directory itself if it does not exist; no other method makes it."""
        ...

    def exists(self, name: str) -> bool: ...

    def writable(self) -> bool: ...

    def sizes(self, folder: str) -> dict[str, int]:
        """Names in ``folder`` and the size of each file (0 for a folder); empty if there is no such folder."""
        ...

    def total(self, name: str) -> int:
        """Bytes of a file, or of all files below a folder; 0 if there is none."""
        ...

    def ages(self, folder: str) -> dict[str, float]:
        """Names in ``folder`` and the seconds since each was last changed."""
        ...

    def read(self, name: str) -> bytes: ...

    def open(self, name: str) -> BinaryIO:
        """Open a file to read parts of it."""
        ...

    def read_heads(self, sizes: Mapping[str, int]) -> Iterator[bytes]:
        """The first bytes of many files, one after the other: name -> how many."""
        ...

    def read_spans(self, spans: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Parts of files: name, first byte and number of bytes; shorter where a file ends before."""
        ...

    def read_tree(self, name: str) -> dict[str, bytes]:
        """All files below ``name`` by their relative names; ``{"": content}`` if it is one file."""
        ...

    def publish(self, content: Mapping[str, Mapping[str, Buffer]]) -> None:
        """Make each name hold its files (as :meth:`read_tree` gives them), in this order.

        Each is durable before the next, and nobody sweeps what is on its way. A name is never seen with half its files.
        """
        ...

    def remove(self, names: Sequence[str]) -> None:
        """Remove files or trees; those that do not exist are ignored."""
        ...

    def move(self, name: str, target: str) -> None: ...

    def alone(self, *, wait: bool) -> AbstractContextManager[bool]:
        """Held while leftovers are swept or shards removed, so that nobody publishes meanwhile.

        Inside it is False where that is not sure: a writer is at work (and ``wait`` is False), or this place has
        no locks.
        """
        ...


def join(location: str, name: str) -> str:
    """Return the path or address of ``name`` below ``location``."""
    return f"{location.rstrip('/')}/{name}" if "://" in location else str(Path(location) / name)


def split(location: str | Path) -> tuple[str, str]:
    """Return the directory that a path or address is in, and its name there."""
    text = str(location).rstrip("/")
    if "://" in text:
        parent, _, name = text.rpartition("/")
        return parent, name
    return str(Path(text).parent), Path(text).name


def missing(location: str, name: str) -> MissingFileError:
    """The error for a file that is not there."""
    return MissingFileError(f"{join(location, name)} does not exist.")


def gone(location: str) -> ResourceError:
    """The error for a place that was there and is not any more."""
    return ResourceError(f"{location} is gone; is its file system still mounted? Nothing was written in its stead.")


def check_relative(name: str) -> str:
    """Return ``name`` if it is a plain relative name.

    Raises:
        DamagedStoreError: it could lead out of its directory.
    """
    parts = name.split("/")
    if name and (any(part in ("", ".", "..") for part in parts) or "\\" in name or "\0" in name):
        raise DamagedStoreError(f"'{name}' is not a name that a file in a store can have.")
    return name
