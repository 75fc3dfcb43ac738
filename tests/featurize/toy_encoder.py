"""A toy encoder, as somebody would add one: this file, and a line in the table.

The vector of a token is (its length, its position, 1 + the sum of its characters modulo 97).
"""

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from featstore.errors import ResourceError
from featstore.fingerprint import fingerprint
from featstore.ragged import Ragged


class ToyEncoder:
    name = "toy"
    dim = 3
    layers = 1
    shares_text = False

    def __init__(
        self,
        salt: int,
        *,
        kill_at: str | None = None,
        too_large: str | None = None,
        full_at: str | None = None,
        pause: float = 0.0,
    ) -> None:
        self.salt = salt
        self.kill_at = kill_at
        self.too_large = too_large
        self.full_at = full_at
        self.pause = pause
        self.encoded: list[tuple[str, ...]] = []

    @property
    def facts(self) -> Mapping[str, object]:
        return {"encoder": "toy", "weights": {"salt": str(self.salt)}}

    @property
    def identity(self) -> str:
        return fingerprint(self.facts)

    def encode(self, batch: Sequence[Sequence[str]]) -> Ragged:
        time.sleep(self.pause)
        parts = []
        for sentence in batch:
            if self.kill_at in sentence:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.too_large in sentence:
                raise MemoryError
            if self.full_at in sentence:
                raise ResourceError("the disk is full")
            self.encoded.append(tuple(sentence))
            rows = [(len(t), i, 1 + sum(map(ord, t)) % 97 + self.salt) for i, t in enumerate(sentence)]
            parts.append(np.array(rows, dtype=np.float32).reshape(-1, 3))
        return Ragged.from_list(parts, self.dim)


def load(path: str | None, *, device: str, precision: str) -> ToyEncoder:
    """The factory; PATH is a JSON file that holds the salt and what shall happen."""
    del device, precision
    script = json.loads(Path(path).read_text()) if path else {}
    return ToyEncoder(script.pop("salt", 0), **script)
