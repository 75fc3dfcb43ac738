"""Copies on this machine of folders and files at addresses, kept for as long as what is there does not change.

In: an address, or a path of this machine. Out: a path of this machine. The copies are in the cache
(:mod:`featstore.cache`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePath

from featstore.addresses import address_of, asking, open_address
from featstore.cache import find_kept, keep
from featstore.errors import MissingFileError, UsageError

_VERSION = ("size", "ETag", "LastModified", "mtime", "created")  # what protocols say of a file's state


def fetched(address: str) -> Path:
    """Return a copy of a folder, or a file, on this machine, which is fetched unless it is there already.

    Copies are in the cache (:mod:`featstore.cache`). A copy is of what is there now: the names, sizes and versions of
    its files tell.

    Raises:
        MissingFileError: there is no file below the address.
        ResourceError: it cannot be reached, or there is no room.
    """
    address = address.rstrip("/")
    fs, path = open_address(address)
    with asking(address):
        found = {name: info for name, info in fs.find(path, detail=True).items() if info["type"] == "file"}
    if not found:
        raise MissingFileError(f"{address} does not exist: there is no file below it; check the name.")
    state = [[name, *(str(info.get(fact)) for fact in _VERSION)] for name, info in sorted(found.items())]
    digest = hashlib.blake2b(json.dumps([address, state]).encode(), digest_size=16).hexdigest()
    last = PurePath(path).name

    def copy_to(folder: Path) -> None:
        for file in found:
            relative = PurePath(file).relative_to(path)
            if ".." in relative.parts:
                raise UsageError(f"{address} has a file of the name {file}, which is not fetched.")
            target = folder / last / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            with asking(address):
                fs.get_file(file, str(target))

    kept = find_kept(digest) or keep(digest, sum(int(info["size"]) for info in found.values()), copy_to)
    return kept / last


def on_this_machine(path: str | Path) -> Path:
    """Return a path as it is; of a folder or a file at an address, the copy (:func:`fetched`)."""
    address = address_of(path)
    return Path(path) if address is None else fetched(address)
