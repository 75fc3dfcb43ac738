"""Write the outputs of all commands: whole or not at all, and never in the place of something that is not a plain file.

In: a path and bytes. Out: the file. A plain file is written under another name, flushed to the disk and renamed, so
that at any instant the old content or the whole new one is there. A symbolic link is followed, and what it points at
is written. A pipe, a device or standard output (the path ``-``) is written as a stream. What has an address
(``s3://..``) is written here and put there in one piece.

What a killed writer leaves is a hidden file ``.NAME.*.partial``, which the next writer of that name removes: a live
writer holds a lock on its own.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO

from featstore.addresses import address_of, check_address, check_target, open_to_read, open_to_write, spelled
from featstore.durable import flush, flush_folder, lock
from featstore.errors import DataError, FeatstoreError, MissingFileError, ResourceError, UsageError
from featstore.streams import STDOUT, behind_links, descriptor_of, is_stream

Buffer = bytes | bytearray | memoryview

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MISNAMED = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}
_GONE = {errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO}
_PARTIAL = ".partial"


def check_input(path: Path) -> None:
    """Make sure that something is at ``path`` and can be read.

    Raises:
        MissingFileError: there is nothing.
        ResourceError: there is no permission to read it.
    """
    if address := address_of(path):
        check_address(address)
        return
    with clear_errors(path, "read"):
        if not path.exists():
            raise MissingFileError(f"{path} does not exist; check the name.")
        if not os.access(path, os.R_OK):
            raise ResourceError(f"{path} cannot be read: there is no permission.")


def check_readable_folder(path: Path) -> None:
    """Make sure that ``path`` is a folder that can be read, an address, or nothing at all.

    Raises:
        UsageError: ``path``, or a part of it, is a file.
        ResourceError: there is no permission to read it.
    """
    if address_of(path):
        return  # where it is read, it is said what is wrong with it
    with clear_errors(path, "read"):
        nearest = _nearest(path)
        if not os.access(nearest, os.R_OK | os.X_OK):
            raise ResourceError(f"{path} cannot be read: there is no permission in {nearest}.")


def check_output_file(path: Path) -> None:
    """Make sure that a file can be written at ``path``; nothing is written.

    Raises:
        UsageError: its folder is missing or is a file, or ``path`` is a folder.
        ResourceError: there is no permission to write it.
    """
    if address := address_of(path):
        check_target(address)
    if address or path == STDOUT:
        return
    with clear_errors(path):
        if path.is_dir():
            raise UsageError(f"{path} is a folder, and the output is a file; name a file in it.")
        needed = [path]
        if not is_stream(path):
            target = behind_links(path)
            if not target.parent.is_dir():
                what = "is a file, not a folder" if target.parent.exists() else "does not exist"
                raise UsageError(
                    f"{path} cannot be written: {target.parent} {what}; make that folder, or name another."
                )
            needed = [target.parent, *([target] if target.exists() else [])]
        if not all(os.access(each, os.W_OK) for each in needed):
            raise ResourceError(f"{path} cannot be written: there is no permission; name another place.")


def check_output_folder(path: Path, *, or_address: bool = False) -> None:
    """Make sure that ``path`` is, or can be made, a folder to write in; nothing is written.

    Args:
        path: the folder.
        or_address: whether it may be at an address, where folders need not be made.

    Raises:
        UsageError: ``path``, or a part of it, is a file; there is no such bucket; an address that may not be one.
        ResourceError: there is no permission to write there, or the address cannot be reached.
    """
    if address := address_of(path):
        if not or_address:
            raise UsageError(f"{address} is an address, and this is written to a folder; name one on this machine.")
        check_target(address, is_folder=True)
        return
    with clear_errors(path):
        nearest = _nearest(path)
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise ResourceError(f"{path} cannot be written: there is no permission in {nearest}; name another place.")


def _nearest(path: Path) -> Path:
    """Return the innermost part of a path that is there; it is a folder.

    Raises:
        UsageError: it is not a folder.
        OSError: no name of the path's can be one.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        path.stat()  # a name that is too long, or a circle of links
    nearest = next(folder for folder in (path, *path.absolute().parents) if os.path.lexists(folder))
    if not nearest.is_dir():
        raise UsageError(f"{path} must be a folder, and {nearest} is not one; name another place.")
    return nearest


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing; errors as :func:`check_output_folder`."""
    check_output_folder(path)
    with clear_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def read_text(path: Path, otherwise: str, *, most: int | None = None) -> str:
    """Return the content of a file, or of a file at an address, in UTF-8.

    Args:
        path: the file.
        otherwise: the end of the sentence that says that it does not exist.
        most: bytes that it may have.

    Raises:
        MissingFileError: there is no such file.
        DataError: it has too many bytes, or is not UTF-8.
        UsageError, ResourceError: it cannot be read.
    """
    address, name = address_of(path), spelled(path)
    with clear_errors(path, "read"):
        try:
            with open_to_read(address) if address else path.open("rb") as file:
                content = file.read() if most is None else file.read(most + 1)
            if most is not None and len(content) > most:
                raise DataError(f"{name} has more than {most:,} bytes, and no more are read.")
            return content.decode("utf-8")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingFileError(f"{name} does not exist{otherwise}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{name} is not UTF-8: {error}.") from error


def write_file(path: Path, content: Buffer) -> None:
    """Write a file: whole or not at all where it is a plain one, through a link, into a pipe or a device as a stream.

    Raises:
        UsageError, ResourceError: it cannot be written; the file that was there is as it was.
    """
    with open_output(path) as file:
        file.write(content)


@contextmanager
def open_output(path: Path) -> Iterator[IO[bytes]]:
    """Open an output to write it piece by piece; a plain file gets its name when the block ends without an error.

    Raises:
        UsageError, ResourceError: it cannot be written; the file that was there is as it was.
    """
    with clear_errors(path), _opened(path) as file:
        yield file


def _opened(path: Path) -> AbstractContextManager[IO[bytes]]:
    if address := address_of(path):
        return open_to_write(address)
    return _open_stream(path) if is_stream(path) else _open_whole(behind_links(path))


@contextmanager
def _open_stream(path: Path) -> Iterator[IO[bytes]]:
    """Open what is not a plain file; of an open descriptor the position, such as the end of a log, is kept."""
    sys.stdout.flush()
    if path == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    descriptor = descriptor_of(path)
    with open(path if descriptor is None else os.dup(descriptor), "wb") as file:
        yield file


@contextmanager
def _open_whole(target: Path) -> Iterator[IO[bytes]]:
    """Open another name, which becomes ``target`` at the end."""
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    prefix = f".{target.name.encode('utf-8', 'surrogateescape')[:200].decode('utf-8', 'ignore')}."
    _remove_dead(target.parent, prefix)
    partial, file = _begin(target.parent, prefix)
    try:
        with file:
            yield file
            flush(file)
            put_in_place(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _begin(folder: Path, prefix: str) -> tuple[Path, IO[bytes]]:
    """Open and lock a new file whose name begins so."""
    while True:
        partial = folder / f"{prefix}{secrets.token_hex(4)}{_PARTIAL}"
        file = open(partial, "xb")  # noqa: SIM115  (the caller closes it)
        lock(file.fileno())
        if os.fstat(file.fileno()).st_nlink:
            return partial, file
        file.close()  # before it was locked, another writer took it for a dead one's


def _remove_dead(folder: Path, prefix: str) -> None:
    """Remove what killed writers left."""
    with os.scandir(folder) as entries:
        partials = [entry.path for entry in entries if entry.name.startswith(prefix) and entry.name.endswith(_PARTIAL)]
    for partial in partials:
        with suppress(OSError), open(partial, "rb") as left:
            if lock(left.fileno()):
                os.unlink(partial)


def put_in_place(partial: Path, target: Path) -> None:
    """Rename a file that is whole and flushed; it gets the owner and the permissions of the one that it replaces."""
    if target.exists():
        old = target.stat()
        if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
            with suppress(OSError):  # only root may
                os.chown(partial, old.st_uid, old.st_gid)
        os.chmod(partial, stat.S_IMODE(old.st_mode))
    os.replace(partial, target)
    flush_folder(target.parent)


@contextmanager
def clear_errors(path: Path, done: str = "written") -> Iterator[None]:
    """Turn what the operating system says of ``path`` into an error that names what to do.

    Args:
        path: what is at work; the message names it.
        done: what cannot be done with it, ``written`` or ``read``.

    Raises:
        UsageError: a missing folder, a file where a folder is wanted or the reverse, a name that is none.
        ResourceError: no room, no permission, a file system that is read-only or does not answer.
    """
    try:
        yield
    except (FeatstoreError, BrokenPipeError):
        raise  # where the reader of a pipe has gone, the command line ends quietly
    except OSError as error:
        if error.errno is None:
            raise  # not from the operating system
        reason = error.strerror or str(error)
        if error.errno in DISK_FULL:
            raise ResourceError(
                f"no room to write {path} ({reason}); nothing half-written was kept, and what was there before is as "
                "it was. Free some space, or name another place, and run the same command again."
            ) from error
        if error.errno in _GONE:
            raise ResourceError(f"the file system of {path} does not answer ({reason}); is it mounted?") from error
        kind = UsageError if error.errno in _MISNAMED else ResourceError
        raise kind(f"{path} cannot be {done}: {reason}; name another place.") from error
