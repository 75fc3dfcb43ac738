"""The one family of errors that the project raises for what a user can mend.

In: what was wrong, in words. Out: an exception that is also the matching builtin, so that a caller
who knows nothing of featstore can still write ``except FileNotFoundError``. Each class carries the
exit code that the command line returns for it; the text says what was given, what is allowed and
what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class FeatstoreError(Exception):
    """Base of the family.

    Attributes:
        exit_code: what ``cli`` returns when this error ends a command.
    """

    exit_code = 1


class UsageError(FeatstoreError, ValueError):
    """An option, a name or a combination of them that the command cannot take."""

    exit_code = 2


class DataError(FeatstoreError, ValueError):
    """A corpus, a weight file or a configuration whose content is not what its format says."""

    exit_code = 4


class MissingFileError(FeatstoreError, FileNotFoundError):
    """A file or folder that was named, or that a format demands, is not there."""

    exit_code = 4


class MissingFeatureError(FeatstoreError, KeyError):
    """Vectors that were asked for are not in the store: they were never featurized."""

    exit_code = 5

    def __str__(self) -> str:
        # KeyError shows the repr of its argument; these texts are sentences.
        return str(self.args[0]) if self.args else ""


class DamagedStoreError(FeatstoreError, OSError):
    """A store or shard whose bytes are not what was written."""

    exit_code = 5


class MismatchError(FeatstoreError, ValueError):
    """Two things that must belong together do not: a checkpoint and the vectors of other encoders."""

    exit_code = 5


class ResourceError(FeatstoreError, OSError):
    """Out of disk or memory."""

    exit_code = 6


def did_you_mean(given: str, allowed: list[str] | tuple[str, ...]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest allowed name, or an empty string."""
    from difflib import get_close_matches

    close = get_close_matches(given, allowed, n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def check_choice(what: str, given: str, allowed: Sequence[str]) -> str:
    """Return ``given`` if it is one of ``allowed``.

    Raises:
        UsageError: it is not; the text lists what is allowed and the closest name.
    """
    if given not in allowed:
        raise UsageError(
            f"{what} '{given}' is unknown; choose from {', '.join(allowed)}.{did_you_mean(given, tuple(allowed))}"
        )
    return given


def count_of(number: int, noun: str) -> str:
    """Return a number and what is counted, as a message has it: ``1 column``, ``1,024 columns``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
