"""Fetching a corpus once: to the user's data directory, whole and checked, or not at all.

In: a name, and a folder, an archive or an address (or nothing: the official source). Out: the folder where the readers
find it. Everything happens in a folder beside the final one: what was fetched is unpacked, the corpus is looked for in
it, its files alone are copied, the reader reads all of it, checksums are written. Only then is the folder renamed into
its place.

The sha256 of the public files are known (``known_sha256.json``). A file that differs is named in a warning and
kept: its structure has been read and found right, but figures may not be comparable.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from featstore.corpora.download import download
from featstore.corpora.home import CHECKSUMS, corpus_home, write_checksums
from featstore.corpora.published import OFFICIAL, corpus_files, is_file_of, is_release, tables_below
from featstore.corpora.table import load_corpus
from featstore.corpora.unpack import Allowance, unpack
from featstore.errors import DataError, MissingFileError, ResourceError, check_choice
from featstore.fingerprint import file_sha256
from featstore.progress import Progress

MAX_DOWNLOAD = 512 << 20
MAX_UNPACKED = 2 << 30
MAX_FILES = 20_000

_log = logging.getLogger(__name__)


def get_corpus(name: str, source: str | None, *, progress: Progress | None = None) -> Path:
    """Bring a corpus to the user's data directory, in place of an earlier one.

    Args:
        name: one of ``OFFICIAL``.
        source: a folder that holds the corpus (or holds it somewhere below), a zip or tar archive of one, or an
            http(s) address of such an archive; None means the official address.
        progress: called with the bytes that have arrived and all bytes (None if unknown) while downloading.

    Returns:
        The folder, as ``NAME`` alone now means it.

    Raises:
        UsageError: an unknown name or a malformed address.
        MissingFileError: ``source`` is not there, or the corpus is not in it.
        DataError: the download broke (run again to resume), the archive is unsafe or damaged, a file is malformed.
        ResourceError: the disk is full.
    """
    check_choice("corpus", name, list(OFFICIAL))
    source = source or OFFICIAL[name]
    home = corpus_home(name)
    home.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=home.parent) as work:
            opened = _opened(name, source, Path(work), progress)
            staged = Path(work) / name
            files = _copy(name, _find(name, opened, source), staged)
            files += [_copied(table, staged) for table in tables_below(name, opened) if table.name not in files]
            load_corpus(f"{name}:{staged}")
            write_checksums(staged, files, source)
            _place(staged, home, Path(work))
    except OSError as error:
        if error.errno == errno.ENOSPC and not isinstance(error, ResourceError):
            raise ResourceError(f"the disk of {home.parent} is full; make room and run the command again.") from error
        raise
    for file in differing(name, home):
        _log.warning("%s is not the public file (another sha256); figures may not be comparable.", home / file)
    return home


def differing(name: str, folder: Path) -> list[str]:
    """Return the files of a corpus, by their paths below ``folder``, that are not the known public ones.

    Of some corpora no sums are known, or not of all files; what is not known is not compared.
    """
    known = json.loads(Path(__file__).with_name("known_sha256.json").read_text(encoding="utf-8")).get(name, {})
    sums = {file: known.get(file) or known.get(Path(file).name) for file in corpus_files(name, folder)}
    if is_release(name):
        sums = {file: sha256 for file, sha256 in sums.items() if sha256}
    return [file for file, sha256 in sums.items() if file_sha256(folder / file) != sha256]


def _opened(name: str, source: str, work: Path, progress: Progress | None) -> Path:
    """Return a folder with what ``source`` holds."""
    if "://" not in source:
        given = Path(source)
        if not given.exists():
            raise MissingFileError(f"{source} does not exist; a folder, an archive or an http(s) address is wanted.")
        if given.is_dir():
            return given
        archive = given
    else:
        archive = corpus_home(name).parent / f".{name}.download"
        download(source, archive, limit=MAX_DOWNLOAD, progress=progress)
    folder = work / "unpacked"
    folder.mkdir()
    alone = source.rstrip("/").rpartition("/")[2]
    try:
        if is_file_of(name, alone):  # no archive: the one file of the corpus
            shutil.copyfile(archive, folder / alone)
        else:
            unpack(archive, folder, Allowance(MAX_UNPACKED, MAX_FILES))
    finally:
        if "://" in source:
            archive.unlink()
    return folder


def _find(name: str, folder: Path, source: str) -> Path:
    """Return the one folder, ``folder`` or below it, that holds the corpus."""
    if is_release(name) and corpus_files(name, folder):
        return folder
    found = [path for path in _folders(folder) if corpus_files(name, path)]
    # BioBERT's archive holds several corpora in one form; their folders' names tell them apart.
    named = [path for path in found if path.name.lower().replace("-", "") == name]
    if len(named or found) == 1:
        return (named or found)[0]
    if not found:
        raise MissingFileError(f"{source} does not hold {name}; see the README for the layout that is wanted.")
    places = ", ".join(str(path.relative_to(folder)) for path in named or found)
    raise DataError(f"{source} holds {name} more than once ({places}); name one of them with --from.")


def _folders(folder: Path) -> Iterator[Path]:
    yield folder
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            yield path


def _copy(name: str, found: Path, staged: Path) -> list[str]:
    """Copy the corpus's files and nothing else; return their paths."""
    files = corpus_files(name, found)
    for file in files:
        (staged / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found / file, staged / file)
    return files


def _copied(file: Path, staged: Path) -> str:
    shutil.copyfile(file, staged / file.name)
    return file.name


def _place(staged: Path, home: Path, work: Path) -> None:
    """Rename the folder into its place; an earlier one goes with the working folder.

    Raises:
        DataError: what stands there was not fetched.
    """
    if home.exists():
        if not (home / CHECKSUMS).exists():
            raise DataError(f"{home} was not put there by 'data get'; move it away first.")
        home.rename(work / "earlier")
    staged.rename(home)
