"""Where a corpus that the user fetched is kept, and that it is still what was fetched.

In: the name of a corpus. Out: its folder in the user's data directory, where ``cli data get`` puts it and the
readers look when a spec names no path. Beside the files lies ``CHECKSUMS.json`` with the sha256 of each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from featstore.errors import DataError, MissingFileError
from featstore.fingerprint import file_sha256

CHECKSUMS = "CHECKSUMS.json"


def corpus_home(name: str) -> Path:
    """Return the folder of a fetched corpus, there or not."""
    return platformdirs.user_data_path("featstore", appauthor=False) / "corpora" / name


def corpus_folder(name: str, path: str | None) -> Path:
    """Return the folder that ``NAME`` or ``NAME:PATH`` means; a fetched one is checked against its checksums.

    Raises:
        MissingFileError: there is no such folder.
        DataError: a fetched file has changed since.
    """
    folder = Path(path) if path else corpus_home(name)
    if path is None and folder.is_dir():
        verify(name, folder)
    if folder.is_dir():
        return folder
    if path:
        raise MissingFileError(f"{folder} is not a folder; '{name}:DIR' wants the folder of the corpus.")
    raise MissingFileError(
        f"the corpus '{name}' is not in {folder}; name its folder as '{name}:DIR', "
        f"or fetch it once with: cli data get {name}"
    )


def write_checksums(folder: Path, files: Iterable[str], source: str) -> None:
    """Write the sha256 of each file, given by its path below ``folder``, and where they came from."""
    content = {"source": source, "sha256": {file: file_sha256(folder / file) for file in files}}
    (folder / CHECKSUMS).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def verify(name: str, folder: Path) -> None:
    """Hold a fetched corpus against its checksums.

    Raises:
        DataError: they are not there or unreadable, or a file is not what was fetched.
    """
    again = f"fetch it again with: cli data get {name}"
    try:
        checksums = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))["sha256"]
        changed = [file for file, sha256 in checksums.items() if file_sha256(folder / file) != sha256]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{folder} cannot be compared with its {CHECKSUMS} ({error}); {again}") from error
    if changed:
        raise DataError(f"{folder / changed[0]} differs from what was fetched (its sha256 is another); {again}")
