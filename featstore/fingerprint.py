"""What an encoder *is*, as one digest.

In: the declared facts of an encoder (kind, sha256 of its weight files, options, tokeniser, precision,
state policy, format). Out: a hex digest of their canonical JSON. No pickle, no object id, no time and no
path enters, so the same encoder has the same identity on every machine, and any one fact changed gives
another feature set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from featstore.errors import MissingFileError

# Raised when the meaning of the facts changes, so that old feature sets are not taken for new ones.
FACTS_VERSION = 1


def canonical_json(facts: Mapping[str, object]) -> str:
    """Return the one JSON text of ``facts``: keys sorted, no blanks, ASCII, no NaN.

    Raises:
        TypeError: a value that JSON does not know.
        ValueError: a NaN or an infinity.
    """
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def fingerprint(facts: Mapping[str, object]) -> str:
    """Return the identity of an encoder: the sha256 (64 hex digits) of its facts' canonical JSON."""
    versioned = {"facts_version": FACTS_VERSION, **facts}
    return hashlib.sha256(canonical_json(versioned).encode("ascii")).hexdigest()


def file_sha256(path: str | Path) -> str:
    """Return the sha256 (64 hex digits) of a file's bytes.

    Raises:
        MissingFileError: there is no such file.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist; a weight file was expected there.") from error
