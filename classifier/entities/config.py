"""How a tagger is trained: every option with its default.

In: options. Out: a :class:`TaggerConfig`, checked. AdamW with a cosine schedule and averaged weights, as the relation
head's ``best``; docs/results-entities.md has what each option brought on dev parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from classifier.entities.model import NetworkConfig
from classifier.head.model import PRECISIONS, InputConfig
from featstore.errors import UsageError
from featstore.records import check_choice


@dataclass(frozen=True, slots=True)
class TaggerConfig:
    """How a tagger is trained.

    Attributes:
        corpora: the specs of the corpora, in order; ``NAME:PATH`` each.
        features: what the tagger reads, as ``--features`` spells it.
        with_dev: train on the dev parts too; no part is then left to choose the epoch by, and the last one is kept.
        seed: of the initial weights, the order of the batches and dropout.
        lr: learning rate at its highest; it rises for ``warmup`` of all steps and falls to 0 as a cosine does.
        warmup: share of all steps in which the rate rises.
        average: decay of the moving average of the weights, which is what is evaluated and kept.
        weight_decay: of AdamW.
        batch_size: sentences in a batch.
        max_epochs: epochs.
        hidden, dropout, project, surface: see ``NetworkConfig``.
        precision: of the matrix products, ``float32`` or ``bfloat16``.
        threads: threads of the matrix products; sums depend on it in the last digit.
    """

    corpora: tuple[str, ...]
    features: str = "glove+bioglove+cse+elmo"
    with_dev: bool = False
    seed: int = 1
    lr: float = 0.002
    warmup: float = 0.1
    average: float = 0.995
    weight_decay: float = 0.01
    batch_size: int = 32
    max_epochs: int = 10
    hidden: int = 200
    dropout: float = 0.4
    project: int = 100
    surface: int = 32
    precision: str = "bfloat16"
    threads: int = 1

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, tuple(PRECISIONS))
        limits = {
            "at least one corpus": bool(self.corpora),
            "lr > 0": self.lr > 0,
            "0 <= warmup < 1": 0 <= self.warmup < 1,
            "0 <= average < 1": 0 <= self.average < 1,
            "weight_decay >= 0": self.weight_decay >= 0,
            "batch_size >= 1": self.batch_size >= 1,
            "max_epochs >= 1": self.max_epochs >= 1,
            "hidden >= 1": self.hidden >= 1,
            "0 <= dropout < 1": 0 <= self.dropout < 1,
            "project >= 0": self.project >= 0,
            "surface >= 0": self.surface >= 0,
            "threads >= 1": self.threads >= 1,
            "seed >= 0": self.seed >= 0,
        }
        broken = [rule for rule, holds in limits.items() if not holds]
        if broken:
            raise UsageError(f"the options of the tagger must satisfy {'; '.join(broken)}.")

    def network(self, inputs: tuple[InputConfig, ...], types: tuple[str, ...]) -> NetworkConfig:
        """Return what determines the network: its inputs and types, and what is configured here."""
        return NetworkConfig(
            inputs=inputs,
            types=types,
            hidden=self.hidden,
            dropout=self.dropout,
            project=self.project,
            surface=self.surface,
            precision=self.precision,
        )

    def share_of_rate(self, done: float) -> float:
        """Return the share of ``lr`` that the schedule prescribes when the share ``done`` of all steps is done."""
        if done < self.warmup:
            return done / self.warmup
        return (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup))) / 2
