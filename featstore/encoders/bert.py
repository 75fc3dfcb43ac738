"""Any BERT-like checkpoint of Hugging Face's transformers, as vectors of words.

In: sentences of tokens and a folder that ``AutoModel`` and ``AutoTokenizer`` load. Out: for each token, in each chosen
layer, its first subword's vector or the mean over its subwords. A sentence that is longer than the model can read is
cut into windows that overlap by half. The vector of a subword comes from the window in which it is farthest from an
edge, so nothing is dropped. Windows of equal length are run together and nothing is padded. The matrix products come
from :mod:`featstore.encoders.kernels`, so every precision is available.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from featstore.encoders.beginnings import Ints
from featstore.encoders.contract import check_tokens
from featstore.encoders.kernels import linear
from featstore.encoders.options import PRECISIONS, device_of
from featstore.encoders.spec import ALL
from featstore.encoders.weights import is_finite
from featstore.errors import DataError, MissingFileError, UsageError, check_choice
from featstore.fingerprint import file_sha256, fingerprint
from featstore.ragged import Ragged

BATCH_SUBWORDS = 4096
POOLING = ("first", "mean")
# The files of a checkpoint that decide the vectors.
SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".bin")


class BERT:
    """The encoder ``bert``; see :class:`featstore.encoders.Encoder`."""

    name = "bert"
    shares_text = False

    def __init__(self, folder: Path, *, layers: Sequence[int] | str, pooling: str, device: str, precision: str) -> None:
        self._pooling = check_choice("pooling", pooling, POOLING)
        self._device = device_of(device)
        check_choice("precision", precision, PRECISIONS)
        self._tokenizer, self._model = _load(folder)
        use_kernels(self._model, precision, self._device)
        self._model.to(self._device)
        depth = int(self._model.config.num_hidden_layers)
        self._chosen = _chosen(layers, depth, folder)
        self.layers = len(self._chosen)
        self.dim = self.layers * int(self._model.config.hidden_size)
        self._unknown = self._tokenizer.unk_token_id or 0
        special = self._tokenizer.build_inputs_with_special_tokens([-1])
        self._before = special.index(-1)
        self._room = _positions(self._tokenizer, self._model) - (len(special) - 1)
        files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
        self.facts: Mapping[str, object] = {
            "encoder": "bert",
            "version": 1,
            "weights": {path.name: file_sha256(path) for path in files},
            "precision": precision,
            "layers": self._chosen,
            "pooling": pooling,
            "window": self._room,
        }
        self.identity = fingerprint(self.facts)

    @torch.inference_mode()
    def encode(self, batch: Sequence[Sequence[str]]) -> Ragged:
        """Encode sentences; Shape: values (sum T, D) float32."""
        check_tokens(batch)
        offsets = np.zeros(len(batch) + 1, dtype=np.int64)
        np.cumsum([len(tokens) for tokens in batch], out=offsets[1:])
        ids, owners = self._subwords(batch)
        windows = [w for start, length in _runs(owners, offsets) for w in _windows(start, length, self._room)]
        vectors = torch.empty(len(ids), self.layers, self.dim // self.layers, device=self._device)
        for group in _groups(windows):
            states = self._run([ids[w.start : w.start + w.length] for w in group])
            for window, state in zip(group, states, strict=True):
                kept = slice(window.start + window.keep.start, window.start + window.keep.stop)
                vectors[kept] = state[window.keep]
        return Ragged(self._pool(vectors, owners, int(offsets[-1])).flatten(1).cpu().numpy(), offsets)

    def _subwords(self, batch: Sequence[Sequence[str]]) -> tuple[list[int], Ints]:
        """Return the subwords of all sentences end to end, and for each the token (a row) that it belongs to."""
        ids: list[int] = []
        owners: list[int] = []
        distinct = sorted({token for tokens in batch for token in tokens}) or ["."]
        # Each token as a text of its own, so that none can melt into its neighbour.
        pieces = self._tokenizer(
            [[token] for token in distinct], is_split_into_words=True, add_special_tokens=False, verbose=False
        )["input_ids"]
        # A token of blanks or control characters alone has no subword; it is unknown, but it is there.
        known = {token: own or [self._unknown] for token, own in zip(distinct, pieces, strict=True)}
        for row, token in enumerate(token for tokens in batch for token in tokens):
            ids += known[token]
            owners += [row] * len(known[token])
        return ids, np.array(owners, dtype=np.int64)

    def _run(self, group: Sequence[Sequence[int]]) -> Tensor:
        """Return the chosen layers of windows of equal length; Shape: (windows, length, layers, hidden)."""
        whole = [self._tokenizer.build_inputs_with_special_tokens(list(ids)) for ids in group]
        ids = torch.tensor(whole, device=self._device)
        states = self._model(
            input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True
        ).hidden_states
        inside = slice(self._before, self._before + len(group[0]))
        return torch.stack([states[layer][:, inside] for layer in self._chosen], dim=2)

    def _pool(self, vectors: Tensor, owners: Ints, rows: int) -> Tensor:
        """Return one vector a token of its subwords' vectors; Shape: (subwords, layers, hidden) to (rows, ..)."""
        first = torch.from_numpy(np.searchsorted(owners, np.arange(rows))).to(self._device)
        if self._pooling == "first":
            return vectors[first]
        owner = torch.from_numpy(owners).to(self._device)
        counts = torch.bincount(owner, minlength=rows).clamp_min_(1)[:, None, None]
        return vectors.new_zeros(rows, *vectors.shape[1:]).index_add_(0, owner, vectors) / counts


@dataclass(frozen=True, slots=True)
class _Window:
    """A stretch of subwords that the model reads at once, and the part of it whose vectors are kept."""

    start: int
    length: int
    keep: slice


def _windows(start: int, length: int, room: int) -> Iterator[_Window]:
    """Cut ``length`` subwords from ``start`` into windows of at most ``room``, each overlapping the next by half.

    The kept parts meet in the middle of each overlap, where both windows see equally far.
    """
    stride = max(1, room // 2)
    begins = [*range(0, max(0, length - room), stride), max(0, length - room)]
    for i, begin in enumerate(begins):
        size = min(room, length)
        low = 0 if i == 0 else (begins[i - 1] + size - begin) // 2
        high = size if i == len(begins) - 1 else begins[i + 1] - begin + (begin + size - begins[i + 1]) // 2
        yield _Window(start + begin, size, slice(low, high))


def _runs(owners: Ints, offsets: Ints) -> Iterator[tuple[int, int]]:
    """Yield first subword and number of subwords of each sentence that has any."""
    bounds = np.searchsorted(owners, offsets)
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if high > low:
            yield low, high - low


def _groups(windows: Sequence[_Window]) -> Iterator[list[_Window]]:
    """Yield windows of equal length, as many as BATCH_SUBWORDS allows."""
    for length, equal in groupby(sorted(windows, key=lambda window: window.length), key=lambda window: window.length):
        same = list(equal)
        many = max(1, BATCH_SUBWORDS // length)
        yield from (same[i : i + many] for i in range(0, len(same), many))


class _Product(nn.Module):
    """A linear layer by our kernels."""

    def __init__(self, layer: nn.Linear, precision: str, device: torch.device) -> None:
        super().__init__()
        bias = None if layer.bias is None else layer.bias.detach()
        self._rows = linear(layer.weight.detach(), bias, precision, device)

    def forward(self, x: Tensor) -> Tensor:
        rows = self._rows(x.reshape(-1, x.shape[-1]).float())
        return rows.to(x.dtype).reshape(*x.shape[:-1], -1)


def use_kernels(module: nn.Module, precision: str, device: torch.device) -> None:
    """Replace every linear layer below ``module`` by one of our kernels, which computes but cannot be trained.

    Raises:
        UsageError: the precision does not exist, or this machine does not support it.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, _Product(child, precision, device))
        else:
            use_kernels(child, precision, device)


def _load(folder: Path) -> tuple[Any, Any]:
    """Return tokenizer and model. Only local files are read, and no code that comes with the checkpoint is run."""
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    if not (folder / "config.json").is_file():
        raise MissingFileError(
            f"{folder}/config.json does not exist; bert:DIR needs a folder with a checkpoint of transformers."
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True, add_prefix_space=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"{folder} is not a checkpoint that transformers can load: {error}") from error
    for name, tensor in model.named_parameters():
        if not is_finite(tensor):
            raise DataError(
                f"{folder}: '{name}' holds NaN or infinite values; the model was not trained or saved well."
            )
    return tokenizer, model.eval()


def _chosen(layers: Sequence[int] | str, depth: int, folder: Path) -> list[int]:
    """Return the numbers of the chosen layers, from 0 (the embeddings) to ``depth``."""
    if layers == ALL:
        return list(range(depth + 1))
    numbers = [int(layer) for layer in layers]
    if not numbers or not all(-depth - 1 <= number <= depth for number in numbers):
        raise UsageError(
            f"layers {numbers} of {folder}: choose from 0 (the embeddings) to {depth}, from -1 down, or all."
        )
    chosen = [number % (depth + 1) for number in numbers]
    if len(set(chosen)) < len(chosen):
        raise UsageError(f"layers {numbers} of {folder} name one twice; name each once.")
    return chosen


def _positions(tokenizer: Any, model: Any) -> int:
    """Return how many subwords the model reads at once, special ones included."""
    table = int(getattr(model.config, "max_position_embeddings", 512))
    if getattr(model.config, "model_type", "") in ("roberta", "camembert", "xlm-roberta"):
        table -= 2  # their positions begin after the padding index
    return min(table, int(tokenizer.model_max_length))


def load(
    path: str | None,
    *,
    layers: Sequence[int] | str = (-1,),
    pooling: str = "first",
    device: str = "cpu",
    precision: str = "float32",
) -> BERT:
    """Load the encoder from a checkpoint folder.

    Args:
        path: the folder.
        layers: the layers whose vectors are returned, numbered as in transformers (0 is the embeddings and -1 the last
            layer), or ``all``.
        pooling: ``first`` subword, or ``mean`` over a token's subwords.
        device: torch's name of the device.
        precision: precision of the linear layers.

    Raises:
        UsageError: no path, or an unknown option.
        MissingFileError: no checkpoint there.
        DataError: it cannot be loaded.
    """
    if path is None:
        raise UsageError("bert has no bundled model; name a checkpoint folder: bert:DIR.")
    return BERT(Path(path), layers=layers, pooling=pooling, device=device, precision=precision)
