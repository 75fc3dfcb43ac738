"""How a command ends: the exit code of every error, and the message that goes with it."""

from __future__ import annotations

import errno
import functools
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

from featstore.commands.console import on_one_line
from featstore.errors import DataError, FeatstoreError, ResourceError, UsageError
from featstore.files import DISK_FULL

INTERRUPTED = 130
READER_GONE = 141  # as a shell reports a program that SIGPIPE ended
EXIT_CODES = (
    "Exit codes: 0 done; 2 wrong usage; 3 finished, but items were skipped; 4 missing or bad data; 5 damaged or "
    "mismatched store; 6 no disk space, memory or permission, or a server that does not answer; 130 "
    "interrupted, with all finished work kept."
)


def check_words(words: Sequence[str]) -> None:
    """Make sure that the words of a command line are text, as they are written into configurations and cards.

    Raises:
        UsageError: one holds bytes that are no UTF-8, which names of files may.
    """
    for word in words:
        if re.search("[\ud800-\udfff]", word):
            raise UsageError(f"'{word}' is not UTF-8; rename the file or folder.")


def ending(error: Exception) -> tuple[str, int] | None:
    """Return the message and the exit code of an error, or None for a fault of the program."""
    if isinstance(error, FeatstoreError):
        return str(error), error.exit_code
    if isinstance(error, MemoryError):
        return "out of memory; a smaller --ram-budget or --workers needs less.", ResourceError.exit_code
    if not isinstance(error, OSError):
        return None
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    if error.errno in DISK_FULL:
        return f"{what}; free some space and run the same command again.", ResourceError.exit_code
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG):
        return f"{what}; name another place.", UsageError.exit_code
    if error.errno in (errno.ENOENT, errno.ELOOP):
        return f"{what}; check the name.", DataError.exit_code
    return f"{what}; the system refused it.", ResourceError.exit_code


def say_what_was_given(error: Any) -> Any:
    """Return the parser's error on one line, with the value that was given in its text, which typer leaves out."""
    details = getattr(error.__cause__, "errors", None)
    if details is not None:
        error.message = f"'{details()[0]['input']}' was given. {error.message}."
    error.message = on_one_line(error.message)
    return error


def quiet_without_reader(command: Callable[..., None]) -> Callable[..., None]:
    """Return ``command``, ending without a message when whoever reads its output has gone (``| head``)."""

    @functools.wraps(command)
    def call(*arguments: object, **options: object) -> None:
        try:
            command(*arguments, **options)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at the very end
            raise typer.Exit(READER_GONE) from None

    return call
