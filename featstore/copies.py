"""Copies on this machine of folders and files at addresses.

In: an address, or a path of this machine. Out: a path of this machine. Whole copies are in the cache
(:mod:`featstore.cache`) and are used for as long as what is at the address does not change; those of some files only
are temporary.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from featstore.addresses import address_of, asking, open_address
from featstore.cache import find_kept, keep
from featstore.errors import FeatstoreError, MissingFileError, UsageError

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


@contextmanager
def files_at_once(folder: str | Path, read: Collection[str], listed: Collection[str] = ()) -> Iterator[Path]:
    """Yield a folder in which the files of some names lie as they do below an address; they are fetched all at once.

    A folder of this machine is yielded as it is. The copy of an address is temporary, and errors that are raised while
    it is used name the address in its place.

    Args:
        folder: the folder, or the address.
        read: names of files that are read.
        listed: names of files of which it only matters that they are there; they are empty in a copy.

    Raises:
        MissingFileError: there is no such bucket.
        ResourceError: it cannot be reached, or this machine has no room.
    """
    address = address_of(folder)
    if address is None:
        yield Path(folder)
        return
    fs, path = open_address(address.rstrip("/"))
    with tempfile.TemporaryDirectory(prefix="featstore-") as name:
        copy = Path(name)
        with asking(address):
            below = {PurePath(file).relative_to(path): file for file in fs.find(path)}
            wanted = {place: file for place, file in below.items() if place.name in {*read, *listed}}
            fetched = {str(copy / place): file for place, file in wanted.items() if place.name in read}
            for place in wanted:
                if ".." in place.parts:
                    raise UsageError(f"{address} has a file of the name {place}, which is not fetched.")
                (copy / place).parent.mkdir(parents=True, exist_ok=True)
                (copy / place).touch()
            fs.get(list(fetched.values()), list(fetched))
        try:
            yield copy
        except FeatstoreError as error:
            raise type(error)(str(error).replace(name, address.rstrip("/"))) from error
