"""ELMo (Peters et al. 2018): a character CNN for each token, then a bidirectional LSTM, all layers kept.

In: sentences of tokens and a folder with ``options.json`` and ``weights.hdf5``. Out: for each token the token layer
doubled, then each LSTM layer's forward and backward state, as AllenNLP's ``ElmoEmbedder`` gives them with its
state reset for each sentence, so that a vector depends on its sentence alone. The token layer is computed once
for each distinct token and kept.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from featstore.bundled import bundled
from featstore.encoders.beginnings import Ints, find_beginnings
from featstore.encoders.bilm import DIRECTIONS, OPTIONS, WEIGHTS, BiLM, load_elmo
from featstore.encoders.contract import check_tokens
from featstore.encoders.kernels import linear
from featstore.encoders.lanes import schedule
from featstore.encoders.options import device_of
from featstore.encoders.recurrent import VECTOR, LSTMLayer, WantedStates, looked_up, lstm_layer, run
from featstore.fingerprint import file_sha256, fingerprint
from featstore.ragged import Ragged

log = logging.getLogger(__name__)

LANES = 128
CNN_TOKENS = 256
CNN_SIZES = (16, 64, CNN_TOKENS)  # tokens that the character CNN is given at once; of fewer it sums in another order
CNN_CHARACTERS = 8  # what their lengths are multiples of
# Character ids beyond the 256 bytes; AllenNLP's ELMoCharacterMapper.
BEGIN_SENTENCE, END_SENTENCE, BEGIN_WORD, END_WORD, PADDING = 256, 257, 258, 259, 260
BOUNDARIES = {"<S>": BEGIN_SENTENCE, "</S>": END_SENTENCE}


def character_ids(token: str, room: int) -> list[int]:
    """Return the ``room`` character ids of a token: its UTF-8 bytes between two markers, then padding.

    Bytes beyond ``room - 2`` are cut off, and characters that UTF-8 cannot encode are left out, as in AllenNLP.
    """
    content = [BOUNDARIES[token]] if token in BOUNDARIES else list(token.encode("utf-8", "ignore")[: room - 2])
    ids = [BEGIN_WORD, *content, END_WORD]
    return ids + [PADDING] * (room - len(ids))


class ELMo:
    """The encoders ``elmo`` and ``elmo2``; see :class:`featstore.encoders.Encoder`.

    Attributes:
        cut_tokens: distinct tokens seen so far that were longer than the model can read, and were therefore cut.
    """

    shares_text = True

    def __init__(self, folder: Path, *, device: str, precision: str, cached_tokens: int, name: str = "elmo") -> None:
        lm = load_elmo(folder)
        self.name = name
        self._config, self._device = lm.config, device_of(device)
        self._tokens = _TokenLayer(lm, self._device, cached_tokens)
        self._stacks = {d: _stack(lm, d, precision, self._device) for d in DIRECTIONS}
        self.layers = lm.config.n_layers + 1
        self.dim = self.layers * 2 * lm.config.projection_dim
        self.facts: Mapping[str, object] = {
            "encoder": "elmo",
            "version": 1,
            "weights": {name: file_sha256(folder / name) for name in (OPTIONS, WEIGHTS)},
            "precision": precision,
            "layers": self.layers,
            "state": "zero at the start of each sentence",
        }
        self.identity = fingerprint(self.facts)

    @property
    def cut_tokens(self) -> frozenset[str]:
        return frozenset(self._tokens.cut)

    @torch.inference_mode()
    def encode(self, batch: Sequence[Sequence[str]]) -> Ragged:
        """Encode sentences; Shape: values (sum T, D) float32, layer-major, forward before backward in each layer."""
        check_tokens(batch)
        offsets = np.zeros(len(batch) + 1, dtype=np.int64)
        np.cumsum([len(tokens) for tokens in batch], out=offsets[1:])
        if not offsets[-1]:
            return Ragged(np.zeros((0, self.dim), dtype=np.float32), offsets)
        tokens = [token for sentence in batch for token in ("<S>", *sentence, "</S>")]
        lengths = np.diff(offsets) + 2
        ends = np.cumsum(lengths)
        inside = np.delete(np.arange(len(tokens)), np.append(ends - lengths, ends - 1))
        inputs, which = self._tokens.encode(tokens)
        width = self._config.projection_dim
        values = torch.empty(len(inside), self.layers, 2, width, device=self._device)
        values[:, 0] = inputs.index_select(0, torch.from_numpy(which[inside]).to(self._device))[:, None]
        for side, direction in enumerate(DIRECTIONS):
            # Read from the end, an item changes places with its mirror image in its sentence.
            turned = np.arange(len(tokens))
            if direction == "backward":
                turned = np.repeat(2 * ends - lengths - 1, lengths) - turned
            read = which[turned]
            beginnings = find_beginnings(read, lengths)
            plan = schedule(beginnings, LANES)
            wanted = WantedStates(plan, beginnings.of_item[turned[inside]], self._device)
            last = read[beginnings.last_item]
            lowest, *upper = self._stacks[direction]
            layers = [looked_up(lowest, inputs, last), *upper]
            source = partial(torch.from_numpy(last).to(self._device).index_select, 0)
            for block, outputs in run(layers, plan, source, self._device):
                rows, places = wanted.within(block)
                for layer, output in enumerate(outputs, start=1):
                    values[:, layer, side].index_copy_(0, places, output.index_select(0, rows))
        return Ragged(values.view(len(values), self.dim).cpu().numpy(), offsets)


def _stack(lm: BiLM, direction: str, precision: str, device: torch.device) -> list[LSTMLayer]:
    """Return the LSTM layers of one direction."""
    config = lm.config
    return [
        lstm_layer(
            *(lm.weights[f"{direction}.{i}.{name}"] for name in ("weight_ih", "weight_hh", "bias", "weight_hr")),
            device=device,
            precision=precision,
            cell_clip=config.cell_clip,
            proj_clip=config.proj_clip,
            skip=config.use_skip_connections and i > 0,
        )
        for i in range(config.n_layers)
    ]


class _TokenLayer:
    """The character CNN with its highway layers and projection, and a cache of bounded size for its outputs.

    It runs in float32 at every precision. It is the first layer of the vectors, and it costs little because it is
    computed once for each distinct token.
    """

    def __init__(self, lm: BiLM, device: torch.device, cached: int) -> None:
        self._config, self._device = lm.config, device
        w = {name: tensor.to(device) for name, tensor in lm.weights.items()}
        self._characters = w["char_embed"]
        self._filters = [(w[f"conv.{i}.weight"], w[f"conv.{i}.bias"]) for i in range(len(lm.config.filters))]
        self._highways = [
            [
                linear(w[f"highway.{i}.{part}.weight"], w[f"highway.{i}.{part}.bias"], "float32", device)
                for part in ("transform", "carry")
            ]
            for i in range(lm.config.n_highway)
        ]
        self._projection = linear(w["projection.weight"], w["projection.bias"], "float32", device)
        self._activation = torch.relu if lm.config.activation == "relu" else torch.tanh
        self._known: OrderedDict[str, Tensor] = OrderedDict()
        self._cached = cached
        self.cut: set[str] = set()

    def encode(self, tokens: Sequence[str]) -> tuple[Tensor, Ints]:
        """Return the token layer of the distinct tokens and which of them each token is; Shape: (n, P), (tokens,)."""
        distinct = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
        fresh = self._compute([token for token in distinct if token not in self._known])
        rows = [fresh[t] if t in fresh else self._known[t] for t in distinct]
        for token, row in zip(distinct, rows, strict=True):
            self._known[token] = row
            self._known.move_to_end(token)
        while len(self._known) > self._cached:
            self._known.popitem(last=False)
        return torch.stack(rows), np.array([distinct[token] for token in tokens], dtype=np.int64)

    def _compute(self, tokens: Sequence[str]) -> dict[str, Tensor]:
        """Run the network on new tokens, those of about equal length together."""
        room, widest = self._config.max_characters, max(width for width, _ in self._config.filters)
        lengths: dict[int, list[tuple[str, list[int]]]] = {}
        cut = set()
        for token in tokens:
            ids = character_ids(token, room)
            if len(token.encode("utf-8", "ignore")) > room - 2 and token not in BOUNDARIES:
                cut.add(token)
            # All windows that hold only padding give the same output, so the maximum needs just one of them. Lengths
            # are rounded up, so that there are few shapes (featstore.encoders.kernels).
            used = ids.index(END_WORD) + 1 + widest
            used = min(room, used + -used % CNN_CHARACTERS)
            lengths.setdefault(used, []).append((token, ids[:used]))
        if cut - self.cut:
            self.cut |= cut
            log.warning(
                "ELMo read only the first %d bytes of %d longer tokens, such as %r", room - 2, len(cut), min(cut)
            )
        if not tokens:
            return {}
        order, convolved = [], []
        for group in lengths.values():
            for first in range(0, len(group), CNN_TOKENS):
                part = group[first : first + CNN_TOKENS]
                order += [token for token, _ in part]
                convolved.append(self._convolve(torch.tensor([ids for _, ids in part], device=self._device)))
        # Each row is cloned, because a row that is a view would keep the whole batch in memory.
        return {token: row.clone() for token, row in zip(order, self._highway(torch.cat(convolved)), strict=False)}

    def _convolve(self, ids: Tensor) -> Tensor:
        """Return each filter's largest response; Shape: (n, characters) to (n, filters)."""
        size = next(size for size in CNN_SIZES if size >= len(ids))
        filled = F.pad(ids, (0, 0, 0, size - len(ids)), value=PADDING)
        characters = self._characters[filled].transpose(1, 2)
        largest = [F.conv1d(characters, weight, bias).amax(-1) for weight, bias in self._filters]
        return torch.cat(largest, dim=-1)[: len(ids)]

    def _highway(self, convolved: Tensor) -> Tensor:
        """Return the token layer; Shape: (n, filters) to (n or more, P), in full vectors as in the LSTM."""
        x = self._activation(F.pad(convolved, (0, 0, 0, -len(convolved) % VECTOR)))
        for transform, carry in self._highways:
            x = torch.lerp(x, transform(x).relu_(), carry(x).sigmoid_())
        return self._projection(x)


def load(path: str | None, *, device: str = "cpu", precision: str = "float32", cached_tokens: int = 32_768) -> ELMo:
    """Load the encoder from a folder, or the bundled one.

    Args:
        path: the folder.
        device: torch's name of the device.
        precision: precision of the LSTMs' matrix products.
        cached_tokens: number of distinct tokens whose first layer is kept in memory, the most recent ones.

    Raises:
        MissingFileError: a file is not there.
        DataError: it is damaged, or the weights do not fit the options.
        UsageError: an unknown device or precision.
    """
    folder = Path(path) if path else bundled("elmo")
    return ELMo(folder, device=device, precision=precision, cached_tokens=cached_tokens)


def load_second(
    path: str | None, *, device: str = "cpu", precision: str = "float32", cached_tokens: int = 32_768
) -> ELMo:
    """Load ``elmo2`` from a folder, or the bundled one: ``elmo`` after it has read three times as much text.

    It has a name of its own, because the models that were trained on ``elmo`` go on needing that one.

    Args:
        path, device, precision, cached_tokens: see :func:`load`.

    Raises:
        MissingFileError, DataError, UsageError: see :func:`load`.
    """
    folder = Path(path) if path else bundled("elmo2")
    return ELMo(folder, device=device, precision=precision, cached_tokens=cached_tokens, name="elmo2")
