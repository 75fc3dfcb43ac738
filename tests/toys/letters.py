"""An encoder as somebody would add one: this file, and a line in the table. It counts letters.

The vector of a token has a number for each letter that the weight file lists: how often the token has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from featstore.fingerprint import file_sha256, fingerprint
from featstore.ragged import Ragged


class Letters:
    name, layers, shares_text = "letters", 1, False

    def __init__(self, path: Path) -> None:
        self._letters = path.read_text(encoding="utf-8").strip()
        self.dim = len(self._letters)
        self.facts: Mapping[str, object] = {"encoder": "letters", "weights": {"letters": file_sha256(path)}}
        self.identity = fingerprint(self.facts)

    def encode(self, batch: Sequence[Sequence[str]]) -> Ragged:
        counts = [[[token.lower().count(letter) for letter in self._letters] for token in tokens] for tokens in batch]
        rows = [np.array(each, dtype=np.float32).reshape(-1, self.dim) for each in counts]
        return Ragged.from_list(rows, self.dim)


def load(path: str | None, *, device: str, precision: str) -> Letters:
    """The factory."""
    del device, precision
    assert path is not None
    return Letters(Path(path))
