"""A file that grows piece by piece, is whole under its name or not there, and goes on after a kill.

In: pieces of text, each with the figures that hold after it. Out: ``OUT.part`` with a journal beside it,
``OUT.part.json``, and at the end ``OUT``. After each piece the part is flushed to the disk and then the journal is
replaced; whatever a killed writer left behind the journal's offset is cut off. The journal names what is being
written: a part of something else is never gone on with.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from classifier.runs.checkpoint import read_json, to_json
from featstore.errors import DataError, UsageError
from featstore.files import write_file


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


class PartFile:
    """The unfinished part of ``target``.

    Args:
        target: the file that shall be made.
        facts: what is being written, as plain data: the part of other facts is refused.
        fresh: begin anew, whatever is there.

    Raises:
        UsageError: there is a part of something else; the text says what differs.
        DataError: the journal is no journal, or the part is shorter than it says.
    """

    def __init__(self, target: Path, facts: Mapping[str, Any], *, fresh: bool = False) -> None:
        self._target, self._facts = target, json.loads(json.dumps(facts))
        self._part = target.with_name(f"{target.name}.part")
        self._journal = target.with_name(f"{target.name}.part.json")
        self.figures = Figures()
        self._offset = 0
        begun = self._part.exists() and self._journal.exists() and not fresh
        self._part.touch()
        self._file: IO[bytes] = self._part.open("r+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if begun:
                self._resume()
            else:
                self._journal.unlink(missing_ok=True)
        except BlockingIOError as error:
            self._file.close()
            raise UsageError(f"another process is writing {self._part}; wait for it, or name another file.") from error
        except BaseException:
            self._file.close()
            raise

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
        if self._part.stat().st_size < offset:
            raise DataError(f"{self._part} is shorter than its journal says; begin anew with --fresh.")
        self.figures, self._offset = figures, offset

    def begin(self, header: str) -> None:
        """Cut off what is not in the journal; a part that has nothing yet gets ``header``."""
        self._file.truncate(self._offset)
        self._file.seek(self._offset)
        if not self._offset:
            self.add(header, self.figures)

    def add(self, text: str, figures: Figures) -> None:
        """Write a piece after which ``figures`` hold; it stays, whatever happens next."""
        self._write(text)
        self.figures = figures
        journal = {"facts": self._facts, "figures": asdict(figures), "bytes": self._offset}
        write_file(self._journal, to_json(journal))

    def finish(self, footer: str) -> None:
        """Write the end and give the file its name."""
        self._write(footer)
        self._file.close()
        os.replace(self._part, self._target)
        self._journal.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; what was added stays for the next time, and a part without a document goes."""
        if not self._file.closed and not self.figures.documents:
            self._part.unlink(missing_ok=True)
            self._journal.unlink(missing_ok=True)
        self._file.close()

    def _write(self, text: str) -> None:
        self._offset += self._file.write(text.encode("utf-8"))
        self._file.flush()
        os.fsync(self._file.fileno())
