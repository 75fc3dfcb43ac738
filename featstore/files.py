"""Write the outputs of all commands: whole or not at all, and never in the place of something that is not a plain file.

In: a path and bytes. Out: the file. A plain file is written under another name, flushed to the disk and renamed, so
that at any instant the old content or the whole new one is there. A symbolic link is followed, and what it points at
is written. A pipe, a device or standard output (the path ``-``) is written as a stream.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featstore.errors import DataError, ResourceError, UsageError

STDOUT = Path("-")
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_stream(path: Path) -> bool:
    """Tell whether ``path`` is standard output, a pipe or a device, which is written once from front to end."""
    if path == STDOUT:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def check_output_file(path: Path) -> None:
    """Make sure that a file can be written at ``path``; nothing is written.

    Raises:
        UsageError: its folder is missing or is a file, or ``path`` is a folder.
        ResourceError: there is no permission to write it.
    """
    if path == STDOUT:
        return
    with clear_errors(path):
        if path.is_dir():
            raise UsageError(f"{path} is a folder, and the output is a file; name a file in it.")
        target = path.resolve()
        if not target.parent.is_dir():
            what = "is a file, not a folder" if target.parent.exists() else "does not exist"
            raise UsageError(f"{path} cannot be written: {target.parent} {what}; make that folder, or name another.")
        needed = target if is_stream(target) else target.parent
        if not os.access(needed, os.W_OK) or (target.is_file() and not os.access(target, os.W_OK)):
            raise ResourceError(f"{path} cannot be written: there is no permission; name another place.")


def check_output_folder(path: Path) -> None:
    """Make sure that ``path`` is, or can be made, a folder to write in; nothing is written.

    Raises:
        UsageError: ``path``, or a part of it, is a file.
        ResourceError: there is no permission to write there.
    """
    with clear_errors(path):
        nearest = next(folder for folder in (path, *path.absolute().parents) if os.path.lexists(folder))
        if not nearest.is_dir():
            raise UsageError(f"{path} must be a folder, and {nearest} is a file; name another place.")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise ResourceError(f"{path} cannot be written: there is no permission in {nearest}; name another place.")


def write_file(path: Path, content: bytes) -> None:
    """Write a file: whole or not at all where it is a plain one, through a link, into a pipe or a device as a stream.

    Raises:
        UsageError, ResourceError: it cannot be written; the file that was there is as it was.
    """
    if path == STDOUT:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    with clear_errors(path):
        if is_stream(path):
            path.write_bytes(content)
            return
        target = path.resolve()
        partial = partial_name(target)
        try:
            with open(partial, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            keep_mode(target, partial)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)


def partial_name(target: Path) -> Path:
    """Return a fresh name beside ``target`` for what is not whole yet."""
    return target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.partial")


def keep_mode(old: Path, new: Path) -> None:
    """Give ``new`` the permissions of ``old``, whose place it takes, if there is one."""
    if old.exists():
        os.chmod(new, stat.S_IMODE(old.stat().st_mode))


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says of ``path`` into an error that names what to do.

    Raises:
        UsageError: a missing folder, a file where a folder is wanted, or the reverse.
        DataError: a name that is too long, or a loop of links.
        ResourceError: no room, no permission, a read-only file system.
    """
    try:
        yield
    except (UsageError, ResourceError):
        raise
    except BrokenPipeError:
        raise  # the reader has gone; the command line ends quietly
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in DISK_FULL:
            raise ResourceError(
                f"{path}: the disk is full ({reason}); what was written before is kept. Free some space and run the "
                "same command again."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise ResourceError(f"{path} cannot be written: {reason}; name another place.") from error
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
            raise UsageError(f"{path} cannot be written: {reason}; name another place.") from error
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise DataError(f"{path} cannot be written: {reason}; name another place.") from error
        raise
