"""A transformer that learns to fill gaps: masked language modelling (Devlin et al. 2019) with whole words.

In: rows of word pieces. Out: the loss on the words that were hidden. Only the hidden places reach the output layer,
whose product with the vocabulary would otherwise cost as much as a small transformer itself. Everything random comes
from (seed, number of the batch) alone, so a training that goes on hides the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from featstore.errors import UsageError
from featstore.pretrain.parallel import Group
from featstore.pretrain.schedule import PERPLEXITY, TaskFacts
from featstore.pretrain.word_pieces import PieceNumbers, PieceRows

# Of the hidden places so many show the mask and so many a random piece; the others show what they hide.
MASKED, RANDOM = 0.8, 0.1
# The output layer that predicts pieces, as transformers names it: in BERT's and in RoBERTa's family.
_HEADS = ("cls", "lm_head")
_NO_LOSS = -100  # no piece
_HELD_OUT_SEED = 0


def hide(
    rows: PieceNumbers, words: PieceNumbers, share: float, mask: int, pieces: int, rng: np.random.Generator
) -> tuple[PieceNumbers, PieceNumbers]:
    """Hide a share of the words of rows, each with all its pieces.

    Args:
        rows: pieces; Shape: (B, T).
        words: number of each piece's word within its row, or -1 of special pieces; Shape: (B, T).
        share: of the words.
        mask: the piece that stands for a hidden one.
        pieces: size of the vocabulary.

    Returns:
        what the network sees, and what it has to predict (-100 where nothing is hidden). Shape: both (B, T).
    """
    chosen = rng.random(rows.shape) < share  # a number for each word, read at the place of its number
    hidden = np.take_along_axis(chosen, np.maximum(words, 0), axis=1) & (words >= 0)
    if not hidden.any():
        hidden[0] = words[0] == 0  # a loss needs something to predict
    shown, fate = rows.copy(), rng.random(rows.shape)
    shown[hidden & (fate < MASKED)] = mask
    random = hidden & (fate >= MASKED) & (fate < MASKED + RANDOM)
    shown[random] = rng.integers(0, pieces, int(random.sum()))
    return shown, np.where(hidden, rows, _NO_LOSS)


class MaskedNetwork(nn.Module):
    """A masked language model of transformers, whose output layer sees the hidden places only.

    Args:
        model: the model.
        precision: precision of the matrix products, ``bfloat16`` or ``float32``.

    Raises:
        UsageError: its family has another output layer than BERT's or RoBERTa's.
    """

    def __init__(self, model: Any, precision: str) -> None:
        super().__init__()
        self.model, self._reduced = model, precision == "bfloat16"
        self._head = next((name for name in _HEADS if hasattr(model, name)), "")
        if not self._head:
            raise UsageError(
                f"a model of the type {model.config.model_type} cannot be trained further here; give a checkpoint of "
                "BERT's or RoBERTa's family."
            )

    def forward(self, shown: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss in nats a hidden piece. Shape: shown, targets (B, T) int64; returns ()."""
        with torch.autocast(shown.device.type, torch.bfloat16, enabled=self._reduced):
            states = self.model.base_model(input_ids=shown).last_hidden_state
            hidden = targets != _NO_LOSS
            scores = getattr(self.model, self._head)(states[hidden])
        return nn.functional.cross_entropy(scores.float(), targets[hidden])


class MaskedTask:
    """A masked language model in training; see :class:`featstore.pretrain.loop.Task`.

    Args:
        network: the network.
        rows: the text.
        held_out: the held-out text.
        mask: the piece that stands for a hidden one.
        share: of the words that are hidden.
        batch: number of rows in a batch, summed over the group.
        seed: of the order of the rows and of what is hidden.
        told: further settings in which a checkpoint must agree with this training.
        group: the processes that share each batch.
        device: torch's name of the device.
    """

    name = "bert"
    measure = PERPLEXITY

    def __init__(
        self,
        network: MaskedNetwork,
        rows: PieceRows,
        held_out: PieceRows,
        *,
        mask: int,
        share: float,
        batch: int,
        seed: int,
        told: Mapping[str, object],
        group: Group | None = None,
        device: str = "cpu",
    ) -> None:
        self.model: nn.Module = network.to(device)
        self.units = 0
        self._rows, self._held_out, self._mask, self._share, self._batch = rows, held_out, mask, share, batch
        self._seed, self._group, self._device = seed, group or Group(), device
        self._pieces = int(network.model.config.vocab_size)
        self._pass, self._permutation = -1, np.empty(0, np.int64)
        self._told = {"share": share, "length": rows.length, "batch": batch, **told}

    def loss(self) -> Tensor:
        """Mean loss of the next batch, in nats a hidden piece."""
        self.model.train()
        number = self.units // (self._batch * self._rows.length)
        places = np.arange(number * self._batch, (number + 1) * self._batch)
        self.units += self._batch * self._rows.length
        rank, size = self._group.rank, self._group.size
        return self._apply(self._rows, self._order(places)[rank::size], (self._seed, number, rank))

    def _order(self, places: PieceNumbers) -> PieceNumbers:
        """Return the numbers of the rows that are read at some places of the endless sequence of passes."""
        passes, within = np.divmod(places, len(self._rows))
        numbers = np.empty_like(places)
        for each in np.unique(passes).tolist():
            if each != self._pass:
                self._pass = each
                self._permutation = np.random.default_rng((self._seed, each)).permutation(len(self._rows))
            numbers[passes == each] = self._permutation[within[passes == each]]
        return numbers

    def _apply(self, rows: PieceRows, numbers: PieceNumbers, seed: tuple[int, ...]) -> Tensor:
        pieces, words = rows.take(numbers)
        seen = hide(pieces, words, self._share, self._mask, self._pieces, np.random.default_rng(seed))
        loss: Tensor = self.model(*(torch.from_numpy(array).to(self._device) for array in seen))
        return loss

    @torch.no_grad()
    def held_out(self) -> float:
        """Mean loss on the held-out text, in nats a hidden piece; the same words are hidden each time."""
        self.model.eval()
        total = count = 0.0
        for start in range(0, len(self._held_out), self._batch):
            numbers = np.arange(start, min(start + self._batch, len(self._held_out)))
            total += self._apply(self._held_out, numbers, (_HELD_OUT_SEED, start)).item() * len(numbers)
            count += len(numbers)
        return total / count

    def settings(self) -> Mapping[str, object]:
        """The settings that a checkpoint must share with this training."""
        return {"model": "masked", **self._told}

    def state(self) -> tuple[dict[str, Tensor], TaskFacts]:
        """How much was read, which says all."""
        return {}, {"units": self.units}

    def restore(self, tensors: Mapping[str, Tensor], facts: TaskFacts) -> None:  # noqa: ARG002
        """Go on from what :meth:`state` returned."""
        self.units = facts["units"]
