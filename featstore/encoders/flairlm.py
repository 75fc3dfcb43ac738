"""flair's ``.pt`` character language models, read without running what a pickle may hold.

In: a file that flair's ``LanguageModel.save`` wrote, in any of its versions. Out: our settings and the state
dict. torch's ``weights_only`` refuses these files: flair writes pickle protocol 4 and a ``flair.data.Dictionary``. So
torch reads them with an unpickler of ours that builds five known things and refuses every other name; flair
itself is needed only to write.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from featstore.encoders.charlm import CharLMConfig
from featstore.errors import DataError


class _DictionaryStandIn:
    """Takes the place of ``flair.data.Dictionary``: it holds the attributes and has no methods."""


def _latin1(text: str, *_: str) -> bytes:
    """Protocol 2 spells a bytes object as a call of ``codecs.encode(text, 'latin1')``."""
    return text.encode("latin1")


# Each name leads to a function of ours, so that a pickle can neither call nor change anything else.
_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("flair.data", "Dictionary"): _DictionaryStandIn,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _latin1,
    ("torch._utils", "_rebuild_tensor_v2"): lambda *args: torch._utils._rebuild_tensor_v2(*args),
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
}


class _AllowList:
    """The ``pickle_module`` for :func:`torch.load`, which builds only what is in ``_ALLOWED``."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> object:
            if (module, name) not in _ALLOWED:
                raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a language model has no use for")
            return _ALLOWED[module, name]

    @staticmethod
    def load(file: IO[bytes], *, encoding: str = "utf-8") -> object:
        return _AllowList.Unpickler(file, encoding=encoding).load()


def read_flair(path: Path) -> tuple[CharLMConfig, Mapping[str, Tensor]]:
    """Read a flair language model; nothing of the file is executed.

    Raises:
        DataError: the file is not a flair language model, or it holds more than tensors and flair's dictionary.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise DataError(f"{path} is a TorchScript program, not a flair language model.")
    try:
        state = torch.load(path, map_location="cpu", pickle_module=_AllowList, weights_only=False)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise DataError(
            f"{path} is not a flair language model that can be read safely: {error}. Save it with flair's"
            " LanguageModel.save, or as our .safetensors."
        ) from error
    try:
        return _config(state), dict(state["state_dict"])
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not a flair language model: {error!r}.") from error


def _config(state: Any) -> CharLMConfig:
    """Translate the constructor arguments that flair keeps beside the weights."""
    kind = str(state.get("recurrent_type", "lstm"))
    if kind.lower() != "lstm":
        raise ValueError(f"its recurrent layer is {kind}, only LSTM is supported")
    return CharLMConfig(
        hidden_size=int(state["hidden_size"]),
        nlayers=int(state["nlayers"]),
        embedding_size=int(state["embedding_size"]),
        nout=None if state["nout"] is None else int(state["nout"]),
        is_forward=bool(state["is_forward_lm"]),
        document_delimiter=str(state.get("document_delimiter", "\n")),
        dropout=float(state["dropout"]),
        items=_items(state["dictionary"].item2idx, len(state["dictionary"].idx2item)),
    )


def _items(indices: Mapping[bytes, int], count: int) -> tuple[str, ...]:
    """Return the characters by index as flair looks them up; an index that no character has stays empty."""
    items = [""] * count
    for item, index in indices.items():
        if not 0 <= index < count or items[index]:
            raise ValueError(f"its dictionary gives {item!r} the index {index}, which is not free below {count}")
        items[index] = item.decode("utf-8")
    return tuple(items)


def write_flair(file: IO[bytes], config: CharLMConfig, weights: Mapping[str, Tensor]) -> None:
    """Write a ``.pt`` that flair's ``LanguageModel.load_language_model`` and ``FlairEmbeddings`` take."""
    from flair.data import Dictionary

    dictionary = Dictionary(add_unk=False)
    dictionary.idx2item = [item.encode("utf-8") for item in config.items]
    dictionary.item2idx = {item: index for index, item in enumerate(dictionary.idx2item) if item}
    dictionary.add_unk = True  # an unknown character has index 0
    state = {
        "state_dict": OrderedDict(weights),
        "dictionary": dictionary,
        "is_forward_lm": config.is_forward,
        "hidden_size": config.hidden_size,
        "nlayers": config.nlayers,
        "embedding_size": config.embedding_size,
        "nout": config.nout,
        "document_delimiter": config.document_delimiter,
        "dropout": config.dropout,
        "recurrent_type": "LSTM",
        "has_decoder": "decoder.weight" in weights,
    }
    torch.save(state, file, pickle_protocol=4)  # given a path, torch would write its name into the file
