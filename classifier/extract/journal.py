"""The output of an extraction: it grows piece by piece, is whole under its name or not there, and goes on after a kill.

In: pieces of text, each with the figures that hold after it. Out: ``OUT.part`` with a journal beside it,
``OUT.part.json``, and at the end ``OUT``. After each piece the part is flushed to the disk and then the journal is
replaced; whatever a killed writer left behind the journal's offset is cut off. The journal names what is being
written: a part of something else is never gone on with.

Where ``OUT`` is a symbolic link, all this happens beside the file that it points at. A pipe, a device and standard
output cannot be gone on with: they get the pieces as they come.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from classifier.runs.checkpoint import read_json, to_json
from featstore.errors import DataError, UsageError
from featstore.files import behind_links, clear_errors, flush, is_stream, lock, open_output, put_in_place, write_file


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
    """

    documents: int = 0
    bad: int = 0
    pairs: int = 0
    relations: int = 0
    digest: str = ""
    nothing: Mapping[str, int] = field(default_factory=dict)


class Output(Protocol):
    """Where an extraction writes."""

    figures: Figures

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


def open_extraction(target: Path, facts: Mapping[str, Any], *, fresh: bool = False) -> Output:
    """Open the output of an extraction: a part to go on with, or a stream.

    Args:
        target: the file that shall be made.
        facts: what is being written, as plain data.
        fresh: begin anew, whatever is there.

    Raises:
        UsageError, DataError: see :class:`PartFile`.
        ResourceError: it cannot be written.
    """
    return Stream(target) if is_stream(target) else PartFile(behind_links(target), facts, fresh=fresh)


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
    """The unfinished part of ``target``, a plain file; what was added stays, whatever happens next.

    Args:
        target: the file that shall be made.
        facts: what is being written, as plain data: the part of other facts is refused.
        fresh: begin anew, whatever is there.

    Raises:
        UsageError: there is a part of something else, and the text says what differs; or another process writes it.
        DataError: the journal is no journal, or the part is shorter than it says.
        ResourceError: the part cannot be written.
    """

    def __init__(self, target: Path, facts: Mapping[str, Any], *, fresh: bool = False) -> None:
        self._target, self._facts = target, json.loads(json.dumps(facts))
        self._part = target.with_name(f"{target.name}.part")
        self._journal = target.with_name(f"{target.name}.part.json")
        self.figures = Figures()
        self._offset = 0
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
    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _locked(self) -> IO[bytes]:
        """Open the part for this process alone (where there are no locks, the user has to see to that)."""
        while True:
            file = open(os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")  # noqa: SIM115
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
        self.figures, self._offset = figures, offset

    def begin(self, header: str) -> None:
        with clear_errors(self._part):
            self._file.truncate(self._offset)  # what is not in the journal
            self._file.seek(self._offset)
        if not self._offset:
            self.add(header, self.figures)

    def add(self, text: str, figures: Figures) -> None:
        self._write(text)
        self.figures = figures
        journal = {"facts": self._facts, "figures": asdict(figures), "bytes": self._offset}
        write_file(self._journal, to_json(journal))

    def finish(self, footer: str) -> None:
        self._write(footer)
        with clear_errors(self._target):
            put_in_place(self._part, self._target)  # still locked: nobody may go on with it
            self._journal.unlink(missing_ok=True)
        self._file.close()

    def close(self) -> None:
        if not self._file.closed and not self.figures.documents:  # a part without a document is of no use
            self._part.unlink(missing_ok=True)
            self._journal.unlink(missing_ok=True)
        self._file.close()

    def _write(self, text: str) -> None:
        with clear_errors(self._part):
            self._offset += self._file.write(text.encode("utf-8"))
            flush(self._file)
