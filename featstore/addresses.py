"""Addresses such as ``s3://bucket/folder/file``: what is said of them, reading and writing a file.

In: an address, as text or as the path that a command line makes of it (``s3:/bucket/..``, since a path has no empty
part). Out: its bytes; copies that are kept on this machine are :mod:`featstore.copies`'s. Everything goes through
fsspec; credentials and endpoints are settings of its protocols (``AWS_*``, ``FSSPEC_S3_*``). A file at an address
appears whole or not at all: it is put there in one piece.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any

from featstore.errors import FeatstoreError, MissingFileError, ResourceError, UsageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}([^/].*)", re.DOTALL)
_READ_AHEAD = 2**22  # bytes
_SILENCE = {"ConnectionError", "HTTPClientError", "ClientConnectionError", "TimeoutError"}  # errors, by their names


def address_of(path: str | PurePath) -> str | None:
    """Return the address that is meant, or None if it is a path of this machine."""
    found = _ADDRESS.fullmatch(str(path))
    return None if found is None or found[1] == "file" else f"{found[1]}://{found[2]}"


@contextmanager
def asking(address: str) -> Iterator[None]:
    """Turn what a protocol's package says of an address into an error of this project.

    Raises:
        MissingFileError: there is nothing.
        ResourceError: no permission, no credentials, no answer.
    """
    try:
        yield
    except FeatstoreError:
        raise
    except FileNotFoundError as error:
        raise MissingFileError(f"{address} does not exist; check the names of the bucket and of the file.") from error
    except PermissionError as error:
        raise ResourceError(f"{address} cannot be reached: there is no permission ({error}).") from error
    except Exception as error:  # each protocol's package has its own errors, few of them OSError
        if _is_silence(error):
            raise ResourceError(
                f"{address} cannot be reached: the server does not answer ({type(error).__name__}: {error}). "
                "Check that it runs, that this machine can reach it, and its URL (AWS_ENDPOINT_URL for s3://)."
            ) from error
        if type(error).__name__ == "NoCredentialsError":
            raise ResourceError(
                f"{address} cannot be reached without credentials, and none were found; set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or name a profile with AWS_PROFILE."
            ) from error
        raise ResourceError(f"{address} could not be reached or written: {type(error).__name__}: {error}") from error


def _is_silence(error: Exception) -> bool:
    """Tell whether a protocol's package says that no server answers: no such host, a refused connection, a time-out."""
    return any(each.__name__ in _SILENCE for each in type(error).__mro__)


def spelled(path: str | PurePath) -> str:
    """Return a path as a message names it: an address with both of its slashes."""
    return address_of(path) or str(path)


def open_address(address: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of an address, and the path there.

    Raises:
        UsageError: the protocol is unknown, or its package is not installed.
    """
    try:
        from fsspec.core import url_to_fs

        fs, path = url_to_fs(address, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"{address} cannot be opened: {error}. Addresses need the extra `remote` "
            "(pip install 'featstore[remote]') and the protocol's own package."
        ) from error
    return fs, str(path)


def check_address(address: str) -> None:
    """Make sure that a file can be read.

    Raises:
        MissingFileError: there is no such file.
        UsageError: it is a folder.
        ResourceError: it cannot be reached.
    """
    fs, path = open_address(address)
    with asking(address):
        if fs.info(path)["type"] == "directory":
            raise UsageError(f"{address} is a folder; name the files in it.")


def check_target(address: str, *, is_folder: bool = False) -> None:
    """Make sure that the bucket in which a file, or those of a folder, shall be written is there; nothing is written.

    Raises:
        UsageError: there is no name of a file, or no such bucket.
        ResourceError: the server does not answer, or it gives no permission.
    """
    fs, path = open_address(address)
    bucket, _, name = path.strip("/").partition("/")
    if not name and fs.protocol != "memory" and not is_folder:
        raise UsageError(f"{address} names no file; add a name, as in {address.rstrip('/')}/relations.jsonl.")
    with asking(address):
        if (name or is_folder) and fs.protocol in ("s3", ("s3", "s3a")) and not _has_bucket(fs, bucket):
            raise UsageError(f"{address} cannot be written: there is no bucket '{bucket}' that can be seen; make it.")


def _has_bucket(fs: AbstractFileSystem, bucket: str) -> bool:
    """Tell whether a bucket is there; ``fs.exists`` says no, whatever the server answers, and if it does not answer."""
    try:
        fs.call_s3("head_bucket", Bucket=bucket)
    except FileNotFoundError:
        return False
    except Exception as error:
        if _is_silence(error):
            raise
        fs.call_s3("get_bucket_location", Bucket=bucket)  # a bucket of another region, or of somebody else
    return True


class _RemoteReader(io.RawIOBase):
    """A file at an address, of which every error is one of this project."""

    def __init__(self, address: str, ahead: int) -> None:
        self._address = address
        fs, path = open_address(address)
        with asking(address):
            self._file = fs.open(path, "rb", block_size=ahead, cache_type="readahead")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        with asking(self._address):
            return int(self._file.readinto(buffer))

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def open_to_read(address: str, *, ahead: int = _READ_AHEAD) -> io.BufferedReader:
    """Open a file to read it.

    Args:
        address: the file.
        ahead: bytes that are read ahead of what is asked for.

    Raises:
        MissingFileError, ResourceError: now or while it is read.
    """
    return io.BufferedReader(_RemoteReader(address, ahead))


@contextmanager
def open_to_write(address: str) -> Iterator[IO[bytes]]:
    """Open a file to write it; it is put at the address when the block ends without an error.

    Raises:
        ResourceError: it cannot be written; what was there is as it was.
    """
    with tempfile.NamedTemporaryFile(prefix="featstore-") as file:
        yield file
        file.flush()
        upload(Path(file.name), address)


def upload(path: Path, address: str) -> None:
    """Put a file of this machine at an address; errors as :func:`open_to_write`."""
    fs, target = open_address(address)
    try:
        with asking(address):
            fs.put_file(str(path), target)
    except MissingFileError as error:
        raise UsageError(f"{address} cannot be written: there is no such bucket; make it, or name another.") from error


def is_there(path: str | Path) -> bool:
    """Tell whether a file is at a path of this machine or at an address.

    Raises:
        ResourceError: the address cannot be reached.
    """
    address = address_of(path)
    if address is None:
        return Path(path).exists()
    fs, place = open_address(address)
    with asking(address):
        return bool(fs.exists(place))


def remove(address: str) -> None:
    """Remove a file, if it is there.

    Raises:
        ResourceError: it cannot be reached or removed.
    """
    fs, path = open_address(address)
    with suppress(MissingFileError), asking(address):
        fs.rm_file(path)


def files_below(folder: str | Path) -> dict[str, float]:
    """Return the files below a folder of this machine or at an address, each with the time of its last change.

    Names are relative to the folder, with ``/`` between folders; times are in seconds. There are none where there is no
    such folder.

    Raises:
        MissingFileError: there is no such bucket.
        ResourceError: the address cannot be reached.
    """
    address = address_of(folder)
    if address is not None:
        fs, path = open_address(address)
        with asking(address):
            found = fs.find(path, detail=True).items()
            return {PurePath(name).relative_to(path).as_posix(): _time(info) for name, info in found}
    below = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return {each.relative_to(folder).as_posix(): each.lstat().st_mtime for each in below}


def _time(info: Mapping[str, Any]) -> float:
    """Return the time of the last change, in seconds, of what a protocol says of a file; 0 where it does not say."""
    time = info.get("LastModified") or info.get("mtime") or info.get("created") or 0.0
    return time.timestamp() if isinstance(time, datetime) else float(time)


def names_in(address: str) -> list[str]:
    """Return the names of the files in a folder, not below its folders.

    Raises:
        ResourceError: it cannot be reached.
    """
    fs, path = open_address(address)
    with asking(address):
        return [PurePath(str(each["name"])).name for each in fs.ls(path, detail=True) if each["type"] == "file"]


def fetch(address: str, target: Path) -> None:
    """Copy a file to this machine.

    Raises:
        MissingFileError, ResourceError: it is not there, or cannot be reached.
    """
    fs, path = open_address(address)
    with asking(address):
        fs.get_file(path, str(target))
