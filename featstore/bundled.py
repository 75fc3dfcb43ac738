"""Where the small things that the project ships are: the sample corpus and the encoders.

In: a name below ``data/``. Out: its path, in a checkout (``data/`` beside the packages) as in an installed
wheel (``featstore/data/``).
"""

from __future__ import annotations

from pathlib import Path

from featstore.errors import MissingFileError

_PACKAGE = Path(__file__).resolve().parent


def bundled(name: str) -> Path:
    """Return the path of ``data/NAME``.

    Raises:
        MissingFileError: it is in neither place: the installation is not whole.
    """
    for root in (_PACKAGE / "data", _PACKAGE.parent / "data"):
        if (root / name).exists():
            return root / name
    raise MissingFileError(f"the bundled data '{name}' is not installed; install featstore again.")
