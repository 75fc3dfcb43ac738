"""Folders of documents: which of their files are documents, and which some program has left there.

In: a folder. Out: what lies in it, in the order of the names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_LEFT_BEHIND = "__MACOSX"  # what macOS packs beside each file of an archive


def left_behind(name: str) -> bool:
    """Tell whether a program, not a person, has given this name to a file or folder.

    Such are names that begin with a dot (``._NAME`` and ``.DS_Store`` of macOS, ``.git``), and ``__MACOSX``.
    """
    return name.startswith(".") or name == _LEFT_BEHIND


def visible(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Return what fits one of the patterns (of :meth:`pathlib.Path.glob`) and was not left behind."""
    found = {each for pattern in patterns for each in folder.glob(pattern)}
    return sorted(each for each in found if not any(map(left_behind, each.relative_to(folder).parts)))


def plain_or_packed(path: Path) -> Path:
    """Return a path, or that of the gzipped file beside it where only that is there."""
    packed = path.with_name(f"{path.name}.gz")
    return packed if not path.exists() and packed.exists() else path
