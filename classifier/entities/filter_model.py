"""The network of the sentence filter: a linear score of each type at each token, and the highest of the sentence.

In: word vectors and looks of the tokens. Out: for each sentence and type the log-probability that the likeliest token
belongs to a mention of it. One product and one sum of table rows are made for each token; the scores of the tokens
within ``reach`` of it add up. The types and *none* share the probability of a token, so that a name that is surely a
gene does not pass for a chemical as well. Torch only.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from classifier.entities.surface import ROWS
from classifier.head.inference import in_blocks, whole_rows
from classifier.head.model import standard_normal

_LOWEST = -60.0  # of a log-probability


class FilterNetwork(nn.Module):
    """Scores of sentences.

    Args:
        columns: of all features together.
        types: number of types.
        reach: tokens that are looked at on each side.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, columns: int, types: int, reach: int) -> None:
        super().__init__()
        self.types, self.reach = types, reach
        width = types * (2 * reach + 1)
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("scale", torch.ones(columns))
        self.table = nn.Parameter(torch.zeros(ROWS, width))
        self.weight = nn.Parameter(standard_normal(columns, width).mul_(0.01))
        self.bias = nn.Parameter(torch.zeros(types))

    @torch.no_grad()
    def standardise(self, moments: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Set what the columns are centred by and divided by: mean and deviation of each feature's columns."""
        if moments:
            deviation = torch.cat([deviation for _, deviation in moments])
            self.mean.copy_(torch.cat([mean for mean, _ in moments]))
            self.scale.copy_(torch.where(deviation > 0, deviation, 1.0).reciprocal())

    def forward(self, rows: Sequence[Tensor], surface: Tensor, index: Tensor, lengths: Tensor) -> Tensor:
        """Return the log-probability of *none* and of each type at each token.

        Args:
            rows: for each feature the vectors of the batch's distinct sentences. Shape: (R, D) each.
            surface: the numbers of each row's looks. Shape: (R, KINDS) int64.
            index: the row of each step; any row at padding. Shape: (T, B) int64.
            lengths: tokens of each sequence, longest first. Shape: (B,) int64, the first equal to T.

        Returns:
            Shape: (T, B, 1 + types) float64.
        """
        parts = nn.functional.embedding_bag(surface, self.table, mode="sum")
        if rows:
            x = whole_rows((torch.cat([each.float() for each in rows], 1) - self.mean) * self.scale)
            parts = parts + in_blocks(lambda block: block @ self.weight, x)[: len(parts)]
        inside = torch.arange(len(index)).unsqueeze(1) < lengths
        spread = (parts[index] * inside.unsqueeze(2)).unflatten(2, (2 * self.reach + 1, self.types))
        padded = nn.functional.pad(spread, (0, 0, 0, 0, 0, 0, self.reach, self.reach))
        scores = self.bias.expand(*index.shape, -1)
        for place in range(2 * self.reach + 1):
            scores = scores + padded[place : place + len(index), :, place]
        return nn.functional.pad(scores.double(), (1, 0)).log_softmax(2)

    def sentence_scores(self, logs: Tensor, lengths: Tensor) -> Tensor:
        """Return the highest log-probability of each type in each sentence; Shape: (B, types)."""
        outside = torch.arange(len(logs)).unsqueeze(1) >= lengths
        return logs[..., 1:].masked_fill(outside.unsqueeze(2), _LOWEST).amax(0).clamp(min=_LOWEST)

    def loss(self, logs: Tensor, lengths: Tensor, possible: Tensor) -> Tensor:
        """Return the mean loss of a batch: half that of its tokens, half that of its sentences.

        A token that may be of several types, because its corpus does not annotate all, is only asked to be one of
        them. A sentence is asked for a type if one of its tokens is of it, and asked not to have it if none may be.

        Args:
            logs: of :meth:`forward`.
            lengths: tokens of each sequence.
            possible: the tags that each token may have (:class:`classifier.entities.batch.TaggerBatch`).
        """
        inside = (torch.arange(len(logs)).unsqueeze(1) < lengths).unsqueeze(2)
        outside, tags = possible[..., :1], possible[..., 1:].unflatten(2, (self.types, -1))
        allowed = torch.cat([outside, tags.any(3)], 2)
        tokens = -logs.masked_fill(~allowed, _LOWEST).logsumexp(2).masked_fill(~inside[..., 0], 0).sum() / lengths.sum()
        surely = allowed[..., 1:] & (allowed.sum(2, keepdim=True) == 1) & inside
        holds, known = surely.any(0), surely.any(0) | ~(allowed[..., 1:] & inside).any(0)
        highest = self.sentence_scores(logs, lengths).clamp(max=-1e-9)
        wrong = -torch.where(holds, highest, torch.log(-torch.expm1(highest)))
        sentences = wrong[known].sum() / known.sum().clamp(min=1)
        return (tokens + sentences) / 2
