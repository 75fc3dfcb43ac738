"""Download of one file by HTTP(S), resumed where it broke off.

In: an address and where the file should come to lie. Out: the file, whole. What has arrived lies in ``FILE.part``,
with the server's validator (ETag or date) in ``FILE.part.json``. A second attempt asks for the rest and names the
validator, so that two versions are never joined; a server that cannot resume sends the whole again.
"""

from __future__ import annotations

import errno
import json
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

from featstore.errors import DataError, ResourceError, UsageError
from featstore.progress import Progress

_CHUNK = 1 << 18
_TIMEOUT_S = 30


def download(url: str, file: Path, *, limit: int, progress: Progress | None = None) -> None:
    """Bring ``url`` to ``file``, which exists afterwards whole or not at all.

    Args:
        limit: the most bytes to take.
        progress: called now and then.

    Raises:
        UsageError: not an HTTP or HTTPS address.
        DataError: the server refuses, the connection breaks (call again to resume), or there is more than ``limit``.
        ResourceError: the disk is full.
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise UsageError(f"'{url}' is not an address; http://.. or https://.. is wanted.")
    part, note = file.with_name(file.name + ".part"), file.with_name(file.name + ".part.json")
    have, validator = _arrived(url, part, note)
    request = urllib.request.Request(url)
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", validator)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            have = _resumed_at(url, response, have)
            if not have:
                part.unlink(missing_ok=True)  # before its new validator is written down
                _remember(url, response, note)
            total = _total(response, have)
            if total is not None and total > limit:
                raise DataError(f"{url} holds {total:,} bytes; {limit:,} are allowed.")
            _receive(response, part, have, limit, url, lambda done: progress(done, total) if progress else None)
    except HTTPError as error:
        if error.code == 416:  # what has arrived is no part of what is there now
            part.unlink()
            note.unlink()
            download(url, file, limit=limit, progress=progress)
            return
        raise DataError(f"{url}: the server answers {error.code} {error.reason}.") from error
    except (OSError, HTTPException) as error:
        raise _broken(url, part, error) from error
    if total is not None and part.stat().st_size != total:
        raise DataError(f"{url}: {part.stat().st_size:,} of {total:,} bytes came; run the command again to resume.")
    part.rename(file)
    note.unlink(missing_ok=True)


def _arrived(url: str, part: Path, note: Path) -> tuple[int, str]:
    """Return how many bytes of ``url`` have arrived earlier, and their validator; 0 if they cannot be resumed."""
    if not (part.exists() and note.exists()):
        return 0, ""
    try:
        given, validator = json.loads(note.read_text(encoding="utf-8"))
    except ValueError:  # cut short by a crash
        return 0, ""
    return (part.stat().st_size, validator) if given == url and validator else (0, "")


def _remember(url: str, response: HTTPResponse, note: Path) -> None:
    """Write down of which version the bytes are; a weak ETag may not be resumed by."""
    tag = response.headers.get("ETag", "")
    validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
    note.write_text(json.dumps([url, validator]), encoding="utf-8")


def _resumed_at(url: str, response: HTTPResponse, have: int) -> int:
    """Return where the answer begins: at ``have``, or at 0 if the server sends the whole."""
    if response.status == 200:
        return 0
    given = response.headers.get("Content-Range", "")
    if response.status != 206 or not given.startswith(f"bytes {have}-"):
        raise DataError(f"{url}: asked for the bytes from {have} on, the server answers {response.status} '{given}'.")
    return have


def _total(response: HTTPResponse, have: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return have + int(length) if length.isdigit() else None


def _receive(
    response: HTTPResponse, part: Path, have: int, limit: int, url: str, report: Callable[[int], None]
) -> None:
    """Append the answer to what is there; ``have`` is 0 where it begins anew."""
    with open(part, "r+b" if have else "wb") as out:
        out.seek(have)
        out.truncate()
        while chunk := response.read(_CHUNK):
            have += len(chunk)
            if have > limit:
                raise DataError(f"{url} holds more than the {limit:,} bytes that are allowed.")
            out.write(chunk)
            report(have)


def _broken(url: str, part: Path, error: Exception) -> Exception:
    """Return the error of a connection or a disk that failed."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ResourceError(f"the disk of {part.parent} is full; make room and run the command again to resume.")
    return DataError(f"{url}: {error}; run the command again to resume.")
