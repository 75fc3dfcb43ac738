"""Safe unpacking of zip and tar archives that someone else made.

In: an archive. Out: its regular files below a folder. Nothing is believed: a name that leads out of the folder, a
link or a device is an error; bytes are counted as they come, not as the archive says, so that a small file cannot
unpack to a full disk. Zip files inside (ChemProt's release has them) are unpacked beside themselves.
"""

from __future__ import annotations

import errno
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from featstore.errors import DataError

_CHUNK = 1 << 18
_DEPTH = 2  # an archive and the archives in it
_MAC_EXTRAS = "__MACOSX/"  # what macOS adds to a zip: names of real files, other content

# What the standard library raises on archives that are cut short or made up.
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    OSError,
    ValueError,
    struct.error,
)


@dataclass(slots=True)
class Allowance:
    """What may still be unpacked; counts down.

    Attributes:
        bytes: bytes of all files.
        files: files and folders.
    """

    bytes: int
    files: int

    def take(self, archive: Path, size: int, files: int = 0) -> None:
        """Count; raise DataError when it is used up."""
        self.bytes -= size
        self.files -= files
        if self.bytes < 0 or self.files < 0:
            raise DataError(f"{archive} unpacks to more than is allowed for a corpus; it is not one, or it is a trap.")


def unpack(archive: Path, folder: Path, allowance: Allowance, depth: int = _DEPTH) -> None:
    """Unpack an archive below ``folder``.

    Raises:
        DataError: neither zip nor tar, damaged, a name or a kind of member that is not allowed, or too much.
    """
    try:
        for name, content in _members(archive):
            allowance.take(archive, 0, files=1)
            if _MAC_EXTRAS in name:
                continue
            target = folder / _safe(archive, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as out:
                while chunk := content.read(_CHUNK):
                    allowance.take(archive, len(chunk))
                    out.write(chunk)
            if target.suffix.lower() == ".zip" and depth > 1 and zipfile.is_zipfile(target):
                unpack(target, target.parent, allowance, depth - 1)
                target.unlink()
    except FileExistsError as error:
        raise DataError(f"{archive} holds the name {error.filename} twice.") from error
    except _DAMAGED as error:
        if isinstance(error, DataError) or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
            raise
        raise DataError(f"{archive} cannot be unpacked: {error}; fetch it again.") from error


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield name and content of each regular file; folders are passed over, anything else is an error."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                kind = info.external_attr >> 28  # the upper bits of the Unix mode; 0 where there is none
                if kind not in (0, 4, 8):
                    raise DataError(f"{archive} holds {info.filename}, which is a link or a device; refused.")
                if info.flag_bits & 1:
                    raise DataError(f"{archive} is encrypted.")
                if not info.is_dir():
                    with zipped.open(info) as content:
                        yield info.filename, content
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tarred:
            for member in tarred:
                if not (member.isreg() or member.isdir()):
                    raise DataError(f"{archive} holds {member.name}, which is a link or a device; refused.")
                file = tarred.extractfile(member)
                if file is not None:  # None for folders
                    yield member.name, file
    else:
        raise DataError(f"{archive} is neither a zip nor a tar archive.")


def _safe(archive: Path, name: str) -> PurePosixPath:
    """Return a member's name as a path that stays below the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name or ":" in name or "\0" in name:
        raise DataError(f"{archive} holds the name {name!r}, which leads out of the folder; refused.")
    return path
