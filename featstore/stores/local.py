"""A store in a local directory: files that appear whole or not at all.

In and out: see :mod:`featstore.stores.places`. A thing is staged in ``tmp/``, every file and every directory of it
is flushed to the disk, and then it is renamed to its name and that directory is flushed. Writers hold a shared
``flock`` on the file ``lock`` while they do so; who gets it exclusively knows that no writer is alive and that
whatever lies in ``tmp/`` was left by a dead one. The kernel frees the lock of a killed process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from featstore.errors import FeatstoreError, ResourceError
from featstore.stores.places import STAGING, Buffer, check_relative, gone, missing

_LOCK = "lock"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_GONE = {errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's errors that a user can mend into the project's own."""
    try:
        yield
    except FeatstoreError:
        raise
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in _FULL:
            raise ResourceError(
                f"no room to write {path} ({why}); nothing half-written was kept and what was stored before is "
                "intact. Free some disk, or name another --store, and run again: it goes on where it stopped."
            ) from error
        if error.errno in _CLOSED:
            raise ResourceError(
                f"{path} cannot be written ({why}); allow writing there or name another --store."
            ) from error
        if error.errno in _GONE:
            raise ResourceError(f"the file system of {path} does not answer ({why}); is it still mounted?") from error
        raise


def _flush(path: Path) -> None:
    """Flush a directory: its entries are on the disk when this returns."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write(path: Path, data: Buffer) -> None:
    with open(path, "xb", buffering=0) as file:
        view = memoryview(data)
        while len(view):
            view = view[file.write(view) :]
        os.fsync(file.fileno())


class LocalPlace:
    """A local directory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def location(self) -> str:
        return str(self._path)

    def local(self, name: str) -> Path:
        return self._path / check_relative(name)

    def exists(self, name: str) -> bool:
        return self.local(name).exists()

    def writable(self) -> bool:
        return os.access(self._path, os.W_OK)

    def sizes(self, folder: str) -> dict[str, int]:
        return {e.name: 0 if e.is_dir() else e.stat().st_size for e in self._entries(folder)}

    def ages(self, folder: str) -> dict[str, float]:
        now = time.time()
        return {e.name: now - e.stat().st_mtime for e in self._entries(folder)}

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with clear_errors(self.local(folder)), os.scandir(self.local(folder)) as entries:
                return sorted(entries, key=lambda e: e.name)
        except FileNotFoundError:
            return []  # a folder that nobody has written to yet

    def total(self, name: str) -> int:
        path = self.local(name)
        if path.is_dir():
            return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
        return path.stat().st_size if path.exists() else 0

    def read(self, name: str) -> bytes:
        return next(self.read_heads({name: -1}))

    def read_heads(self, sizes: Mapping[str, int]) -> Iterator[bytes]:
        for name, size in sizes.items():
            path = self.local(name)
            try:
                with clear_errors(path), open(path, "rb", buffering=0) as file:
                    raw = file.readall() if size < 0 else file.read(size) or b""
            except FileNotFoundError as error:
                raise missing(self.location, name) from error
            yield raw

    def read_tree(self, name: str) -> dict[str, bytes]:
        path = self.local(name)
        if not path.is_dir():
            return {"": self.read(name)}
        files = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
        if not files:
            raise missing(self.location, name)
        return {file: self.read(f"{name}/{file}") for file in files}

    def publish(self, name: str, files: Mapping[str, Buffer]) -> None:
        target = self.local(name)
        staged = self._stage()
        with clear_errors(target):
            try:
                self._write_tree(staged, files)
                self._make_folder(target.parent)
                self._rename(staged, target)
            finally:
                _discard(staged)

    def _stage(self) -> Path:
        staging = self._path / STAGING
        self._make_folder(staging)
        return staging / secrets.token_hex(8)

    def _write_tree(self, staged: Path, files: Mapping[str, Buffer]) -> None:
        folders: set[str] = set()
        for file in files:
            parts = check_relative(file).split("/")
            folders.update("/".join(parts[:depth]) for depth in range(len(parts)) if file)
        for folder in sorted(folders):
            os.mkdir(staged / folder)
        for file, data in files.items():
            _write(staged / file, data)
        for folder in sorted(folders, reverse=True):
            _flush(staged / folder)

    def create(self) -> None:
        with clear_errors(self._path):
            missing_folders = [p for p in (self._path, *self._path.parents) if not p.is_dir()]
            for folder in reversed(missing_folders):
                folder.mkdir(exist_ok=True)
                _flush(folder.parent)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder of the place, its entry flushed. The place itself is never made anew."""
        if folder.is_dir():
            return
        with clear_errors(folder):
            try:
                folder.mkdir(exist_ok=True)
            except FileNotFoundError as error:
                raise gone(self.location) from error
            _flush(folder.parent)

    def _rename(self, staged: Path, target: Path) -> None:
        """Give what is staged its name, in place of what may be there under it.

        Names are digests, so what is there is nearly always the same thing, written by another process at the same
        moment. Then that one stays: a directory cannot be replaced in one step, and a reader that lists a folder while
        one of its files is replaced may miss that file.
        """
        while True:
            try:
                _rename_to_free(staged, target)
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            if _same(staged, target):
                _discard(staged)
                break
            if staged.is_file():
                os.rename(staged, target)
                break
            self.remove([target.relative_to(self._path).as_posix()])
        _flush(target.parent)

    def remove(self, names: Sequence[str]) -> None:
        parents = set()
        for name in names:
            path, staged = self.local(name), self._stage()
            with clear_errors(path):
                try:
                    os.rename(path, staged)  # a reader sees a tree whole or not at all
                except FileNotFoundError:
                    continue
                _discard(staged)
                parents.add(path.parent)
        for parent in parents:
            _flush(parent)

    def move(self, name: str, target: str) -> None:
        source, goal = self.local(name), self.local(target)
        with clear_errors(goal):
            self._make_folder(goal.parent)
            try:
                self._rename(source, goal)
            except FileNotFoundError as error:
                raise missing(self.location, name) from error
            _flush(source.parent)

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._lock(fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self, *, wait: bool) -> Iterator[bool]:
        with self._lock(fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
            yield held

    @contextmanager
    def _lock(self, how: int) -> Iterator[bool]:
        path = self._path / _LOCK
        with clear_errors(path):
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except FileNotFoundError as error:
                raise gone(self.location) from error
        try:
            yield _flock(fd, how)
        finally:
            os.close(fd)


def _flock(fd: int, how: int) -> bool:
    """Lock; False if another holds it, or if this file system has no locks (then nobody can be sure to be alone)."""
    try:
        fcntl.flock(fd, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def _rename_to_free(staged: Path, target: Path) -> None:
    """Rename, or raise EEXIST or ENOTEMPTY if the name is taken."""
    if staged.is_file():
        try:
            os.link(staged, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.rename(staged, target)
        else:
            os.unlink(staged)
    else:
        os.rename(staged, target)


def _same(a: Path, b: Path) -> bool:
    """Tell whether two files, or all files of two trees, hold the same bytes."""
    try:
        if a.is_file():
            return a.read_bytes() == b.read_bytes()
        names = [sorted(p.relative_to(root) for p in root.rglob("*") if p.is_file()) for root in (a, b)]
        return names[0] == names[1] and all((a / name).read_bytes() == (b / name).read_bytes() for name in names[0])
    except OSError:
        return False  # taken away meanwhile, or of another kind


def _discard(path: Path) -> None:
    """Delete a file or tree that may not be there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)  # leftovers in tmp/ are swept later
    else:
        path.unlink(missing_ok=True)
