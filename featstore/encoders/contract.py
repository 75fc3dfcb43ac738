"""What an encoder is: the protocol that featurize and extraction rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from featstore.ragged import Ragged


class Encoder(Protocol):
    """What featurize needs of an encoder.

    Exactly one row per given token, float32. An encoder never re-tokenises, never mutates its input, keeps no
    state between sentences, and gives a sentence the same vectors whatever its batch mates are.
    """

    @property
    def name(self) -> str:
        """``glove``, ``cse``, .."""
        ...

    @property
    def dim(self) -> int:
        """D: all columns of a row; layers lie one after the other (layer-major)."""
        ...

    @property
    def layers(self) -> int:
        """How many layers of equal width the columns hold (1; ELMo 3)."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the identity is made of: plain JSON data."""
        ...

    @property
    def identity(self) -> str:
        """:func:`featstore.fingerprint.fingerprint` of ``facts``."""
        ...

    def encode(self, batch: Sequence[Sequence[str]]) -> Ragged:
        """Encode sentences; Shape: values (sum T, D) float32, in the order given."""
        ...
