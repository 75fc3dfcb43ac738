"""The table of encoders, and loading one by its spec.

Each encoder lives in a file of its own that is imported when it is asked for; adding one is that file and a line in
``ENCODERS``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from inspect import signature

from featstore.encoders.contract import DEFAULT_OPTIONS, Encoder, EncoderFactory, EncoderOptions
from featstore.encoders.spec import parse_spec
from featstore.errors import UsageError, did_you_mean

# name -> "module:factory", an EncoderFactory
ENCODERS: dict[str, str] = {
    "glove": "featstore.encoders.glove:load",
    "bioglove": "featstore.encoders.glove:load_biomedical",
    "cse": "featstore.encoders.cse:load",
    "elmo": "featstore.encoders.elmo:load",
    "elmo2": "featstore.encoders.elmo:load_second",
    "bert": "featstore.encoders.bert:load",
}
_VIEW = re.compile(r".+-(pca|random)\d+")  # how views are named (featstore.stores.maintenance.views)


def check_specs(specs: Sequence[str], options: EncoderOptions = DEFAULT_OPTIONS) -> None:
    """Make sure that each of ``specs`` can be loaded, before work is begun with the first.

    Those with a path are loaded, so that weights which are not there or not what they should be are found as well.

    Args:
        specs: as :func:`load_encoder` takes them.
        options: of all of them.

    Raises:
        UsageError, MissingFileError, DataError: as :func:`load_encoder`.
    """
    for spec in specs:
        _factory(parse_spec(spec).name)
    if len(specs) > 1:
        for spec in specs:
            if ":" in spec:
                load_encoder(spec, device=options.device, precision=options.precision)


def load_encoder(spec: str, *, device: str = "cpu", precision: str = "float32", **own: object) -> Encoder:
    """Load the encoder that ``spec`` names.

    Args:
        spec: ``NAME`` (the bundled default) or ``NAME:PATH``; ``NAME[LAYERS]:PATH`` for an encoder whose layers can be
            chosen, such as ``bert[2,4,6]:DIR``.
        device: torch's name of the device that it runs on, ``cpu`` or ``cuda``.
        precision: precision of its matrix products, ``float32``, ``bfloat16`` or ``int8``.
        own: options of this encoder alone, such as the ``oov`` rule of ``glove`` or the ``layers`` of ``bert``.

    Raises:
        UsageError: there is no encoder of that name, or its layers cannot be chosen.
        MissingFileError, DataError: the weights are not there, or not what they should be.
    """
    named = parse_spec(spec)
    factory = _factory(named.name)
    if named.layers is not None:
        if "layers" not in signature(factory).parameters:
            raise UsageError(
                f"'{spec}' chooses layers, but '{named.name}' always stores all that it has; leave the brackets out "
                "here. Layers are chosen when they are read, with --features."
            )
        own = {**own, "layers": named.layers}
    return factory(named.path, device=device, precision=precision, **own)


def _factory(name: str) -> EncoderFactory:
    """Return what makes the encoder of that name.

    Raises:
        UsageError: there is none.
    """
    if _VIEW.fullmatch(name):
        raise UsageError(
            f"'{name}' is a view, which encodes no text: its vectors are made of those of another feature set, with "
            "`cli store view`. Name that set's encoder here."
        )
    if name not in ENCODERS:
        raise UsageError(
            f"encoder '{name}' is unknown; choose from {', '.join(ENCODERS)}, each alone or as NAME:PATH."
            f"{did_you_mean(name, list(ENCODERS))}"
        )
    module, _, factory = ENCODERS[name].partition(":")
    load: EncoderFactory = getattr(import_module(module), factory)
    return load
