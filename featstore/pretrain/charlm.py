"""Pre-train a character language model (Akbik et al. 2018), the network behind contextual string embeddings.

In: text files. Out: a :class:`~featstore.encoders.charlm.CharLM` of one direction. One LSTM reads many streams of
text in parallel; its state is carried from block to block and gradients stop at the block's edge (truncated
backpropagation through time). Matrix products run in bfloat16, and weights and optimiser stay in float32. On processors
with bfloat16 instructions this is two to three times as fast. Each process has one thread, and the two directions are
two processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from featstore.encoders.charlm import CharLM, CharLMConfig
from featstore.encoders.charlm_file import load_charlm
from featstore.errors import DataError
from featstore.fingerprint import file_sha256
from featstore.pretrain.parallel import Group
from featstore.pretrain.schedule import BITS, TaskFacts, in_measure
from featstore.pretrain.streams import Streams
from featstore.pretrain.text import Position, TextSource, sentences

UNKNOWN = "<unk>"
OUTSIDE = -1
_CODEPOINTS = 0x110000
# The number of blocks after which a stream starts again, from a zero state at the start of a sentence.
_ANEW = 16
# Sentences measured in one batch.
_TOGETHER = 64


def model_text(line: str, is_forward: bool) -> str:
    """Return a line as the model reads it: of each sentence the tokens between blanks, then a blank and a newline.

    flair gives a trained model a newline, the tokens between blanks, and a blank. A backward model reads each sentence
    in reverse, and the newline after it too.
    """
    joined = (" ".join(tokens) for tokens in sentences(line))
    return "".join((text if is_forward else text[::-1]) + " \n" for text in joined)


def learn_characters(lines: Iterable[str], least: int) -> tuple[tuple[str, ...], int]:
    """Return the dictionary and the number of characters read.

    The dictionary is ``<unk>`` and the characters that occur at least ``least`` times, most frequent first.

    Raises:
        DataError: fewer than ten characters are that frequent.
    """
    counts = np.zeros(_CODEPOINTS, np.int64)
    read = 0
    for line in lines:
        codes = _codepoints(model_text(line, True))
        np.add.at(counts, codes, 1)
        read += len(codes)
    order = np.lexsort((np.arange(_CODEPOINTS), -counts))
    items = tuple(chr(c) for c in order[: int((counts >= least).sum())])
    if len(items) < 10:
        raise DataError(
            f"only {len(items)} characters occur {least} times or more in {read:,} characters of text; a character "
            "model needs more text, or a smaller least count."
        )
    return (UNKNOWN, *items), read


def count_characters(lines: Iterable[str]) -> int:
    """Return how many characters a model reads of a text."""
    return sum(len(model_text(line, True)) for line in lines)


def _codepoints(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


class Alphabet:
    """Turns characters into indices by one table look-up. An unknown character has index 0."""

    def __init__(self, items: Sequence[str]) -> None:
        self._table = np.zeros(_CODEPOINTS, np.int32)
        for index, item in enumerate(items):
            if len(item) == 1:
                self._table[ord(item)] = index

    def encode(self, text: str) -> NDArray[np.int32]:
        return self._table[_codepoints(text)]


class CharLMNetwork(nn.Module):
    """Embedding, LSTM and output layer under the names of flair's state dict."""

    def __init__(self, config: CharLMConfig, precision: str) -> None:
        super().__init__()
        self._reduced = precision == "bfloat16"
        self.encoder = nn.Embedding(len(config.items), config.embedding_size)
        between = config.dropout if config.nlayers > 1 else 0.0
        self.rnn = nn.LSTM(config.embedding_size, config.hidden_size, config.nlayers, dropout=between)
        self.decoder = nn.Linear(config.hidden_size, len(config.items))
        self.drop = nn.Dropout(config.dropout)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        with torch.no_grad():  # a forget gate that starts open lets gradients pass from the first step on
            for layer in range(config.nlayers):
                getattr(self.rnn, f"bias_ih_l{layer}")[config.hidden_size : 2 * config.hidden_size].fill_(1.0)

    def forward(self, block: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the mean loss in nats of predicting ``block[1:]`` from ``block[:-1]``, and the new state.

        Shape: block (T + 1, B) int64, where ``OUTSIDE`` is not to be predicted; state two of (layers, B, hidden).
        """
        with torch.autocast(block.device.type, torch.bfloat16, enabled=self._reduced):
            output, state = self.rnn(self.drop(self.encoder(block[:-1].clamp_min(0))), state)
            logits = self.decoder(self.drop(output))
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), block[1:].flatten(), ignore_index=OUTSIDE)
        return loss, (state[0].detach(), state[1].detach())


class CharLMTask:
    """One direction in training; see :class:`featstore.pretrain.loop.Task`.

    Args:
        config: the model.
        source: the text.
        streams: B, streams of text side by side, over the whole group.
        length: T, characters between two cuts of the gradient.
        precision: precision of the matrix products, ``bfloat16`` or ``float32``.
        group: the processes that share the streams.
        start: file of a model of this configuration that goes on learning; None: begin with random weights.
    """

    measure = BITS

    def __init__(
        self,
        config: CharLMConfig,
        source: TextSource,
        *,
        streams: int,
        length: int,
        precision: str = "bfloat16",
        group: Group | None = None,
        device: str = "cpu",
        start: Path | None = None,
    ) -> None:
        group = group or Group()
        self.name = "forward" if config.is_forward else "backward"
        self.config, self.source, self.device = config, source, torch.device(device)
        self.model: nn.Module = CharLMNetwork(config, precision)
        self._start: dict[str, object] = {}
        if start is not None:
            self.model.load_state_dict(dict(load_charlm(start).weights))
            self._start = {"start": file_sha256(start)}
        self.model.to(self.device)
        self.units = 0
        self._total, self._length, self._precision = streams, length, precision
        self._own = slice(group.rank * streams // group.size, (group.rank + 1) * streams // group.size)
        self._alphabet = Alphabet(config.items)
        self._newline = self._alphabet.encode("\n")
        self._position = Position()
        self._streams = Streams(self._encoded(), [self._newline] * streams)
        self._state = self._zeros(streams // group.size)
        self._held_out_blocks = self._cut(np.concatenate([self._line(line) for line in source.held_out()]))

    def _line(self, line: str) -> NDArray[np.int32]:
        return self._alphabet.encode(model_text(line, self.config.is_forward))

    def _cut(self, text: NDArray[np.int32]) -> Tensor:
        """Lay held-out text into up to 64 parts of one length, a newline before each; Shape: (rows, parts)."""
        parts = max(1, min(64, len(text) // 1000))
        rows = len(text) // parts
        columns = torch.from_numpy(text[: rows * parts]).long().view(parts, rows).T
        return torch.cat([torch.full((1, parts), int(self._newline[0])), columns])

    def _encoded(self) -> Iterator[NDArray[np.int32]]:
        return (self._line(line) for line in self.source.lines(self._position))

    def _zeros(self, streams: int) -> tuple[Tensor, Tensor]:
        shape = (self.config.nlayers, streams, self.config.hidden_size)
        return torch.zeros(shape, device=self.device), torch.zeros(shape, device=self.device)

    def loss(self) -> Tensor:
        """Mean loss of the next block, in nats a character."""
        self.model.train()
        self._begin_anew(self.units // (self._total * self._length))
        block = torch.from_numpy(self._streams.block(self._length)[:, self._own]).long().to(self.device)
        self.units += self._total * self._length
        loss: Tensor
        loss, self._state = self.model(block, self._state)
        return loss

    def _begin_anew(self, step: int) -> None:
        """Let the streams whose turn it is go to their next sentence and forget their state.

        In use every sentence starts from a zero state. A model whose streams never stop hardly ever sees this state in
        training, and may behave badly from there.
        """
        for stream in range(self._total):
            if stream % _ANEW == step % _ANEW:
                self._streams.skip_to(stream, self._newline)
                if self._own.start <= stream < self._own.stop:
                    for tensor in self._state:
                        tensor[:, stream - self._own.start].zero_()

    @torch.no_grad()
    def held_out(self) -> float:
        """Mean loss on the held-out text, in nats a character; each of up to 64 parts begins from a zero state."""
        self.model.eval()
        parts = self._held_out_blocks
        state, total = self._zeros(parts.shape[1]), 0.0
        for start in range(0, len(parts) - 1, self._length):
            block = parts[start : start + self._length + 1]
            loss, state = self.model(block.to(self.device), state)
            total += loss.item() * (len(block) - 1)
        return total / (len(parts) - 1)

    def settings(self) -> Mapping[str, object]:
        """The settings that a checkpoint must share with this training."""
        return {
            "model": "charlm",
            "direction": self.name,
            "hidden_size": self.config.hidden_size,
            "nlayers": self.config.nlayers,
            "embedding_size": self.config.embedding_size,
            "dropout": self.config.dropout,
            "characters": "".join(self.config.items[1:]),
            "precision": self._precision,
            "streams": self._total,
            "length": self._length,
            **self._start,
            **self.source.facts(),
        }

    def state(self) -> tuple[dict[str, Tensor], TaskFacts]:
        """The LSTM's state, the unread rests of the streams, and the position in the text."""
        tensors = {"h": self._state[0], "c": self._state[1]}
        rests = self._streams.rests
        tensors["rests"] = torch.from_numpy(np.concatenate(rests))
        tensors["rest_lengths"] = torch.tensor([len(rest) for rest in rests])
        return tensors, {"position": self._position.facts(), "units": self.units}

    def restore(self, tensors: Mapping[str, Tensor], facts: TaskFacts) -> None:
        """Go on from what :meth:`state` returned."""
        self._state = (tensors["h"].to(self.device), tensors["c"].to(self.device))
        self._position = Position(**facts["position"])
        self.units = facts["units"]
        ends = np.cumsum(tensors["rest_lengths"].numpy())[:-1]
        rests = np.split(tensors["rests"].numpy(), ends)
        self._streams = Streams(self._encoded(), rests)

    def trained(self) -> CharLM:
        """The model as the encoders take it."""
        weights = {name: tensor.detach().float().cpu() for name, tensor in self.model.state_dict().items()}
        return CharLM(self.config, weights)


@torch.inference_mode()
def held_out_bits(lm: CharLM, source: TextSource) -> float:
    """Return the bits per character of a model on held-out sentences, each read as an encoder reads it.

    Each is read in float32, from a zero state, after a newline. The end of each sentence is predicted too.
    """
    network = CharLMNetwork(lm.config, "float32")
    network.load_state_dict(dict(lm.weights))
    network.eval()
    alphabet = Alphabet(lm.config.items)
    texts = (model_text(line, lm.config.is_forward).split("\n")[:-1] for line in source.held_out())
    rows = sorted((alphabet.encode(f"\n{text}\n") for lines in texts for text in lines), key=len)
    nats, characters = 0.0, 0
    for start in range(0, len(rows), _TOGETHER):
        block = nn.utils.rnn.pad_sequence(
            [torch.from_numpy(row).long() for row in rows[start : start + _TOGETHER]], padding_value=OUTSIDE
        )
        count = int((block[1:] != OUTSIDE).sum())
        zeros = torch.zeros(lm.config.nlayers, block.shape[1], lm.config.hidden_size)
        nats += network(block, (zeros, zeros))[0].item() * count
        characters += count
    return in_measure(BITS, nats / characters)
