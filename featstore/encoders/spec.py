"""The words that name encoders: ``NAME``, ``NAME:PATH`` and ``NAME[LAYERS]:PATH``.

In: text, one word or a list. Out: the name, the layers and the path that a word holds. Importing this needs no torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from featstore.errors import UsageError

ALL = "all"
_WORD = re.compile(r"(?P<name>[^:\[]*)(\[(?P<layers>[^\]:]*)\])?(:(?P<path>.*))?", re.DOTALL)
_COMMA = re.compile(r",(?![^\[\]:]*\])")  # not within the brackets of a list of layers


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """An encoder as a user names it.

    Attributes:
        name: which one.
        layers: numbers of the layers that it is to give, or ``all``; None: those that it usually gives.
        path: of its weights; None: those that come with featstore.
    """

    name: str
    layers: tuple[int, ...] | str | None = None
    path: str | None = None


def parse_spec(text: str) -> EncoderSpec:
    """Read ``NAME``, ``NAME:PATH`` or ``NAME[LAYERS]:PATH``, where LAYERS is ``all`` or numbers such as ``2,4,-1``.

    Raises:
        UsageError: it is none of these.
    """
    match = _WORD.fullmatch(text)
    if not match:
        raise UsageError(f"'{text}' does not name an encoder; write NAME, NAME:PATH or NAME[LAYERS]:PATH.")
    return EncoderSpec(match["name"], _layers(match["layers"], text), match["path"] or None)


def split_specs(text: str) -> list[str]:
    """Return the words of a list that commas separate; the commas in ``bert[2,4]:DIR`` belong to the word."""
    return [word.strip() for word in _COMMA.split(text) if word.strip()]


def _layers(text: str | None, spec: str) -> tuple[int, ...] | str | None:
    if text is None or text == ALL:
        return text
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"the layers in '{spec}' are not numbers; write for instance bert[2,4,6]:DIR, or bert[all]:DIR. How layers "
            "that are stored are read is chosen with --features."
        ) from error
