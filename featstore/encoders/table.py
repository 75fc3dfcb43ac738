"""The table of encoders, and loading one by its spec.

Each encoder lives in a file of its own that is imported when it is asked for; adding one is that file and a line in
``ENCODERS``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from featstore.encoders.contract import Encoder
from featstore.errors import UsageError, did_you_mean

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
