"""The files of a corpus as it was released: in a folder, or in a zip archive that is read as it is.

In: the PATH of a spec. Out: the files by name, as bytes, as rows of a table, or as documents of a format; every message
names the archive and the file in it. Malformed rows and documents become problems, and those after them are read.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import replace as with_changes
from fnmatch import fnmatchcase
from pathlib import Path

from featstore.corpora.home import corpus_folder
from featstore.corpora.lines import Row
from featstore.documents import Document, Problem
from featstore.errors import DataError, MissingFileError, UsageError, count_of
from featstore.formats import BadDocument, read_documents

_MAX_FILE = 1 << 30  # bytes that a file may have once it is unpacked
_EXTRAS = ("__MACOSX", "._")  # what macOS puts beside real files


@dataclass(frozen=True, slots=True)
class Release:
    """A folder, an archive or a single file.

    Attributes:
        path: what the user named.
        names: the files, by their paths inside of it, sorted.
    """

    path: Path
    names: tuple[str, ...]

    def place(self, name: str) -> Path:
        """Return the path of a file as messages name it; for one in an archive it does not exist."""
        return self.path / name if name else self.path

    def matching(self, ending: str) -> list[str]:
        """Return the files whose name ends so, without regard to capitals; ``*`` stands for any characters."""
        pattern = f"*{ending}".lower()
        return [name for name in self.names if fnmatchcase((name or self.path.name).lower(), pattern)]

    def one(self, *endings: str) -> str:
        """Return the one file whose name ends so; of several endings the first that a file has.

        Raises:
            MissingFileError: no file has any of them.
            DataError: several files have it.
        """
        for ending in endings:
            found = self.matching(ending)
            if len(found) > 1:
                raise DataError(f"{self.path} holds {' and '.join(found)}; one of them is wanted: name its folder.")
            if found:
                return found[0]
        raise MissingFileError(f"{self.path} holds no file whose name ends in {' or '.join(endings)}.")

    def read(self, name: str) -> bytes:
        """Return the bytes of a file; errors as :meth:`files`."""
        return next(self.files([name]))[1]

    def files(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield name and bytes of files, in the order given.

        Raises:
            DataError: one is damaged, encrypted, or larger than any corpus's.
        """
        name = ""
        try:
            if not zipfile.is_zipfile(self.path):
                for name in names:
                    yield name, _unpacked(name or self.path.name, self.place(name).read_bytes())
                return
            with zipfile.ZipFile(self.path) as archive:
                for name in names:
                    with archive.open(name) as file:
                        found = file.read(_MAX_FILE + 1)
                    if len(found) > _MAX_FILE:
                        raise DataError(f"{self.place(name)} unpacks to more than {_MAX_FILE:,} bytes.")
                    yield name, _unpacked(name, found)
        except (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(f"{self.place(name)} cannot be read: {error}.") from error

    def digest(self, names: Iterable[str]) -> str:
        """Return the sha256 (64 hex digits) of the contents of files, in the order given; names do not enter."""
        return digest_of(content for _, content in self.files(names))

    def rows(self, name: str, columns: Sequence[str], problems: list[Problem]) -> Iterator[Row]:
        """Yield the rows of a tab-separated table without header and quoting; those with other columns are problems.

        Raises:
            DataError: it cannot be read, or is not UTF-8.
        """
        raw = self.read(name).removeprefix(b"\xef\xbb\xbf")
        for number, line in enumerate(raw.split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                row = Row(self.place(name), number, tuple(line.decode("utf-8").removesuffix("\r").split("\t")))
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{self.place(name)}, line {number}: not UTF-8 ({error.reason}); save the file as UTF-8."
                ) from error
            if len(row.fields) == len(columns):
                yield row
            else:
                why = f"{count_of(len(row.fields), 'column')}; {len(columns)} are wanted: {', '.join(columns)}."
                problems.append(Problem.of(row.error(why)))

    def documents(self, name: str, format_: str, problems: list[Problem]) -> Iterator[Document]:
        """Yield the documents of a file; bad ones are problems.

        Raises:
            MissingFileError, DataError: as :func:`featstore.formats.read_documents`.
        """
        if not zipfile.is_zipfile(self.path):
            yield from _documents(self.place(name), str(self.place(name)), format_, problems)
            return
        with tempfile.TemporaryDirectory() as folder:
            unpacked = Path(folder) / Path(name).name
            unpacked.write_bytes(self.read(name))
            yield from _documents(unpacked, str(self.place(name)), format_, problems)


def digest_of(contents: Iterable[bytes]) -> str:
    """Return the sha256 (64 hex digits) of the contents of files, in the order given."""
    whole = hashlib.sha256()
    for content in contents:
        whole.update(hashlib.sha256(content).digest())
    return whole.hexdigest()


def open_release(name: str, path: str | None) -> Release:
    """Return the release that ``NAME`` or ``NAME:PATH`` means: a folder, a zip archive, or a single file.

    Raises:
        MissingFileError: there is nothing at the path.
        DataError: an archive that cannot be read.
    """
    if path is None or not Path(path).is_file():
        folder = corpus_folder(name, path)
        files = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
        return Release(folder, tuple(sorted(file for file in files if not _is_extra(file))))
    file = Path(path)
    if not zipfile.is_zipfile(file):
        return Release(file, ("",))
    try:
        with zipfile.ZipFile(file) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{file} cannot be read: {error}; fetch it again.") from error
    return Release(file, tuple(sorted(each for each in names if not _is_extra(each))))


def _unpacked(name: str, content: bytes) -> bytes:
    """Return what a file holds; of a gzip file, what is packed in it.

    Raises:
        OSError, EOFError, zlib.error: it is damaged, or larger than any corpus's file.
    """
    if not name.lower().endswith(".gz"):
        return content
    with gzip.open(io.BytesIO(content)) as packed:
        found = packed.read(_MAX_FILE + 1)
    if len(found) > _MAX_FILE:
        raise OSError(f"it unpacks to more than {_MAX_FILE:,} bytes")
    return found


def _is_extra(name: str) -> bool:
    return any(part.startswith(_EXTRAS) for part in name.split("/"))


def _documents(path: Path, place: str, format_: str, problems: list[Problem]) -> Iterator[Document]:
    for found in read_documents(path, format_):
        if isinstance(found, BadDocument):
            where = found.where.replace(str(path), place)
            problems.append(Problem(f"{where}: document {found.id or '(without an id)'}: {found.why}"))
        else:
            problems += (with_changes(p, place=p.place.replace(str(path), place)) for p in found.problems if p.lost)
            yield with_changes(found, bioc=None)


def refuse_list(name: str, instances: Path | None) -> None:
    """Refuse a list of instances for a corpus that fixes them.

    Raises:
        UsageError: one is given.
    """
    if instances is not None:
        raise UsageError(f"{name} has no list of instances: its files fix them. Leave {instances} out.")
