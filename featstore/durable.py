"""What the operating system promises of files: that what is flushed outlives a crash, and that a lock has one holder.

In: open files and folders. Out: they are on the disk, or locked. The one writer of files (:mod:`featstore.files`) and
the shards (:mod:`featstore.stores.local`) stand on it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import IO

_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def flush(file: IO[bytes]) -> None:
    """Have what was written to a file on the disk when this returns."""
    file.flush()
    os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Have the entries of a folder on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(descriptor: int, *, shared: bool = False, wait: bool = False) -> bool | None:
    """Lock an open file until it is closed; the kernel frees the lock of a killed process.

    Args:
        descriptor: of the open file.
        shared: together with others who lock it so.
        wait: until it can be had.

    Returns:
        whether it is locked; None where the file system has no locks, so that nobody can be sure to be alone.
    """
    how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True
