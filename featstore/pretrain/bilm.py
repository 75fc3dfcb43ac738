"""Pre-train a bidirectional word language model (Peters et al. 2018), the network behind ELMo.

In: text files. Out: an :class:`~featstore.encoders.bilm.BiLM`. Each sentence is read on its own, from zero states,
between ``<S>`` and ``</S>``, forward and backward. The encoder does the same later, so its vectors come from states
that were trained. A batch holds sentences of similar length. The character CNN runs once for each *distinct* word of a
batch, and the softmax over the vocabulary is adaptive (Grave et al. 2017), which gives true probabilities, so the
reported perplexity is a true one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from featstore.encoders.bilm import CHARACTERS, DIRECTIONS, BiLM, BiLMConfig
from featstore.encoders.elmo import PADDING
from featstore.pretrain.adaptive import AdaptiveSoftmax, WordSoftmax, cutoffs_of
from featstore.pretrain.parallel import Group
from featstore.pretrain.projected_lstm import projected_lstm
from featstore.pretrain.schedule import PERPLEXITY, TaskFacts, in_measure
from featstore.pretrain.sentences import WordBatch, WordBatcher, pieces
from featstore.pretrain.text import Position, TextSource

# Lines whose sentences are sorted by length together before they are cut into batches.
_POOL_LINES = 2000
# Tokens measured in one batch.
_HELD_OUT_TOKENS = 2048


class BiLSTMLayer(nn.Module):
    """A projected LSTM in each direction, under the names of :class:`~featstore.encoders.bilm.BiLM`, stacked."""

    def __init__(self, config: BiLMConfig, precision: torch.dtype) -> None:
        super().__init__()
        self._precision = precision
        width, cells = config.projection_dim, config.dim
        self._cell_clip, self._proj_clip = config.cell_clip or math.inf, config.proj_clip or math.inf
        self.weight_ih = nn.Parameter(torch.randn(2, 4 * cells, width) * width**-0.5)
        self.weight_hh = nn.Parameter(torch.randn(2, 4 * cells, width) * width**-0.5)
        self.weight_hr = nn.Parameter(torch.randn(2, width, cells) * cells**-0.5)
        self.bias = nn.Parameter(torch.zeros(2, 4 * cells))
        with torch.no_grad():
            self.bias[:, cells : 2 * cells].fill_(1.0)  # forget gates start open

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (2, T, B, projection_dim) to the same."""
        weights = (self.weight_ih, self.weight_hh, self.bias, self.weight_hr)
        return projected_lstm(
            x, *weights, cell_clip=self._cell_clip, proj_clip=self._proj_clip, precision=self._precision
        )


class BiLMNetwork(nn.Module):
    """Character CNN, highway layers, projection, LSTM layers in both directions, adaptive softmax."""

    def __init__(self, config: BiLMConfig, vocabulary: int, *, dropout: float, precision: str) -> None:
        super().__init__()
        self._precision = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.config, self.dropout = config, nn.Dropout(dropout)
        wide, width = config.n_filters, config.projection_dim
        self.char_embed = nn.Embedding(CHARACTERS, config.char_dim)
        self.conv = nn.ModuleList(nn.Conv1d(config.char_dim, n, w) for w, n in config.filters)
        self.transform = nn.ModuleList(nn.Linear(wide, wide) for _ in range(config.n_highway))
        self.carry = nn.ModuleList(nn.Linear(wide, wide) for _ in range(config.n_highway))
        self.projection = nn.Linear(wide, width)
        self.layers = nn.ModuleList(BiLSTMLayer(config, self._precision) for _ in range(config.n_layers))
        self.softmax = AdaptiveSoftmax(width, vocabulary, cutoffs_of(vocabulary))
        for gate in self.carry:
            assert isinstance(gate, nn.Linear)
            nn.init.constant_(gate.bias, -2.0)  # at the start the layer passes the convolutions' output on

    def words(self, characters: Tensor) -> Tensor:
        """Return the token layer's vectors of words; Shape: (N, max_characters) to (N, projection_dim)."""
        longest = int((characters != PADDING).sum(1).max())
        # Windows that begin after the longest word hold only padding and are all the same, so one of them is enough.
        shown = characters[:, : min(characters.shape[1], longest + max(w for w, _ in self.config.filters))]
        embedded = self.char_embed(shown).transpose(1, 2)
        x = torch.cat([conv(embedded).amax(2) for conv in self.conv], dim=1)
        x = torch.relu(x) if self.config.activation == "relu" else torch.tanh(x)
        for transform, carry in zip(self.transform, self.carry, strict=True):
            gate = torch.sigmoid(carry(x))
            x = gate * torch.relu(transform(x)) + (1 - gate) * x
        return self.projection(x)  # type: ignore[no-any-return]

    def states(self, characters: Tensor, words: Tensor) -> list[Tensor]:
        """Return the token layer and each LSTM layer's output; Shape: each (2, T, B, projection_dim)."""
        reduced = self._precision == torch.bfloat16
        with torch.autocast(characters.device.type, torch.bfloat16, enabled=reduced):
            parts = torch.tensor_split(characters, 3)  # by length: the short ones need few windows
            vectors = torch.cat([self.words(part) for part in parts if len(part)]).float()
        states = [nn.functional.embedding(words, vectors)]
        for number, layer in enumerate(self.layers):
            output = layer(self.dropout(states[-1]))
            states.append(output + states[-1] if number and self.config.use_skip_connections else output)
        return states

    def forward(self, characters: Tensor, words: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss in nats a prediction, over both directions. Shapes as in :class:`WordBatch`."""
        x, known = self.states(characters, words)[-1], targets >= 0
        reduced = self._precision == torch.bfloat16
        with torch.autocast(characters.device.type, torch.bfloat16, enabled=reduced):
            loss: Tensor = self.softmax(self.dropout(x[known]), targets[known])
        return loss


@dataclass(frozen=True, slots=True, eq=False)
class TrainedBiLM:
    """A word biLM that a training goes on from.

    Attributes:
        lm: the model.
        softmax: the output layer that it was trained with.
        files: the sha256 of each of its files.
    """

    lm: BiLM
    softmax: WordSoftmax
    files: Mapping[str, str]


class BiLMTask:
    """A word biLM in training; see :class:`featstore.pretrain.loop.Task`.

    Args:
        config: the model.
        vocabulary: the words that the softmax predicts, the most frequent first.
        source: the text.
        dropout: share of the LSTMs' inputs and outputs that is dropped.
        tokens: number of tokens in a batch, summed over the group.
        max_tokens: longest sentence.
        precision: precision of the matrix products, ``bfloat16`` or ``float32``.
        group: the processes that share each batch.
        start: what the training goes on from, a model of this configuration and vocabulary; None: random weights.
    """

    name = "elmo"
    measure = PERPLEXITY

    def __init__(
        self,
        config: BiLMConfig,
        vocabulary: Sequence[str],
        source: TextSource,
        *,
        dropout: float,
        tokens: int,
        max_tokens: int,
        precision: str = "bfloat16",
        group: Group | None = None,
        device: str = "cpu",
        start: TrainedBiLM | None = None,
    ) -> None:
        self.config, self.vocabulary, self.source, self.device = config, vocabulary, source, torch.device(device)
        self.model: nn.Module = BiLMNetwork(config, len(vocabulary), dropout=dropout, precision=precision)
        if start is not None:
            self.model.load_state_dict(_network_weights(start.lm, start.softmax))
        self.model.to(self.device)
        self.units = 0
        self._group, self._max_tokens = group or Group(), max_tokens
        self._told: dict[str, object] = {
            "dropout": dropout,
            "precision": precision,
            "tokens": tokens,
            "max_tokens": max_tokens,
        }
        self._told |= {} if start is None else {"start": dict(start.files)}
        self._batcher = WordBatcher(vocabulary, config.max_characters, tokens)
        self._lines: Iterator[str]
        self._seek(Position(), 0)
        self._held_out = self._batcher.batches(list(pieces(source.held_out(), max_tokens)), None)

    def _seek(self, position: Position, pools: int) -> None:
        """Go on reading at ``position``, after ``pools`` pools."""
        self._position, self._pools = position, pools
        self._lines = self.source.lines(position)
        self._pool_start, self._pieces, self._taken = position.copy(), list[list[list[str]]](), 0

    def _fill(self) -> None:
        self._pool_start = self._position.copy()
        pool = list(pieces(islice(self._lines, _POOL_LINES), self._max_tokens))
        self._pieces, self._taken = self._batcher.batches(pool, self._pools), 0
        self._pools += 1

    def loss(self) -> Tensor:
        """Mean loss of the next batch, in nats a word."""
        self.model.train()
        if self._taken == len(self._pieces):
            self._fill()
        piece = self._pieces[self._taken]
        self._taken += 1
        self.units += sum(map(len, piece)) + len(piece)
        own = piece[self._group.rank :: self._group.size]
        return self._apply(self._batcher.build(own or piece))

    def _apply(self, batch: WordBatch) -> Tensor:
        arrays = (batch.characters, batch.words, batch.targets)
        loss: Tensor = self.model(*(torch.from_numpy(a).long().to(self.device) for a in arrays))
        return loss

    @torch.no_grad()
    def held_out(self) -> float:
        """Mean loss on the held-out text over both directions, in nats a word (sentence ends counted as words)."""
        self.model.eval()
        batches = [self._batcher.build(piece) for piece in self._held_out]
        return sum(self._apply(b).item() * b.tokens for b in batches) / sum(b.tokens for b in batches)

    def settings(self) -> Mapping[str, object]:
        """The settings that a checkpoint must share with this training."""
        return {
            "model": "bilm",
            "config": asdict(self.config),
            "vocabulary": hashlib.sha256("\n".join(self.vocabulary).encode("utf-8")).hexdigest(),
            **self._told,
            **self.source.facts(),
        }

    def state(self) -> tuple[dict[str, Tensor], TaskFacts]:
        """Where the present pool begins in the text, and how much of it was taken."""
        pools = self._pools - bool(self._pieces)
        return {}, {"position": self._pool_start.facts(), "pools": pools, "taken": self._taken, "units": self.units}

    def restore(self, tensors: Mapping[str, Tensor], facts: TaskFacts) -> None:  # noqa: ARG002
        """Go on from what :meth:`state` returned."""
        self._seek(Position(**facts["position"]), facts["pools"])
        self.units = facts["units"]
        if facts["taken"]:
            self._fill()
            self._taken = facts["taken"]

    def trained(self) -> BiLM:
        """The model as the encoder takes it."""
        state = {name: tensor.detach().float().cpu() for name, tensor in self.model.state_dict().items()}
        placed = _placed(self.config)
        return BiLM(self.config, {ours: state[name] if d is None else state[name][d] for name, d, ours in placed})

    def softmax(self) -> WordSoftmax:
        """The output layer, which is needed only to measure perplexity."""
        assert isinstance(self.model, BiLMNetwork)
        weights = {name: tensor.detach().float().cpu() for name, tensor in self.model.softmax.state_dict().items()}
        return WordSoftmax(tuple(self.vocabulary), weights)


def _placed(config: BiLMConfig) -> Iterator[tuple[str, int | None, str]]:
    """Yield each tensor of the network, its row where it holds both directions, and its name in an :class:`BiLM`."""
    yield "char_embed.weight", None, "char_embed"
    for part in ("weight", "bias"):
        yield f"projection.{part}", None, f"projection.{part}"
        for i in range(len(config.filters)):
            yield f"conv.{i}.{part}", None, f"conv.{i}.{part}"
        for i in range(config.n_highway):
            for gate in ("transform", "carry"):
                yield f"{gate}.{i}.{part}", None, f"highway.{i}.{gate}.{part}"
    for i in range(config.n_layers):
        for part in ("weight_ih", "weight_hh", "weight_hr", "bias"):
            for d, direction in enumerate(DIRECTIONS):
                yield f"layers.{i}.{part}", d, f"{direction}.{i}.{part}"


def _network_weights(lm: BiLM, softmax: WordSoftmax) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {f"softmax.{name}": tensor for name, tensor in softmax.weights.items()}
    for name, d, ours in _placed(lm.config):
        state[name] = lm.weights[ours] if d is None else torch.stack([*state.get(name, ()), lm.weights[ours]])
    return state


@torch.inference_mode()
def held_out_perplexity(lm: BiLM, softmax: WordSoftmax, source: TextSource, max_tokens: int = 60) -> float:
    """Return the perplexity a word of a model on held-out sentences, both directions, sentence ends counted as words.

    Each sentence is read as an encoder reads it: in float32, from a zero state.

    Args:
        softmax: the output layer that the model was trained with.
        max_tokens: longer sentences are read in pieces.
    """
    network = BiLMNetwork(lm.config, len(softmax.words), dropout=0.0, precision="float32")
    network.load_state_dict(_network_weights(lm, softmax))
    network.eval()
    batcher = WordBatcher(softmax.words, lm.config.max_characters, _HELD_OUT_TOKENS)
    nats, tokens = 0.0, 0
    for piece in batcher.batches(list(pieces(source.held_out(), max_tokens)), None):
        batch = batcher.build(piece)
        arrays = (torch.from_numpy(a).long() for a in (batch.characters, batch.words, batch.targets))
        nats += network(*arrays).item() * batch.tokens
        tokens += batch.tokens
    return in_measure(PERPLEXITY, nats / tokens)
