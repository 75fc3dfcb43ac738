"""How long encoding took, kept beside the vectors: ``pace.json`` in a feature set (FORMAT.md, section 2).

In: tokens that were encoded and the seconds for them. Out: the sums over all runs that wrote to the set, so that a
report can say what a sentence costs. It is a note and not part of the vectors. A set without it, or with an unreadable
one, works as well.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from featstore.errors import MissingFileError
from featstore.stores.location import place_of

PACE_FILE = "pace.json"


@dataclass(frozen=True, slots=True)
class Pace:
    """The time that encoding has taken so far.

    Attributes:
        tokens: number of encoded tokens.
        seconds: of one process, from its first batch to its last shard; two that work for a minute count two.
    """

    tokens: int
    seconds: float


def read_pace(path: str | Path) -> Pace | None:
    """Return the time that encoding the set at ``path`` took; None if it is not known."""
    try:
        return Pace(**json.loads(place_of(path).read(PACE_FILE)))
    except (MissingFileError, ValueError, TypeError):
        return None


def add_pace(path: str | Path, more: Pace) -> None:
    """Add to the time that encoding the set at ``path`` took. If two processes do this at once, one addition may be
    lost.

    Raises:
        ResourceError: the store cannot be written.
    """
    known = read_pace(path) or Pace(0, 0.0)
    total = Pace(known.tokens + more.tokens, known.seconds + more.seconds)
    place_of(path).publish({PACE_FILE: {"": json.dumps(asdict(total)).encode("utf-8")}})
