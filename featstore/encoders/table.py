"""The table of encoders, and loading one by its spec.

Each encoder lives in a file of its own that is imported when it is asked for; adding one is that file and a line in
``ENCODERS``.
"""

from __future__ import annotations

from importlib import import_module

from featstore.encoders.contract import Encoder, EncoderFactory
from featstore.errors import UsageError, did_you_mean

# name -> "module:factory", an EncoderFactory
ENCODERS: dict[str, str] = {
    "glove": "featstore.encoders.glove:load",
    "bioglove": "featstore.encoders.glove:load_biomedical",
    "cse": "featstore.encoders.cse:load",
    "elmo": "featstore.encoders.elmo:load",
    "bert": "featstore.encoders.bert:load",
}


def load_encoder(spec: str, *, device: str = "cpu", precision: str = "float32", **own: object) -> Encoder:
    """Load the encoder that ``spec`` names.

    Args:
        spec: ``NAME`` (the bundled default) or ``NAME:PATH``.
        device: torch's name of the device that it runs on, ``cpu`` or ``cuda``.
        precision: precision of its matrix products, ``float32``, ``bfloat16`` or ``int8``.
        own: options of this encoder alone, such as the ``oov`` rule of ``glove`` or the ``layers`` of ``bert``.

    Raises:
        UsageError: there is no encoder of that name.
        MissingFileError, DataError: the weights are not there, or not what they should be.
    """
    name, _, path = spec.partition(":")
    if name not in ENCODERS:
        raise UsageError(
            f"encoder '{name}' is unknown; choose from {', '.join(ENCODERS)}, each alone or as NAME:PATH."
            f"{did_you_mean(name, list(ENCODERS))}"
        )
    module, _, factory = ENCODERS[name].partition(":")
    load: EncoderFactory = getattr(import_module(module), factory)
    return load(path or None, device=device, precision=precision, **own)
