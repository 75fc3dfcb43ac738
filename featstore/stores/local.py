"""A store in a local directory, whose files appear complete or not at all.

In and out: see :mod:`featstore.stores.places`. A file or tree is staged in ``tmp/`` and flushed to the disk with all
its directories. Then it is renamed to its name, and the directory above is flushed. Writers hold a shared ``flock`` on
the file ``lock`` meanwhile. A process that gets the lock exclusively therefore knows that no writer is alive, and that
a dead one left what is in ``tmp/``. The kernel frees the lock of a killed process.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from stat import S_ISDIR
from typing import BinaryIO

from featstore.durable import flush, flush_folder, lock
from featstore.files import Buffer, check_output_folder, clear_errors
from featstore.stores.places import STAGING, check_relative, gone, missing

_LOCK = "lock"
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def _write(path: Path, data: Buffer) -> None:
    with open(path, "xb", buffering=0) as file:
        view = memoryview(data)
        while len(view):
            view = view[file.write(view) :]
        flush(file)


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
        with clear_errors(self.local(name), "read"):
            return self.local(name).exists()

    def writable(self) -> bool:
        return os.access(self._path, os.W_OK)

    def sizes(self, folder: str) -> dict[str, int]:
        return {name: 0 if S_ISDIR(found.st_mode) else found.st_size for name, found in self._entries(folder).items()}

    def ages(self, folder: str) -> dict[str, float]:
        now = time.time()
        return {name: now - found.st_mtime for name, found in self._entries(folder).items()}

    def _entries(self, folder: str) -> dict[str, os.stat_result]:
        """Names in a folder, sorted, and what each is; what others take away meanwhile is passed over."""
        found = {}
        with clear_errors(self.local(folder), "read"):
            try:
                with os.scandir(self.local(folder)) as entries:
                    for entry in sorted(entries, key=lambda e: e.name):
                        with suppress(FileNotFoundError):
                            found[entry.name] = entry.stat()
            except FileNotFoundError:
                pass  # a folder that nobody has written to yet
        return found

    def total(self, name: str) -> int:
        path, total = self.local(name), 0
        for each in [path, *path.rglob("*")]:
            with suppress(FileNotFoundError):  # taken away meanwhile
                total += each.stat().st_size if each.is_file() else 0
        return total

    def read(self, name: str) -> bytes:
        return next(self.read_heads({name: -1}))

    def open(self, name: str) -> BinaryIO:
        with clear_errors(self.local(name), "read"):
            try:
                return open(self.local(name), "rb")
            except FileNotFoundError as error:
                raise missing(self.location, name) from error

    def read_heads(self, sizes: Mapping[str, int]) -> Iterator[bytes]:
        for name, size in sizes.items():
            path = self.local(name)
            with clear_errors(path, "read"):
                try:
                    with open(path, "rb", buffering=0) as file:
                        raw = file.readall() if size < 0 else file.read(size) or b""
                except FileNotFoundError as error:
                    raise missing(self.location, name) from error
            yield raw

    def read_spans(self, spans: Sequence[tuple[str, int, int]]) -> list[bytes]:
        parts: list[bytes] = []
        for name, group in groupby(spans, key=lambda span: span[0]):
            path = self.local(name)
            with clear_errors(path, "read"):
                try:
                    with open(path, "rb", buffering=0) as file:
                        parts += [os.pread(file.fileno(), size, first) for _, first, size in group]
                except FileNotFoundError as error:
                    raise missing(self.location, name) from error
        return parts

    def read_tree(self, name: str) -> dict[str, bytes]:
        path = self.local(name)
        if not path.is_dir():
            return {"": self.read(name)}
        files = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
        if not files:
            raise missing(self.location, name)
        return {file: self.read(f"{name}/{file}") for file in files}

    def publish(self, content: Mapping[str, Mapping[str, Buffer]]) -> None:
        with self.writing():
            for name, files in content.items():
                target, staged = self.local(name), self._stage()
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
            flush_folder(staged / folder)

    def create(self) -> None:
        check_output_folder(self._path)
        with clear_errors(self._path):
            missing_folders = [p for p in (self._path, *self._path.parents) if not p.is_dir()]
            for folder in reversed(missing_folders):
                folder.mkdir(exist_ok=True)
                flush_folder(folder.parent)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder of the place, its entry flushed. The place itself is never made anew."""
        if folder.is_dir():
            return
        with clear_errors(folder):
            try:
                folder.mkdir(exist_ok=True)
            except FileNotFoundError as error:
                raise gone(self.location) from error
            flush_folder(folder.parent)

    def _rename(self, staged: Path, target: Path) -> None:
        """Rename a staged file or tree to its name, replacing what may be there.

        Names are digests, so an existing entry nearly always has the same content and was written by another process at
        the same moment. In this case it stays, because a directory cannot be replaced in one step, and a reader that
        lists a folder while one of its files is replaced may miss that file.
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
        flush_folder(target.parent)

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
            flush_folder(parent)

    def move(self, name: str, target: str) -> None:
        source, goal = self.local(name), self.local(target)
        with clear_errors(goal):
            self._make_folder(goal.parent)
            try:
                self._rename(source, goal)
            except FileNotFoundError as error:
                raise missing(self.location, name) from error
            flush_folder(source.parent)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Held while something is staged: nobody sweeps meanwhile. Many writers hold it together."""
        with self._locked(shared=True, wait=True):
            yield

    @contextmanager
    def alone(self, *, wait: bool) -> Iterator[bool]:
        with self._locked(shared=False, wait=wait) as held:
            yield held

    @contextmanager
    def _locked(self, *, shared: bool, wait: bool) -> Iterator[bool]:
        path = self._path / _LOCK
        with clear_errors(path):
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except FileNotFoundError as error:
                raise gone(self.location) from error
        try:
            yield bool(lock(fd, shared=shared, wait=wait))
        finally:
            os.close(fd)


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
    """Return whether two files, or all files of two trees, hold the same bytes."""
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
