"""Files of weights, each described by facts beside it: of a head, a tagger, a sentence filter."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from featstore.errors import MismatchError, MissingFileError


def read_weights(path: Path, digest: str, described_in: str, made_by: str) -> bytes:
    """Read a file of weights.

    Args:
        path: the file.
        digest: the sha256 that the facts have of it.
        described_in: the name of the file of the facts, for the message.
        made_by: what makes such files, for the message.

    Raises:
        MissingFileError: there is none.
        MismatchError: it belongs to other facts.
    """
    try:
        weights = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist; {made_by}.") from error
    if sha256(weights).hexdigest() != digest:
        raise MismatchError(f"{path} is not the file that {described_in} describes; {made_by}.")
    return weights
