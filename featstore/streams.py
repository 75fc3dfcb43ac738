"""What a path means: a plain file, perhaps behind symbolic links, or a stream (standard output, a pipe, a device).

In: a path. Out: whether it is a stream, the open descriptor that it means, the file behind its links. Nothing is
opened.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from featstore.addresses import address_of
from featstore.errors import UsageError

STDOUT = Path("-")
_DESCRIPTORS = re.compile(r"/dev/fd|/proc/(\d+)(/task/\d+)?/fd")
_MOST_LINKS = 40  # that are followed, as by the kernel


def is_stream(path: Path) -> bool:
    """Tell whether ``path`` is standard output, a pipe or a device, which is written once from front to end."""
    if path == STDOUT or descriptor_of(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def behind_links(path: Path) -> Path:
    """Return the file that ``path`` means, every symbolic link followed; it need not be there. An address is itself.

    Raises:
        UsageError: the links lead in a circle.
    """
    if address_of(path):
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise UsageError(f"{path} is a symbolic link that leads back to itself; name another place.")
    return target


def descriptor_of(path: Path) -> int | None:
    """Return the number of the open descriptor that ``/dev/stdout``, ``/dev/fd/N`` or a link to one of them means."""
    step = os.path.abspath(path)
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(step)
        step = os.path.join(os.path.realpath(folder), name)
        found = _DESCRIPTORS.fullmatch(os.path.dirname(step))
        if found and name.isdecimal() and found[1] in (None, str(os.getpid())):
            return int(name)
        if not os.path.islink(step):
            return None
        step = os.path.join(os.path.dirname(step), os.readlink(step))
    return None
