"""The tagger: a Bi-LSTM over frozen vectors, and a CRF over its scores (Huang et al. 2015; Akbik et al. 2018).

In: the vectors of a batch's distinct sentences, row by row, and what their tokens look like. Out: a score for each tag
at each token. The input side is the relation head's (:mod:`classifier.head.model`): each feature is standardised, its
layers are mixed, wide features are projected. Besides, a token's looks may be summed from a learned table, as one more
feature (:mod:`classifier.entities.surface`). Torch only: no paths, no store, no optimiser.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from classifier.entities.config import NetworkConfig
from classifier.entities.crf import Crf
from classifier.entities.sentences import may_follow, tag_names
from classifier.entities.surface import ROWS
from classifier.head.bilstm import GATES, bilstm, project
from classifier.head.config import HeadConfig
from classifier.head.inference import (
    bilstm_steadily,
    in_blocks,
    project_steadily,
    whole_batch,
    whole_rows,
)
from classifier.head.model import FeatureInput, standard_normal


class Network(nn.Module):
    """The Bi-LSTM and its CRF."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        bound = config.hidden**-0.5
        tags = len(tag_names(config.types))
        side = HeadConfig(
            config.inputs,
            labels=tags,
            hidden=config.hidden,
            dropout=config.dropout,
            standardise=config.standardise,
            project=config.project,
            precision=config.precision,
        )
        self.features = nn.ModuleList(FeatureInput(feature, side) for feature in config.inputs)
        self.bias = nn.Parameter(torch.empty(2, GATES * config.hidden).uniform_(-bound, bound))
        self.recurrent = nn.Parameter(torch.empty(2, config.hidden, GATES * config.hidden).uniform_(-bound, bound))
        self.table: nn.Parameter | None = None
        self.looks: nn.Parameter | None = None
        if config.surface:
            self.table = nn.Parameter(standard_normal(ROWS, config.surface).mul_(0.5))
            self.looks = nn.Parameter(torch.empty(2, GATES * config.hidden, config.surface).uniform_(-bound, bound))
        self.drop = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(2 * config.hidden, tags)
        self.crf = Crf(may_follow(config.types))

    def forward(self, rows: Sequence[Tensor], surface: Tensor, index: Tensor, lengths: Tensor) -> Tensor:
        """Score a batch.

        Args:
            rows: for each feature the vectors of the batch's distinct sentences. Shape: (R, layers * D) each.
            surface: the numbers of each row's looks. Shape: (R, KINDS) int64.
            index: the row of each step; any row at padding. Shape: (T, B) int64.
            lengths: tokens of each sequence, longest first. Shape: (B,) int64, the first equal to T.

        Returns:
            The score of each tag. Shape: (T, B, K) float32.
        """
        if not torch.is_grad_enabled():
            return self._score(rows, surface, index, lengths)
        inputs, weights = self._inputs(rows, surface)
        projected = project(inputs, _nothing(weights), weights, self.bias)
        hidden = bilstm(projected, self.recurrent, index, lengths)
        scores: Tensor = self.classifier(self.drop(hidden.permute(1, 2, 0, 3).flatten(2)))
        return scores

    def _score(self, rows: Sequence[Tensor], surface: Tensor, index: Tensor, lengths: Tensor) -> Tensor:
        """Do the same without a gradient: what a sequence gets does not depend on the rest of the batch."""
        count = len(lengths)
        index, lengths = whole_batch(index, lengths)
        inputs, weights = self._inputs([whole_rows(x) for x in rows], whole_rows(surface))
        projected = project_steadily(inputs, _nothing(weights), weights, self.bias)
        hidden = bilstm_steadily(projected, self.recurrent, index, lengths)
        states = hidden.permute(1, 2, 0, 3).flatten(2)
        scores = in_blocks(self.classifier, whole_rows(states.flatten(0, 1)))
        return scores[: lengths[0] * len(lengths)].view(*states.shape[:2], -1)[:, :count]

    def _inputs(self, rows: Sequence[Tensor], surface: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the features of each row, its looks among them, and the weights of each feature."""
        features = cast(Sequence[FeatureInput], self.features)
        inputs = [feature(x) for feature, x in zip(features, rows, strict=True)]
        weights: list[Tensor] = [feature.weight for feature in features]
        if self.table is not None and self.looks is not None:
            summed = nn.functional.embedding_bag(surface, self.table, mode="sum")
            inputs.append(self.drop(summed).to(getattr(torch, self.config.precision)))
            weights.append(self.looks)
        return inputs, weights

    def loss(self, rows: Sequence[Tensor], surface: Tensor, index: Tensor, lengths: Tensor, possible: Tensor) -> Tensor:
        """Return the mean negative log-likelihood of a batch; see :meth:`Crf.log_likelihood`."""
        scores = self(rows, surface, index, lengths)
        return -self.crf.log_likelihood(scores, possible, lengths).mean()

    @torch.inference_mode()
    def tag(self, rows: Sequence[Tensor], surface: Tensor, index: Tensor, lengths: Tensor) -> NDArray[np.int64]:
        """Return the best sequences of tags; Shape: (T, B)."""
        return self.crf.best(self(rows, surface, index, lengths), lengths)

    @torch.no_grad()
    def standardise(self, moments: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Set what each feature's columns are centred by and divided by; see :meth:`Head.standardise`."""
        for feature, (mean, deviation) in zip(cast(Sequence[FeatureInput], self.features), moments, strict=True):
            if feature.mean is None or feature.scale is None:
                raise ValueError("this tagger was built without `standardise`.")
            feature.mean.copy_(mean)
            feature.scale.copy_(torch.where(deviation > 0, deviation, 1.0).reciprocal())


def _nothing(weights: Sequence[Tensor]) -> list[Tensor]:
    """Return no learned rows, for each feature."""
    return [weight.new_zeros(0, weight.shape[2]) for weight in weights]
