"""How a head is trained: every option with its default, which is the paper's, and the named recipes.

In: the name of a recipe and options that take the place of its own. Out: a :class:`TrainConfig`, checked.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from classifier.head.model import PRECISIONS, HeadConfig, InputConfig
from featstore.errors import UsageError
from featstore.records import check_choice

# What each recipe changes in the defaults; RESULTS.md has what each ingredient of `best` brought on dev parts.
RECIPES: dict[str, dict[str, Any]] = {
    "paper": {},
    "best": {
        "optimizer": "adamw",
        "lr": 0.002,
        "schedule": "cosine",
        "warmup": 0.1,
        "average": 0.995,
        "hidden": 128,
        "project": 100,
        "dropout": 0.4,
        "consistency": 1.0,
        "standardise": True,
        "favour": True,
        "max_epochs": 10,
        "precision": "bfloat16",
    },
}
OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("plateau", "cosine")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a head is trained. The defaults are the paper's; what it does not say is chosen here and marked (*).

    Attributes:
        features: what the head reads, as ``--features`` spells it.
        head: the recipe that the options come from: ``paper`` (Hiai et al. 2021) or ``best``.
        seed: of the initial weights, the order of the batches and dropout.
        optimizer: ``sgd`` (plain) or ``adamw``.
        lr: learning rate at the start.
        batch_size: instances in a batch.
        pack: so many pairs of one sentence stay together when the batches are drawn (*). It matters in the sentence
            context alone, where a sentence is projected once for all its pairs in a batch: on ChemProt, packs of 4
            leave 43 % of the rows to project that single pairs leave, and a batch of 32 still holds 11 sentences.
        hidden: hidden units of each direction.
        dropout, project, spans, members: see ``HeadConfig`` (*: none).
        standardise: centre and scale each input column by its mean and deviation over the training part (*: no).
        schedule: of the learning rate: ``plateau``, see ``patience``, or ``cosine``, falling to 0 at ``max_epochs``.
        warmup: share of all steps in which the rate of ``cosine`` rises from 0.
        average: decay of the moving average of the weights that is evaluated in their place; 0: none.
        consistency: weight of the divergence between two scorings of a batch under other dropout (R-Drop, Liang et al.
            2021); 0: none, and each batch is scored once.
        weight_decay: of ``adamw`` (Loshchilov and Hutter 2019).
        favour: after training, raise the positive labels' scores by what maximises dev F1, see
            ``classifier.training.favour``.
        max_epochs: at most so many epochs (*).
        patience: so many epochs in a row without improvement on the dev part, and the learning rate is halved (*).
        min_lr: training stops when the learning rate would fall below this share of ``lr`` (*).
        dev_share: share of the training part that becomes the dev part where the corpus has none (*).
        precision: of the matrix products, ``float32`` or ``bfloat16``.
        threads: threads of the matrix products; part of the configuration because sums depend on it in the last digit.
    """

    features: str = "glove+cse+elmo"
    head: str = "paper"
    seed: int = 1
    optimizer: str = "sgd"
    lr: float = 0.1
    batch_size: int = 32
    pack: int = 4
    hidden: int = 256
    dropout: float = 0.0
    project: int = 0
    spans: bool = False
    members: int = 1
    standardise: bool = False
    schedule: str = "plateau"
    warmup: float = 0.0
    average: float = 0.0
    consistency: float = 0.0
    weight_decay: float = 0.01
    favour: bool = False
    max_epochs: int = 100
    patience: int = 3
    min_lr: float = 0.01
    dev_share: float = 0.1
    precision: str = "float32"
    threads: int = 1

    def __post_init__(self) -> None:
        check_choice("head", self.head, tuple(RECIPES))
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("precision", self.precision, tuple(PRECISIONS))
        limits: dict[str, bool] = {
            "lr > 0": self.lr > 0,
            "batch_size >= 1": self.batch_size >= 1,
            "pack >= 1": self.pack >= 1,
            "hidden >= 1": self.hidden >= 1,
            "0 <= dropout < 1": 0 <= self.dropout < 1,
            "members >= 1": self.members >= 1,
            "project >= 0": self.project >= 0,
            "0 <= warmup < 1": 0 <= self.warmup < 1,
            "0 <= average < 1": 0 <= self.average < 1,
            "consistency >= 0, with dropout > 0": self.consistency == 0 or (self.consistency > 0 and self.dropout > 0),
            "weight_decay >= 0": self.weight_decay >= 0,
            "max_epochs >= 1": self.max_epochs >= 1,
            "patience >= 1": self.patience >= 1,
            "0 < min_lr <= 1": 0 < self.min_lr <= 1,
            "0 < dev_share < 1": 0 < self.dev_share < 1,
            "threads >= 1": self.threads >= 1,
            "seed >= 0": self.seed >= 0,
        }
        broken = [rule for rule, holds in limits.items() if not holds]
        if broken:
            raise UsageError(f"the training options must satisfy {'; '.join(broken)}.")

    def head_config(self, inputs: tuple[InputConfig, ...], labels: int, tags: int) -> HeadConfig:
        """Return what determines the head: its inputs, numbers of labels and tags, and what is configured here."""
        own = asdict(self)
        shared = {f.name: own[f.name] for f in fields(HeadConfig) if f.name in own}
        return HeadConfig(inputs, labels, tags, **shared)

    def share_of_rate(self, done: float) -> float:
        """Return the share of ``lr`` that the schedule prescribes when the share ``done`` of all steps is done."""
        if self.schedule == "plateau":
            return 1.0
        if done < self.warmup:
            return done / self.warmup
        return (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup))) / 2


def recipe(head: str = "paper", **given: Any) -> TrainConfig:
    """Return the options of a recipe, with those ``given`` in the place of its own; None: not given.

    Raises:
        UsageError: no such recipe, or an option out of range.
    """
    check_choice("head", head, tuple(RECIPES))
    chosen = {name: value for name, value in given.items() if value is not None}
    return TrainConfig(head=head, **{**RECIPES[head], **chosen})
