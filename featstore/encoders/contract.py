"""What an encoder is: the protocol that featurize and extraction rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from featstore.errors import UsageError
from featstore.ragged import Ragged


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """How an encoder computes; every encoder takes these options.

    Attributes:
        precision: precision of its matrix products, ``float32``, ``bfloat16`` or ``int8``; it is part of the encoder's
            identity.
        device: torch's name of the device it runs on, ``cpu`` or ``cuda``; it is not part of the identity.
    """

    precision: str = "float32"
    device: str = "cpu"


DEFAULT_OPTIONS = EncoderOptions()


class Encoder(Protocol):
    """What featurize needs from an encoder.

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
    def shares_text(self) -> bool:
        """Whether it reads only once what sentences of a batch share; such sentences then belong in one batch."""
        ...

    @property
    def facts(self) -> Mapping[str, object]:
        """What the identity is made of, as plain data that JSON knows.

        ``weights`` is always among the facts: the sha256 of each weight file, by a name that the encoder gives it
        (empty for an encoder without such files). Where precision matters, ``precision`` is among them.
        """
        ...

    @property
    def identity(self) -> str:
        """:func:`featstore.fingerprint.fingerprint` of ``facts``."""
        ...

    def encode(self, batch: Sequence[Sequence[str]]) -> Ragged:
        """Encode sentences; Shape: values (sum T, D) float32, in the order given.

        Raises:
            UsageError: a sentence was given as a string, not as a list of tokens.
        """
        ...


def weights_of(encoder: Encoder) -> dict[str, str]:
    """Return the sha256 of each of an encoder's weight files, as its facts state them.

    Raises:
        UsageError: the facts do not state them.
    """
    stated = encoder.facts.get("weights")
    if not isinstance(stated, Mapping):
        raise UsageError(
            f"the encoder '{encoder.name}' does not state its weights; its facts must have the sha256 of each weight "
            "file under 'weights', or nothing there if it has no such files."
        )
    return {str(name): str(digest) for name, digest in stated.items()}


class EncoderFactory(Protocol):
    """What the table of encoders names: a function that loads an encoder.

    It may take more keyword arguments of its own, with defaults: :func:`featstore.encoders.load_encoder` hands them on.
    """

    def __call__(self, path: str | None, *, device: str, precision: str) -> Encoder:
        """Load the encoder from the PATH of its spec, or the default one for None.

        Raises:
            MissingFileError, DataError: the weights are not there, or not what they should be.
            UsageError: an option that the encoder does not take.
        """
        ...


def check_tokens(batch: Sequence[Sequence[str]]) -> None:
    """Refuse a text where a list of tokens is wanted: its characters would be taken for tokens.

    Raises:
        UsageError: a sentence, or the batch itself, is a string.
    """
    text = batch if isinstance(batch, str) else next((tokens for tokens in batch if isinstance(tokens, str)), None)
    if text is not None:
        raise UsageError(
            f"'{text[:40]}' is a text; an encoder takes sentences as lists of tokens, such as "
            "[['Aspirin', 'inhibits']]."
        )
