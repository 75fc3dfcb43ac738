"""Where a fold of a run is worked on: in the run's folder, or in a folder of this machine if the run is at an address.

In: a :class:`~classifier.runs.target.Target`: a fold of a run, or a tagger. Out: a :class:`Workplace`, whose folder is
used as if it was the run's, and which puts there what is finished. A fold appears at an address complete or not at all:
``run.json``, by which it is trained, comes after all that it needs, and ``metrics.json``, by which it is evaluated,
last. What is said of a fold here is true of a tagger, whose ``tagger.json`` comes after its weights.

The folder on this machine holds what is not at the address yet: the state of an unfinished training, and a finished
fold that could not be put there. It is below ``$XDG_CACHE_HOME/featstore-runs`` (``~/.cache/featstore-runs``) and goes
when it is of no use any more.

An object store has no locks. On one machine, a second process waits for the first. Between machines, a fold that
somebody else has written since work on it began is left as it is, unless it is the same model; only two that put the
same fold at the same instant can mix their files, which is noticed when it is read, by the digests in ``run.json``.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path, PurePath
from typing import IO

from classifier.runs.target import Target
from classifier.training.epoch import Notice, TellNotice
from classifier.training.resume import UNFINISHED
from featstore.addresses import address_of, fetch, files_below, remove, upload
from featstore.durable import lock
from featstore.errors import FeatstoreError, MismatchError, MissingFileError
from featstore.files import clear_errors, make_folder, read_text, write_file

BEGUN = "begun.json"  # beside a fold at an address while it is trained: who trains it, since when
_BEFORE = "before"  # beside the folder of the run: what was at the address when the training began


class Workplace:
    """The work on a fold of a run in a folder of this machine: there is nothing to bring and nothing to put.

    Args:
        target: the fold.

    Attributes:
        run_dir: the folder to work in.
        folder: that of the fold in it.
        is_late: whether the fold was finished before, and only has to be put where it belongs.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.run_dir = target.work_folder
        self.folder = self.run_dir / target.below
        self.is_late = False

    def bring(self) -> bool:
        """Have the fold in the folder if it is trained; return whether it is."""
        return self._has_facts()

    def begin(self) -> None:
        """Say where the run lies that the fold is being trained.

        Raises:
            UsageError, ResourceError: nothing can be written there.
        """

    def put(self) -> None:
        """Put the finished fold where the run lies.

        Raises:
            MismatchError: somebody else has written the fold since the work on it began; it is left as it is.
            UsageError, ResourceError: it cannot be written; this machine keeps it, and the next work on it puts it.
        """

    def _has_facts(self) -> bool:
        """Tell whether the fold is in the folder and finished."""
        return (self.folder / self._target.facts).exists()


class _RemoteWorkplace(Workplace):
    """The work on a fold of a run at an address.

    Args:
        target: the fold.
        address: of the run.
        tell: hears what the user should know.
    """

    def __init__(self, target: Target, address: str, tell: TellNotice) -> None:
        super().__init__(target)
        self._run, self._address, self._tell = address, f"{address}/{target.below}".rstrip("/"), tell
        self._there = self._content(target.facts)
        self._is_put = self._has_begun = False
        if self._has_facts():
            is_as_before = self._there != self._ours() and _digest(self._there) == self._before()
            self.is_late = self._there is None or is_as_before
            if not self.is_late:
                shutil.rmtree(self.folder)  # it has been put there since, or somebody else has finished it

    def bring(self) -> bool:
        if self._has_facts():
            return True
        if self._there is None:
            return False
        facts = self._target.facts
        names = [name for name in self._names(files_below(self._address)) if name not in (BEGUN, facts)]
        for name in (*names, facts):
            if ".." in PurePath(name).parts:
                raise MismatchError(f"{self._address} has a file of the name {name}, which is not fetched.")
            make_folder((self.folder / name).parent)
            with clear_errors(self.folder / name):
                fetch(f"{self._address}/{name}", self.folder / name)
        self._is_put = True
        return True

    def begin(self) -> None:
        host = platform.node()
        if (found := self._content(BEGUN)) and _host(found) != host:  # nobody else on this machine: see _alone
            self._tell(
                Notice(
                    f"{self._address} is being trained by another machine, or was when that ended: {found.strip()}. "
                    "If it is still at it, both do the same work."
                )
            )
        make_folder(self.run_dir)
        write_file(self.run_dir.parent / _BEFORE, _digest(self._there).encode())
        facts = {"host": host, "process": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        write_file(Path(self._address) / BEGUN, json.dumps(facts).encode())
        self._has_begun = True

    def put(self) -> None:
        ours, now = self._ours(), self._content(self._target.facts)
        is_same = now is not None and _model(now) == _model(ours)
        if now not in (None, self._there) and not is_same:
            raise MismatchError(
                f"{self._address} was written by somebody else while it was worked on here; that one is left as it is. "
                "The same command goes on from there."
            )
        # What was trained in the place of a fold takes its place even if it is the same: that one may be damaged.
        has_model = is_same and not (now == self._there and (self._has_begun or self.is_late))
        self._there, self._is_put = now, has_model
        if not has_model:
            try:
                self._put_model()
            except FeatstoreError as error:
                raise type(error)(
                    f"{error} What is finished is kept below {self.run_dir.parent}; the same command puts it there."
                ) from error
        elif now != ours:
            self._put(self._target.early)
        self._put_late()
        self._there, self._is_put, self.is_late, self._has_begun = ours, True, False, False

    def _put_model(self) -> None:
        """Put all that the fold needs to be trained, which it is not meanwhile."""
        for name in (*reversed(self._target.late_files(files_below(self._address))), self._target.facts):
            remove(f"{self._address}/{name}")
        self._there = None
        self._put(self._target.model_files(files_below(self.folder)))
        for name in self._target.shared:
            upload(self.run_dir / name, f"{self._run}/{name}")
        self._put(self._target.early)
        self._is_put = True

    def _put_late(self) -> None:
        """Put what is said of the model, and remove what belongs to none or to another one."""
        here, there = files_below(self.folder), files_below(self._address)
        self._put(self._target.late_files(here))
        for name in sorted(there.keys() & {BEGUN, *self._names(there)} - here.keys()):
            remove(f"{self._address}/{name}")

    def _put(self, names: Iterable[str]) -> None:
        for name in names:
            upload(self.folder / name, f"{self._address}/{name}")

    def leave(self) -> None:
        """Remove what is of no use any more, here and at the address."""
        if self._has_begun:
            with suppress(FeatstoreError):
                remove(f"{self._address}/{BEGUN}")
        is_needed = self._has_facts() and not self._is_put
        if not is_needed and not (self.folder / UNFINISHED).exists():
            shutil.rmtree(self.run_dir.parent, ignore_errors=True)

    def _ours(self) -> str:
        return read_text(self.folder / self._target.facts, f", though {self._target.name} is finished.")

    def _names(self, found: Iterable[str]) -> list[str]:
        """Return those of some names that are the fold's own files, in the order in which they are put."""
        early = [name for name in self._target.early if name in found]
        return [*self._target.model_files(found), *early, *self._target.late_files(found)]

    def _content(self, name: str) -> str | None:
        with suppress(MissingFileError):
            return read_text(Path(self._address) / name, ".")
        return None

    def _before(self) -> str | None:
        with suppress(MissingFileError):
            return read_text(self.run_dir.parent / _BEFORE, ".")
        return None


@contextmanager
def working_at(target: Target, tell: TellNotice) -> Iterator[Workplace]:
    """Yield the work on a fold of a run.

    Args:
        target: the fold.
        tell: hears what the user should know.

    Raises:
        MissingFileError, ResourceError: the address cannot be reached, or this machine has no room.
    """
    address, place = address_of(target.run_dir), target.work_folder
    if address is None:
        yield Workplace(target)
        return
    waiting = f"another process of this machine works on {target.name}; waiting for it to end."
    with _alone(place.parent.with_suffix(".lock"), lambda: tell(Notice(waiting))):
        work = _RemoteWorkplace(target, address.rstrip("/"), tell)
        try:
            yield work
        except FeatstoreError as error:
            if str(place) not in str(error):
                raise
            raise type(error)(str(error).replace(str(place), address)) from error
        finally:
            work.leave()


@contextmanager
def _alone(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Be the only process of this machine that holds a file's lock.

    Args:
        path: the file, which is there for as long as somebody holds it or waits for it.
        wait: called before this waits for another process.
    """
    make_folder(path.parent)
    with _locked(path, wait):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _locked(path: Path, wait: Callable[[], None]) -> IO[bytes]:
    while True:
        with clear_errors(path):
            file = path.open("ab")
        if lock(file.fileno()) is False:
            wait()
            lock(file.fileno(), wait=True)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # whoever held it has removed it


def _host(begun: str) -> object:
    """Return the host that the content of a ``begun.json`` names."""
    with suppress(ValueError, AttributeError):
        return json.loads(begun).get("host")
    return None


def _digest(content: str | None) -> str:
    return "" if content is None else sha256(content.encode()).hexdigest()


def _model(run: str) -> object:
    """Return what the content of a ``run.json`` says of the files of the model."""
    with suppress(ValueError, AttributeError):
        facts = json.loads(run)
        return [facts.get("weights_sha256"), (facts.get("system") or {}).get("files")]
    return None
