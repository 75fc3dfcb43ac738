"""Encoders: tokens in, one vector a token out.

In: a spec ``NAME`` or ``NAME:PATH``. Out: an :class:`Encoder`. Each encoder lives in a file of its own that
is imported when it is asked for; adding one is that file and a line in ``ENCODERS``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from featstore.errors import UsageError, did_you_mean
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


# name -> "module:factory"; a factory takes the PATH of the spec (None: the bundled default) and options.
ENCODERS: dict[str, str] = {
    "glove": "featstore.encoders.glove:load",
    "bioglove": "featstore.encoders.glove:load_biomedical",
    "cse": "featstore.encoders.cse:load",
    "elmo": "featstore.encoders.elmo:load",
    "bert": "featstore.encoders.bert:load",
}


def load_encoder(spec: str, **options: Any) -> Encoder:
    """Load the encoder that ``spec`` names.

    Args:
        spec: ``NAME`` (the bundled default) or ``NAME:PATH``.
        options: what the encoder's factory takes (``device``, ``precision``, ..).

    Raises:
        UsageError: no encoder of that name.
        MissingFileError, DataError: the weights are not there, or not what they should be.
    """
    name, _, path = spec.partition(":")
    if name not in ENCODERS:
        raise UsageError(
            f"encoder '{name}' is unknown; choose from {', '.join(ENCODERS)}, each alone or as NAME:PATH."
            f"{did_you_mean(name, list(ENCODERS))}"
        )
    module, _, factory = ENCODERS[name].partition(":")
    encoder: Encoder = getattr(import_module(module), factory)(path or None, **options)
    return encoder
