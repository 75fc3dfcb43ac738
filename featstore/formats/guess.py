"""Which format a file or folder is in, from its name and its first bytes.

In: a path. Out: the name of a format, or an error that says what was looked at. Nothing is guessed that the first
bytes contradict: a wrong guess would end in a complaint about the wrong thing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from featstore.errors import MissingFileError, UsageError
from featstore.formats.contract import Format
from featstore.formats.source import BOM, opened

_HEAD = 4096  # bytes looked at


def guess_format(path: Path, formats: Mapping[str, Format]) -> str:
    """Return the name of the format of a file or folder.

    Raises:
        MissingFileError: there is nothing at the path.
        UsageError: the format cannot be told; the text says why.
    """
    if not path.exists():
        raise MissingFileError(f"{path} does not exist.")
    choose = f"name its format, one of {', '.join(name for name, entry in formats.items() if entry.reads)}."
    if path.is_dir():
        for name, entry in formats.items():
            if any(next(path.glob(pattern), None) for pattern in entry.folder):
                return name
        patterns = [f"{pattern} ({name})" for name, entry in formats.items() for pattern in entry.folder]
        raise UsageError(f"the folder {path} holds none of {', '.join(patterns)}; {choose}")
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    for name, entry in formats.items():
        if suffix in entry.suffixes:
            with opened(path) as file:
                head = file.read(_HEAD).removeprefix(BOM).lstrip()
            if head and not re.match(entry.begins, head):
                raise UsageError(f"{path} is {name} by its name, but not by how it begins; {choose}")
            return name
    raise UsageError(f"the format of {path} cannot be told from its name; {choose}")
