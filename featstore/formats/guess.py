"""Which format a file is in, from its suffix and its first bytes.

In: a path. Out: the name of a format, or an error that says what was looked at. Nothing is guessed that the first
bytes contradict: a wrong guess would end in a complaint about the wrong thing.
"""

from __future__ import annotations

from pathlib import Path

from featstore.errors import MissingFileError, UsageError
from featstore.formats.source import BOM, opened

_HEAD = 4096  # bytes looked at

# suffix -> (format, what its first character must be)
_SUFFIXES = {".jsonl": ("jsonl", b"{"), ".ndjson": ("jsonl", b"{")}


def guess_format(path: Path) -> str:
    """Return the name of the format of a file or folder.

    Raises:
        MissingFileError: there is nothing at the path.
        UsageError: the format cannot be told.
    """
    if not path.exists():
        raise MissingFileError(f"{path} does not exist.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file.")
    with opened(path) as file:
        head = file.read(_HEAD).removeprefix(BOM).lstrip()
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    if suffix in _SUFFIXES:
        name, first = _SUFFIXES[suffix]
        if head and not head.startswith(first):
            raise UsageError(
                f"{path} is {name} by its name, but does not begin with '{first.decode()}'; name its format."
            )
        return name
    raise UsageError(f"the format of {path} cannot be told from its name or its beginning; name its format.")
