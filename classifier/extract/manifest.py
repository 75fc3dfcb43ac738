"""What the ``bundle.json`` of a bundle says: the model's name and licence, its encoders, and the digest of every file.

In: JSON that may come from anywhere. Out: values whose every field has its type, or one error that names the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from classifier.runs.facts import read_facts

MANIFEST, BUNDLE_VERSION = "bundle.json", 1


@dataclass(frozen=True, slots=True)
class PlacedEncoder:
    """An encoder of a bundle.

    Attributes:
        identity: of the encoder.
        path: its file or folder in the bundle; None: it is not in it.
    """

    identity: str
    path: str | None


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of a bundle: its size in bytes and its sha256."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """The content of ``bundle.json``.

    Attributes:
        format: version of the form of the bundle.
        name: what its maker calls the model.
        fingerprint: of the model.
        licence: of the model; ``other`` if nobody has said.
        encoders: by name.
        files: all other files, by their paths in the bundle.
    """

    format: int
    name: str
    fingerprint: str
    licence: str
    encoders: Mapping[str, PlacedEncoder]
    files: Mapping[str, ListedFile]


def read_manifest(folder: Path) -> BundleFacts:
    """Read the ``bundle.json`` of a bundle.

    Raises:
        MissingFileError: there is none.
        DataError: it is not the manifest of a bundle.
        MismatchError: a later version of featstore wrote it.
    """
    return read_facts(BundleFacts, folder / MANIFEST, BUNDLE_VERSION, "`cli bundle` makes it")
