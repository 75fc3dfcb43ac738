"""A character language model as a file.

In: a folder, a file or a :class:`~featstore.encoders.charlm.CharLM`. Out: the model, or its file. Our form is one
safetensors file: the tensors under the names of flair's state dict (``encoder.weight``, ``rnn.weight_ih_l0``, ..,
``decoder.weight``), the settings as JSON in the header. It holds no code, and float16 storage halves it. flair's own
``.pt`` is read and written by :mod:`featstore.encoders.flairlm`, so that a model can travel both ways.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from featstore.encoders.charlm import CharLM, CharLMConfig
from featstore.errors import DataError, MissingFileError, UsageError
from featstore.files import make_folder, open_output, write_file

FORMAT = "featstore-charlm-1"
SUFFIXES = (".safetensors", ".pt")


def find_charlm(folder: Path, direction: str) -> Path:
    """Return the file ``forward.*`` or ``backward.*`` of ``folder``.

    Raises:
        MissingFileError: there is none with a known suffix.
    """
    for suffix in SUFFIXES:
        if (folder / (direction + suffix)).is_file():
            return folder / (direction + suffix)
    raise MissingFileError(
        f"{folder} holds no {' or '.join(direction + s for s in SUFFIXES)}; a CSE folder holds a forward and a"
        " backward character language model, flair's .pt or our .safetensors."
    )


def load_charlm(path: str | Path) -> CharLM:
    """Read a character language model from our safetensors form or flair's ``.pt``.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is not such a model, or its weights do not fit its settings.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; a character language model was expected there.")
    if path.suffix == ".pt":
        from featstore.encoders.flairlm import read_flair

        return CharLM.of(path, *read_flair(path))
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is not a whole safetensors file ({error}).") from error
    if metadata.get("format") != FORMAT:
        raise DataError(
            f"{path}: the header says format {metadata.get('format')!r}, this version reads '{FORMAT}';"
            " flair's models keep their suffix .pt."
        )
    return CharLM.of(path, _config(path, metadata.get("config", "")), weights)


def save_charlm(path: str | Path, lm: CharLM, *, dtype: str = "float32") -> None:
    """Write ``lm``: to ``NAME.safetensors`` in ``dtype``, float16 or float32, or to ``NAME.pt`` as flair reads it.

    Raises:
        UsageError: another suffix or ``dtype``.
        DataError: weights that do not fit the settings or are not finite in ``dtype``; nothing is written.
    """
    path = Path(path)
    if dtype not in ("float16", "float32") or path.suffix not in SUFFIXES:
        raise UsageError(f"cannot save {path} as {dtype}; choose float16 or float32 and {' or '.join(SUFFIXES)}.")
    stored = {name: tensor.detach().to(getattr(torch, dtype)) for name, tensor in lm.weights.items()}
    whole = CharLM.of(path, lm.config, stored)
    make_folder(path.parent)
    if path.suffix == ".pt":
        from featstore.encoders.flairlm import write_flair

        with open_output(path) as file:
            write_flair(file, lm.config, whole.weights)
        return
    tensors = {name: stored[name].cpu().clone(memory_format=torch.contiguous_format) for name in whole.weights}
    metadata = {"format": FORMAT, "dtype": dtype, "config": json.dumps(asdict(lm.config), ensure_ascii=True)}
    write_file(path, _ordered(save(tensors, metadata)))


def _ordered(file: bytes) -> bytes:
    """Put the metadata of a safetensors file in the order of its keys.

    The library writes them in an order that changes from call to call, but a model's identity is the digest of its
    file: equal models must be equal bytes.
    """
    data = 8 + int.from_bytes(file[:8], "little")
    header = json.loads(file[8:data])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight bytes
    return len(text).to_bytes(8, "little") + text + file[data:]


def _config(path: Path, text: str) -> CharLMConfig:
    """Parse the settings in a safetensors header."""
    try:
        fields = json.loads(text)
        return CharLMConfig(**{**fields, "items": tuple(map(str, fields["items"]))})
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: the settings in the header cannot be read ({error}).") from error
