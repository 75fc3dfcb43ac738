"""The network: a pre-trained transformer and an output layer over its states.

In: batches of word pieces and where the mentions are read. Out: a score for each label. Only local files are read, and
no code that comes with a checkpoint is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from classifier.systems.bert.reading import PieceReader
from featstore.errors import DataError, UsageError

_ROBERTAS = ("roberta", "camembert", "xlm-roberta")
_SHARING = ("bert", "electra", *_ROBERTAS)  # whose pieces have absolute positions that can be given
_LAYER = re.compile(r"\blayers?\.(\d+)\.")


class PairClassifier(nn.Module):
    """A transformer that scores pairs.

    Args:
        encoder: a model of transformers.
        labels: number of labels.
        readout: ``starts``, ``cls`` or ``shared``.
        dropout: rate before the output layer.
    """

    def __init__(self, encoder: Any, labels: int, readout: str, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.readout = readout
        width = int(encoder.config.hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width if readout == "cls" else 2 * width, labels)

    def forward(
        self, pieces: Tensor, mask: Tensor | None, positions: Tensor | None, rows: Tensor, starts: Tensor
    ) -> Tensor:
        """Return the scores of a batch; Shape: see :class:`classifier.systems.bert.scoring.PieceBatch`, (B, labels)
        float32."""
        told = {}
        if positions is not None:  # the types are told too: transformers knows those of as many pieces as positions
            told = {
                "position_ids": positions + _first_position(self.encoder),
                "token_type_ids": torch.zeros_like(pieces),
            }
        found = self.encoder(input_ids=pieces, attention_mask=mask, **told)
        if self.readout == "cls":
            pooled = getattr(found, "pooler_output", None)
            read = found.last_hidden_state[:, 0] if pooled is None else pooled
        else:
            read = found.last_hidden_state[rows[:, None], starts].flatten(1)
        scores: Tensor = self.output(self.dropout(read)).float()
        return scores

    @property
    def depth(self) -> int:
        """The number of layers of the transformer."""
        return int(self.encoder.config.num_hidden_layers)

    def by_level(self) -> Iterator[tuple[int, str, nn.Parameter]]:
        """Yield each parameter with its level: 0 for the embeddings, 1 for the lowest layer, and so on to the output
        layer, whose level is the number of layers and one more."""
        for name, parameter in self.named_parameters():
            found = _LAYER.search(name)
            above = 0 if ".embeddings." in name else self.depth + 1
            yield int(found[1]) + 1 if found else above, name, parameter


def attention_on(device: str) -> str:
    """Return the form of attention that is the fastest to train on a device, as transformers calls it.

    On a processor the fused kernels have no dropout, and their gradient in bfloat16 took longer than all other work.
    """
    return "eager" if device == "cpu" else "sdpa"


def load_encoder_and_reader(
    folder: Path, marks: tuple[str, ...], longest: int, device: str, *, shared: bool = False
) -> tuple[Any, PieceReader]:
    """Load a checkpoint, and give its vocabulary the marks.

    Args:
        folder: a folder that transformers can load.
        marks: the marks that get vectors of their own.
        longest: number of pieces that are read at most, if the model can read as many.
        device: that it will run on.
        shared: pairs of one sentence are to share their text.

    Raises:
        DataError: it cannot be loaded, or holds weights that are no numbers.
        UsageError: ``longest`` has no room for the special pieces and a pair, or texts cannot be shared.
    """
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True, add_prefix_space=True)
        encoder = AutoModel.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, attn_implementation=attention_on(device)
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"{folder} is not a checkpoint that transformers can load: {error}") from error
    for name, tensor in encoder.named_parameters():
        if not torch.isfinite(tensor).all():
            raise DataError(f"{folder}: '{name}' holds NaN or infinite values; the model was not saved well.")
    if shared:
        _check_shares(folder, encoder, marks)
    special = tokenizer.build_inputs_with_special_tokens([-1])
    place = special.index(-1)
    longest = min(longest, _positions(tokenizer, encoder))
    if longest < len(special) + 4:
        raise UsageError(f"{folder} reads {longest} word pieces at a time, which is too few for a pair.")
    table = encoder.get_input_embeddings().weight
    words = tokenizer.backend_tokenizer
    words.no_padding()  # some checkpoints come with the padding and truncation of another use
    words.no_truncation()
    reader = PieceReader(
        tokenizer=words,
        marks=marks,
        vocabulary=len(table),
        before=tuple(special[:place]),
        after=tuple(special[place + 1 :]),
        unknown=int(tokenizer.unk_token_id or 0),
        longest=longest,
        shared=shared,
    )
    if marks:
        _add_marks(encoder, reader)
    encoder.config._name_or_path = ""
    return encoder, reader


@torch.no_grad()
def _add_marks(encoder: Any, reader: PieceReader) -> None:
    """Give each mark a vector: the mean of those of its type's pieces, and a little noise to tell marks apart."""
    before = encoder.get_input_embeddings().weight.clone()
    encoder.resize_token_embeddings(len(before) + len(reader.marks), mean_resizing=False)
    table = encoder.get_input_embeddings().weight
    table[: len(before)] = before
    for n, mark in enumerate(reader.marks):
        pieces = reader.tokenizer.encode(mark.strip("</>"), add_special_tokens=False).ids or [reader.unknown]
        mean = before[pieces].mean(0)
        table[len(before) + n] = mean + 0.1 * before.std() * torch.randn(len(mean))


def takes_positions(config: Any) -> bool:
    """Tell whether a transformer of this configuration, as transformers reads it, can be told its pieces' positions."""
    absolute = getattr(config, "position_embedding_type", "absolute") == "absolute"
    return absolute and config.model_type in _SHARING


def _check_shares(folder: Path, encoder: Any, marks: tuple[str, ...]) -> None:
    """Make sure that pairs can share a text: there are marks, and a piece's position is what it is told to be.

    Raises:
        UsageError: they cannot.
    """
    if not takes_positions(encoder.config):
        raise UsageError(
            f"--readout shared needs a model whose word pieces can be given positions ({', '.join(_SHARING)}, with "
            f"absolute positions), and {folder} is of the kind '{encoder.config.model_type}'; give "
            "--readout starts."
        )
    if not marks:
        raise UsageError(
            "--readout shared needs marks at the mentions, and these pairs have none; give --indicators tags or blind."
        )


def _positions(tokenizer: Any, encoder: Any) -> int:
    """Return how many word pieces a model reads at once, special ones included."""
    table = int(getattr(encoder.config, "max_position_embeddings", 512))
    return min(table - _first_position(encoder), int(tokenizer.model_max_length))


def _first_position(encoder: Any) -> int:
    """Return the position of the first piece: RoBERTa's begin after the padding index."""
    return 2 if getattr(encoder.config, "model_type", "") in _ROBERTAS else 0
