"""CSE, contextual string embeddings (Akbik et al. 2018): the states of two character language models at each word.

In: sentences of tokens and a folder with ``forward.*`` and ``backward.*``. Out: for each token the forward model's
state after the blank that follows it, then the backward model's state after the blank before it, exactly as
flair's ``FlairEmbeddings`` gives them. The string of a sentence is its tokens joined by blanks, between the model's
document delimiter and one more blank. Only the states at words' edges are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from featstore.bundled import bundled
from featstore.encoders.beginnings import Ints, find_beginnings
from featstore.encoders.charlm import CharLM
from featstore.encoders.charlm_file import find_charlm, load_charlm
from featstore.encoders.contract import check_tokens
from featstore.encoders.kernels import Linear, linear
from featstore.encoders.lanes import schedule
from featstore.encoders.options import device_of
from featstore.encoders.recurrent import VECTOR, WantedStates, looked_up, lstm_layer, run
from featstore.errors import DataError
from featstore.fingerprint import file_sha256, fingerprint
from featstore.ragged import Ragged

LANES = 128


class CSE:
    """The encoder ``cse``; see :class:`featstore.encoders.Encoder`."""

    name = "cse"
    layers = 1
    shares_text = True

    def __init__(self, folder: Path, *, device: str, precision: str) -> None:
        paths = {direction: find_charlm(folder, direction) for direction in ("forward", "backward")}
        self._device = device_of(device)
        self._models = [_Direction(_load(path, name), precision, self._device) for name, path in paths.items()]
        self.dim = sum(model.dim for model in self._models)
        self.facts: Mapping[str, object] = {
            "encoder": "cse",
            "version": 1,
            "weights": {direction: file_sha256(path) for direction, path in paths.items()},
            "precision": precision,
            "text": "tokens joined by one blank, document delimiter before, one blank after",
            "state": "zero at the start of each sentence",
        }
        self.identity = fingerprint(self.facts)

    def encode(self, batch: Sequence[Sequence[str]]) -> Ragged:
        """Encode sentences; Shape: values (sum T, D) float32.

        An empty token has no edge. It gets zeros, and the vectors of the other tokens are the same as without it.
        """
        check_tokens(batch)
        offsets = np.zeros(len(batch) + 1, dtype=np.int64)
        np.cumsum([len(tokens) for tokens in batch], out=offsets[1:])
        values = np.zeros((offsets[-1], self.dim), dtype=np.float32)
        written = np.array([token != "" for tokens in batch for token in tokens], dtype=bool)
        sentences = [kept for tokens in batch if (kept := [token for token in tokens if token])]
        column = 0
        for model in self._models:
            if sentences:
                values[written, column : column + model.dim] = model.encode(sentences).cpu().numpy()
            column += model.dim
        return Ragged(values, offsets)


def _load(path: Path, direction: str) -> CharLM:
    lm = load_charlm(path)
    if lm.config.is_forward != (direction == "forward"):
        raise DataError(
            f"{path} holds a {'forward' if lm.config.is_forward else 'backward'} model; exchange the two files."
        )
    return lm


class _Direction:
    """One character language model, ready to run."""

    def __init__(self, lm: CharLM, precision: str, device: torch.device) -> None:
        self._config, self._device, self.dim = lm.config, device, lm.config.dim
        self._index = {item: i for i, item in enumerate(lm.config.items) if len(item) == 1}
        w = lm.weights
        self._layers = [
            lstm_layer(
                # The layer below gives its padded width.
                F.pad(w[f"rnn.weight_ih_l{i}"], (0, -lm.config.hidden_size % VECTOR if i else 0)),
                w[f"rnn.weight_hh_l{i}"],
                w[f"rnn.bias_ih_l{i}"] + w[f"rnn.bias_hh_l{i}"],
                device=device,
                precision=precision,
                input_precision="float32" if i == 0 else precision,
            )
            for i in range(lm.config.nlayers)
        ]
        self._characters = w["encoder.weight"].to(device)
        self._proj: Linear | None = None
        if lm.config.nout is not None:
            self._proj = linear(w["proj.weight"], w["proj.bias"], "float32", device)

    @torch.inference_mode()
    def encode(self, sentences: Sequence[Sequence[str]]) -> Tensor:
        """Return the state at the edge of every token; Shape: (sum T, dim)."""
        ids, lengths, edges = self._read(sentences)
        beginnings = find_beginnings(ids, lengths)
        plan = schedule(beginnings, LANES)
        wanted = WantedStates(plan, beginnings.of_item[edges], self._device)
        last = ids[beginnings.last_item]
        lowest, *upper = self._layers
        layers = [looked_up(lowest, self._characters, last), *upper]
        # index_select is several times faster here than indexing with brackets.
        source = partial(torch.from_numpy(last).to(self._device).index_select, 0)
        states = torch.empty(len(edges), self._config.hidden_size, device=self._device)
        for block, outputs in run(layers, plan, source, self._device):
            rows, places = wanted.within(block)
            states.index_copy_(0, places, outputs[-1].index_select(0, rows)[:, : self._config.hidden_size])
        return states if self._proj is None else self._proj(states)

    def _read(self, sentences: Sequence[Sequence[str]]) -> tuple[Ints, Ints, Ints]:
        """Return the characters of all strings end to end, the strings' lengths, and each token's edge in them."""
        ids: list[int] = []
        lengths, edges = [], []
        start = self._config.document_delimiter
        for tokens in sentences:
            text = " ".join(tokens)
            words = tokens
            if not self._config.is_forward:
                text, words = text[::-1], tokens[::-1]
            # The blank after each word, or for the last word the blank that ends the string.
            ends = list(accumulate((len(word) + 1 for word in words), initial=len(ids) + len(start) - 1))[1:]
            edges += ends if self._config.is_forward else ends[::-1]
            before = len(ids)
            ids += [self._index.get(character, 0) for character in f"{start}{text} "]
            lengths.append(len(ids) - before)
        return np.array(ids), np.array(lengths), np.array(edges)


def load(path: str | None, *, device: str = "cpu", precision: str = "float32") -> CSE:
    """Load the encoder from a folder, or the bundled one.

    Raises:
        MissingFileError: a model is not there.
        DataError: a model is damaged, or reads in the other direction.
        UsageError: an unknown device or precision.
    """
    return CSE(Path(path) if path else bundled("cse"), device=device, precision=precision)
