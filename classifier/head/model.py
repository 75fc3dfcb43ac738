"""The paper's head: a Bi-LSTM with attention over frozen vectors (Hiai et al. 2021, eq. 1-10; Zhou et al. 2016).

In: the vectors of a batch's distinct sentences, row by row, and for each sequence the rows that it consists of.
Out: a score for each label, and the attention weights. Let h_t be the hidden state at token t, its forward and backward
part concatenated (as is usual; Zhou et al. add the two). Then

    m_t = w . tanh(h_t),  a = softmax(m),  r = sum_t a_t h_t,  h* = tanh(r),  p = softmax(W h* + b)

The vectors are inputs, not parameters, so nothing is differentiated with respect to them. Each feature has its own
input weight (W [x; y] = W_x x + W_y y). It is applied to all rows of the batch in one product, and once for a
sentence that several pairs share. Only the mixed layers of ELMo and the learned tag vectors pass a gradient on.
Torch only: no paths, no store, no optimiser.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from classifier.head.bilstm import GATES, bilstm, project
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.inference import (
    SEQUENCES,
    attend_steadily,
    bilstm_steadily,
    in_blocks,
    project_steadily,
    whole_batch,
    whole_rows,
)


class HeadOutput(NamedTuple):
    """Shape: logits (B, labels) float32; attention (B, T) float32, rows sum to 1, zero at padding."""

    logits: Tensor
    attention: Tensor


class LayerMix(nn.Module):
    """gamma * sum_l softmax(s)_l x_l, all learned (Peters et al. 2018, eq. 1)."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(layers))
        self.gamma = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (R, layers, D) -> (R, D)."""
        weights = self.gamma * self.scores.softmax(0)
        mixed = weights[0] * x[:, 0]
        for layer in range(1, x.shape[1]):
            mixed = mixed + weights[layer] * x[:, layer]
        return mixed


def standard_normal(*shape: int) -> Tensor:
    """Return standard normal numbers, or a tensor without values on the device ``meta``.

    There torch would draw them, or scale them other than in place, with code of its compiler, whose import takes as
    long as its own.
    """
    numbers = torch.empty(*shape)
    return numbers if numbers.is_meta else numbers.normal_()


class FeatureInput(nn.Module):
    """The input side of one feature: its rows are standardised, mixed and dropped out; it has the weights and the tag
    vectors."""

    def __init__(self, feature: InputConfig, config: HeadConfig) -> None:
        super().__init__()
        self.feature = feature
        self.dtype: torch.dtype = getattr(torch, config.precision)
        self.dropout = config.dropout
        bound = config.hidden**-0.5
        width = min(config.project or feature.dim, feature.dim)
        self.weight = nn.Parameter(torch.empty(2, GATES * config.hidden, width).uniform_(-bound, bound))
        self.tags = nn.Parameter(standard_normal(config.tags, width))
        self.projection: nn.Parameter | None = None
        if width < feature.dim:
            self.projection = nn.Parameter(standard_normal(width, feature.dim))
        self.mix = LayerMix(feature.layers) if feature.layers > 1 else None
        self.mean: Tensor | None
        self.scale: Tensor | None
        columns = feature.dim * feature.layers
        self.register_buffer("mean", torch.zeros(columns) if config.standardise else None)
        self.register_buffer("scale", torch.ones(columns) if config.standardise else None)

    def forward(self, rows: Tensor, copies: int = 1) -> Tensor:
        """Return ``copies`` of the rows, one after the other, each with a dropout of its own.

        Shape: (R, layers * D) float16 or float32 -> (copies * R, D or ``project``) in the precision of the products.
        """
        x = rows.float()
        if self.mean is not None and self.scale is not None:
            x = (x - self.mean).mul_(self.scale)
        if self.mix is not None:
            x = self.mix(x.view(len(x), self.feature.layers, self.feature.dim))
        x = x.to(self.dtype)
        x = self.drop(x if copies == 1 else x.repeat(copies, 1))
        if self.projection is None:
            return x
        # The scale is applied here and not at initialisation. AdamW moves each weight by about the learning rate, so
        # the output of a feature would otherwise move faster, the wider the feature is (Karras et al. 2018, 4.1).
        scaled = (self.projection * self.feature.dim**-0.5).to(self.dtype).t()
        if torch.is_grad_enabled():
            projected: Tensor = x @ scaled
            return projected
        return in_blocks(lambda block: block @ scaled, x)

    def drop(self, x: Tensor) -> Tensor:
        """Apply dropout whose share is rounded to 1/256, so that 64 random bits give eight decisions."""
        threshold = round(256 * self.dropout)
        if not (self.training and threshold):
            return x
        bits = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        keep = bits.view(torch.uint8)[: x.numel()].view(x.shape) >= threshold
        return x * keep * (256 / (256 - threshold))


class Head(nn.Module):
    """The Bi-LSTM with attention; see the module's text for the equations."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        bound = config.hidden**-0.5
        self.features = nn.ModuleList(FeatureInput(feature, config) for feature in config.inputs)
        self.bias = nn.Parameter(torch.empty(2, GATES * config.hidden).uniform_(-bound, bound))
        self.recurrent = nn.Parameter(torch.empty(2, config.hidden, GATES * config.hidden).uniform_(-bound, bound))
        self.attention = nn.Parameter(torch.empty(2 * config.hidden).uniform_(-1, 1).mul_((2 * config.hidden) ** -0.5))
        self.drop = nn.Dropout(config.dropout)
        read = 3 if config.mention_states else 1  # h*, and a state for each mention
        self.classifier = nn.Linear(2 * config.hidden * read, config.labels)

    @property
    def members(self) -> tuple[Head, ...]:
        """The head itself."""
        return (self,)

    def forward(
        self,
        rows: Sequence[Tensor],
        index: Tensor,
        lengths: Tensor,
        mentions: Tensor | None = None,
        copies: int = 1,
    ) -> HeadOutput:
        """Score a batch.

        Args:
            rows: for each feature the vectors of the batch's distinct sentences. Shape: (R, layers * D) each.
            index: the sequences; ``i >= 0`` is row i, ``-1 - j`` tag vector j; anything at padding.
                Shape: (B, T) int64.
            lengths: steps of each sequence, longest first. Shape: (B,) int64, the first equal to T.
            mentions: the steps at which the two mentions of each pair begin. Shape: (B, 2) int64. Only a head with
                ``mention_states`` needs them.
            copies: how often the rows are repeated. Row i of copy c is ``c * R + i`` and has a dropout of its own.

        Raises:
            ValueError: the head reads the states at the mentions, and ``mentions`` are not given.
        """
        if not torch.is_grad_enabled():
            return self._score(rows, index, lengths, mentions)
        features = cast(Sequence[FeatureInput], self.features)
        inputs = [feature(x, copies) for feature, x in zip(features, rows, strict=True)]
        tags = [feature.drop(feature.tags) for feature in features]
        projected = project(inputs, tags, [feature.weight for feature in features], self.bias)
        steps = torch.where(index < 0, len(inputs[0]) - 1 - index, index).t().contiguous()
        hidden = bilstm(projected, self.recurrent, steps, lengths)

        by_direction = self.attention.view(2, 1, 1, -1)
        scores = (torch.tanh(hidden) * by_direction).sum((0, 3))
        time = torch.arange(hidden.shape[1]).unsqueeze(1)
        attention = scores.masked_fill(time >= lengths, -torch.inf).softmax(0)
        pooled = self._with_mentions(torch.einsum("tb,dtbh->bdh", attention, hidden).flatten(1), hidden, mentions)
        return HeadOutput(self.classifier(self.drop(torch.tanh(pooled))), attention.t())

    def _with_mentions(self, pooled: Tensor, hidden: Tensor, mentions: Tensor | None) -> Tensor:
        """Append the states at the mentions to the mean state, if the head reads them.

        Shape: pooled (B, 2 H), hidden (2, T, B, H), mentions (B, 2) -> (B, 6 H), or pooled as it is. There may
        be fewer mentions, where the batch was filled up with sequences that nobody asked for.
        """
        if not self.config.mention_states:
            return pooled
        if mentions is None:
            raise ValueError("a head with mention_states needs the steps at which the mentions begin.")
        mentions = nn.functional.pad(mentions, (0, 0, 0, len(pooled) - len(mentions)))
        sequences = torch.arange(len(pooled))
        states = [hidden[:, steps, sequences].transpose(0, 1).flatten(1) for steps in mentions.unbind(1)]
        return torch.cat([pooled, *states], 1)

    def _score(
        self, rows: Sequence[Tensor], index: Tensor, lengths: Tensor, mentions: Tensor | None = None
    ) -> HeadOutput:
        """Do the same without a gradient: what a sequence gets does not depend on the rest of the batch."""
        features, count = cast(Sequence[FeatureInput], self.features), len(lengths)
        steps, lengths = whole_batch(index.t(), lengths)
        inputs = [feature(whole_rows(x)) for feature, x in zip(features, rows, strict=True)]
        tags = [feature.tags for feature in features]
        projected = project_steadily(inputs, tags, [feature.weight for feature in features], self.bias)
        steps = torch.where(steps < 0, len(inputs[0]) - 1 - steps, steps)
        hidden = bilstm_steadily(projected, self.recurrent, steps, lengths)
        pooled, attention = attend_steadily(hidden, self.attention, lengths)
        pooled = self._with_mentions(pooled, hidden, mentions)
        logits = in_blocks(self.classifier, torch.tanh(pooled), SEQUENCES)
        return HeadOutput(logits[:count], attention.t()[:count])

    @torch.no_grad()
    def standardise(self, moments: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Set what each feature's columns are centred by and divided by.

        Args:
            moments: mean and standard deviation for each feature. Shape: (layers * D,) each; a column that
                never varies (deviation 0) is only centred.

        Raises:
            ValueError: the head was built without ``standardise``.
        """
        for feature, (mean, deviation) in zip(cast(Sequence[FeatureInput], self.features), moments, strict=True):
            if feature.mean is None or feature.scale is None:
                raise ValueError("this head was built without `standardise`.")
            feature.mean.copy_(mean)
            feature.scale.copy_(torch.where(deviation > 0, deviation, 1.0).reciprocal())


class Ensemble(nn.Module):
    """Several heads of one shape used as one. Its scores are the logarithm of their mean probability, and its attention
    is their mean attention."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.heads = nn.ModuleList(Head(config) for _ in range(config.members))

    @property
    def members(self) -> tuple[Head, ...]:
        """The heads."""
        return tuple(cast(Sequence[Head], self.heads))

    def forward(
        self, rows: Sequence[Tensor], index: Tensor, lengths: Tensor, mentions: Tensor | None = None
    ) -> HeadOutput:
        """Score a batch; see :meth:`Head.forward`."""
        count = len(lengths)
        if not torch.is_grad_enabled():
            steps, lengths = whole_batch(index.t(), lengths)
            index = steps.t()
        outputs = [head(rows, index, lengths, mentions) for head in self.heads]
        logits = torch.stack([output.logits.log_softmax(1) for output in outputs])
        attention = torch.stack([output.attention for output in outputs])
        together = logits.logsumexp(0) - math.log(len(outputs))
        return HeadOutput(together[:count], attention.mean(0)[:count])

    def standardise(self, moments: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Set what each feature's columns are centred by and divided by; see :meth:`Head.standardise`."""
        for head in self.members:
            head.standardise(moments)


AnyHead = Head | Ensemble


def make_head(config: HeadConfig) -> AnyHead:
    """Return a newly initialised head, or several, as ``config`` describes."""
    return Head(config) if config.members == 1 else Ensemble(config)
