"""The output of an extraction: it grows piece by piece, is whole under its name or not there, and goes on after a kill.

In: pieces of text, each with the figures that hold after it. Out: ``OUT.part`` with a journal beside it,
``OUT.part.json``, and at the end ``OUT``. When a piece comes and half a second has passed, the part is flushed to the
disk and then the journal is replaced; whatever a killed writer left behind the journal's offset is cut off. The journal
names what is being written: a part of something else is never gone on with.

Where ``OUT`` is a symbolic link, all this happens beside the file that it points at. Where it is an address, the part
and its journal are in the current folder, and the whole file is put at the address at the end. A pipe, a device and
standard output cannot be gone on with: they get the pieces as they come.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from io import FileIO
from pathlib import Path
from typing import Protocol

from classifier.runs.facts import read_json, to_json
from featstore.addresses import address_of, upload
from featstore.durable import flush, lock
from featstore.errors import DataError, UsageError
from featstore.files import clear_errors, open_output, put_in_place, write_file
from featstore.streams import behind_links, is_stream

JOURNAL_SECONDS = 0.5  # between two entries: flushing after every piece would take as long as a quick model


@dataclass(frozen=True, slots=True)
class Figures:
    """What an extraction has done so far.

    Attributes:
        documents: read, bad ones among them.
        bad: those that could not be read or written.
        pairs: candidates that were scored.
        relations: written.
        digest: of the documents read.
        nothing: documents without relations, by the reason.
        mentions: written, where mentions are what is looked for.
        problems: what is wrong in documents that were written, counted by its kind.
        lost: how many of these cost something.
        unread: sentences in which no tagger looked for mentions.
    """

    documents: int = 0
    bad: int = 0
    pairs: int = 0
    relations: int = 0
    digest: str = ""
    nothing: Mapping[str, int] = field(default_factory=dict)
    mentions: int = 0
    problems: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    unread: int = 0


class Output(Protocol):
    """Where an extraction writes."""

    @property
    def figures(self) -> Figures:
        """What has been done, up to the last piece."""
        ...

    def begin(self, header: str) -> None:
        """Make ready for the first piece; where there is none yet, ``header`` comes before it."""
        ...

    def add(self, text: str, figures: Figures) -> None:
        """Write a piece after which ``figures`` hold."""
        ...

    def finish(self, footer: str) -> None:
        """Write the end."""
        ...

    def close(self) -> None:
        """Let go of the file, finished or not."""
        ...


def open_extraction(target: Path, facts: Mapping[str, object], *, fresh: bool = False) -> Output:
    """Open the output of an extraction: a part to go on with, or a stream.

    Args:
        target: the file that shall be made.
        facts: what is being written, as plain data.
        fresh: begin anew, whatever is there.

    Raises:
        UsageError, DataError: see :class:`PartFile`.
        ResourceError: it cannot be written.
    """
    return Stream(target) if is_stream(target) else part_of(target, facts, fresh=fresh)


def part_of(target: Path, facts: Mapping[str, object], *, fresh: bool = False) -> PartFile:
    """Open the part of a file; that of a file at an address is in the current folder. Arguments as of the above."""
    if address := address_of(target):
        return PartFile(Path(target.name), {**facts, "output": address}, fresh=fresh, address=address)
    return PartFile(behind_links(target), facts, fresh=fresh)


@dataclass(frozen=True, slots=True)
class _State:
    """How far a part is; replaced as a whole, so that no interrupt finds one half of it changed.

    Attributes:
        written: bytes of the part that are good.
        waiting: what is to be written after them.
        figures: what holds after that.
    """

    written: int = 0
    waiting: str = ""
    figures: Figures = field(default_factory=Figures)


class Stream:
    """A pipe, a device or standard output, as an output of an extraction; each piece leaves as soon as it is there."""

    def __init__(self, target: Path) -> None:
        self.figures = Figures()
        self._target, self._open = target, ExitStack()
        self._file = self._open.enter_context(open_output(target))

    def begin(self, header: str) -> None:
        self.add(header, self.figures)

    def add(self, text: str, figures: Figures) -> None:
        with clear_errors(self._target):
            self._file.write(text.encode("utf-8"))
            self._file.flush()
        self.figures = figures

    def finish(self, footer: str) -> None:
        self.add(footer, self.figures)

    def close(self) -> None:
        with clear_errors(self._target):
            self._open.close()


class PartFile:
    """The unfinished part of ``target``, a plain file; what is in its journal stays, whatever happens next.

    Args:
        target: the file that shall be made.
        facts: what is being written, as plain data: the part of other facts is refused.
        fresh: begin anew, whatever is there.
        address: where the file goes when it is whole, in place of ``target``.

    Raises:
        UsageError: there is a part of something else, and the text says what differs; or another process writes it.
        DataError: the journal is no journal, or the part is shorter than it says.
        ResourceError: the part cannot be written.
    """

    def __init__(
        self, target: Path, facts: Mapping[str, object], *, fresh: bool = False, address: str | None = None
    ) -> None:
        self._address = address
        self._target, self._facts = target, json.loads(json.dumps(facts))
        self._part = target.with_name(f"{target.name}.part")
        self._journal = target.with_name(f"{target.name}.part.json")
        self._state = _State()
        self._kept, self._since = Figures(), time.monotonic()
        with clear_errors(self._part):
            self._file = self._locked()
        try:
            if self._size and self._journal.exists() and not fresh:
                self._resume()
            else:
                self._journal.unlink(missing_ok=True)  # killed as it finished, it leaves a journal without a part
        except BaseException:
            self._file.close()
            raise

    @property
    def figures(self) -> Figures:
        """What has been done, up to the last piece."""
        return self._state.figures

    @property
    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _locked(self) -> FileIO:
        """Open the part for this process alone (where there are no locks, the user has to see to that)."""
        while True:
            descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            file = open(descriptor, "r+b", buffering=0)  # noqa: SIM115
            if lock(file.fileno()) is False:
                file.close()
                raise UsageError(f"another process is writing {self._part}; wait for it, or name another file.")
            try:
                if os.path.samestat(os.fstat(file.fileno()), os.stat(self._part)):
                    return file
            except FileNotFoundError:
                pass
            file.close()  # it was finished by another process just before it was locked here

    def _resume(self) -> None:
        """Take over the figures of the journal, and how far the part is good."""
        journal = read_json(self._journal, "an interrupted extraction leaves it")
        try:
            kept, figures, offset = journal["facts"], Figures(**journal["figures"]), int(journal["bytes"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{self._journal} is not a journal ({error}); begin anew with --fresh.") from error
        differing = [
            f"{name} is {kept.get(name)!r} there and {self._facts.get(name)!r} now"
            for name in sorted(kept.keys() | self._facts.keys())
            if kept.get(name) != self._facts.get(name)
        ]
        if differing:
            raise UsageError(
                f"{self._part} is the beginning of another extraction: {'; '.join(differing)}. Run that one to "
                "its end, name another file with -o, or begin anew with --fresh."
            )
        if self._size < offset:
            raise DataError(f"{self._part} is shorter than its journal says; begin anew with --fresh.")
        self._state, self._kept = _State(offset, "", figures), figures

    def begin(self, header: str) -> None:
        with clear_errors(self._part):
            self._file.truncate(self._state.written)  # what is not in the journal
        if not self._state.written:
            self.add(header, self.figures)

    def add(self, text: str, figures: Figures) -> None:
        self._state = _State(self._state.written, self._state.waiting + text, figures)
        if time.monotonic() - self._since >= JOURNAL_SECONDS:
            self._keep()

    def _keep(self) -> None:
        """Write down what has come since the last time."""
        self._write()
        journal = {"facts": self._facts, "figures": asdict(self.figures), "bytes": self._state.written}
        write_file(self._journal, to_json(journal))
        self._kept, self._since = self.figures, time.monotonic()

    def _write(self) -> None:
        """Write what is waiting; what an attempt that failed has left of it is written over."""
        rest = memoryview(self._state.waiting.encode("utf-8"))
        end = self._state.written + len(rest)
        with clear_errors(self._part):
            self._file.seek(self._state.written)
            while rest:
                rest = rest[self._file.write(rest) :]
            flush(self._file)
        self._state = _State(end, "", self.figures)

    def finish(self, footer: str) -> None:
        self._kept = self.figures  # from here on nothing goes into the journal, and so the end does not
        self._state = _State(self._state.written, self._state.waiting + footer, self.figures)
        self._write()
        with clear_errors(self._target):
            if self._address:
                upload(self._part, self._address)  # where that fails, the part stays, and the journal
                self._part.unlink()
            else:
                put_in_place(self._part, self._target)  # still locked: nobody may go on with it
            self._journal.unlink(missing_ok=True)
        self._file.close()

    def close(self) -> None:
        if self._file.closed:
            return
        with self._file:
            if self.figures.documents:
                if self.figures != self._kept:
                    self._keep()
            else:  # a part without a document is of no use
                self._part.unlink(missing_ok=True)
                self._journal.unlink(missing_ok=True)
