"""Where a corpus that the user fetched is kept.

In: the name of a corpus. Out: its folder in the user's data directory, where ``cli data get`` puts it and the
readers look when a spec names no path.
"""

from __future__ import annotations

from pathlib import Path

import platformdirs

from featstore.errors import MissingFileError


def corpus_home(name: str) -> Path:
    """Return the folder of a fetched corpus, there or not."""
    return platformdirs.user_data_path("featstore", appauthor=False) / "corpora" / name


def corpus_folder(name: str, path: str | None) -> Path:
    """Return the folder that ``NAME`` or ``NAME:PATH`` means.

    Raises:
        MissingFileError: there is no such folder.
    """
    folder = Path(path) if path else corpus_home(name)
    if folder.is_dir():
        return folder
    if path:
        raise MissingFileError(f"{folder} is not a folder; '{name}:DIR' wants the folder of the corpus.")
    raise MissingFileError(
        f"the corpus '{name}' is not in {folder}; name its folder as '{name}:DIR', "
        f"or fetch it once with: cli data get {name} --from DIR|URL"
    )
