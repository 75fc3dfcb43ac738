"""How a head is trained: every option, its default and what it means, and the named recipes.

In: the name of a recipe and options that take the place of its own. Out: a :class:`TrainConfig`, checked. The
command line makes its training options from the fields of :class:`TrainConfig`, so a new option is one field here.
Importing this module needs neither torch nor numpy.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from classifier.head.config import PRECISIONS, HeadConfig, InputConfig
from featstore.errors import UsageError, check_choice

T = TypeVar("T")

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
DEFAULT_HEAD = "best"
HEAD = "head"  # what --system calls the head; the other systems are in classifier.systems
OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("plateau", "cosine")


@dataclass(frozen=True, slots=True)
class OptionLimits:
    """The values that an option may have.

    Attributes:
        choices: the words to choose from; empty for an option that is no word.
        least: the smallest number allowed.
        above: a number that every value must exceed.
        most: the largest number allowed.
        below: a number that every value must stay under.
    """

    choices: tuple[str, ...] = ()
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None

    def check(self, name: str, value: Any) -> str | None:
        """Return what is wrong with ``value``, or None.

        Raises:
            UsageError: a word that is not among ``choices``.
        """
        if self.choices:
            check_choice(name, value, self.choices)
            return None
        rules = [
            ("at least", self.least, operator.ge),
            ("above", self.above, operator.gt),
            ("at most", self.most, operator.le),
            ("below", self.below, operator.lt),
        ]
        if isinstance(value, float) and not math.isfinite(value):
            return f"{name} is {value}, but must be a finite number"
        given = [(words, limit, holds(value, limit)) for words, limit, holds in rules if limit is not None]
        if all(holds for _, _, holds in given):
            return None
        return f"{name} is {value:g}, but must be {' and '.join(f'{words} {limit:g}' for words, limit, _ in given)}"


def option(
    default: T,
    text: str,
    *,
    choices: Sequence[str] = (),
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> T:
    """Return a field of :class:`TrainConfig`, or of the options of another system.

    Args:
        default: the paper's value.
        text: what the option does, for the help of the command line.
        choices, least, above, most, below: see :class:`OptionLimits`.
    """
    limits = OptionLimits(tuple(choices), least, above, most, below)
    return field(default=default, metadata={"help": text, "limits": limits})


def broken_limits(options: Any) -> list[str]:
    """Return what is wrong with the values of a dataclass whose fields :func:`option` made.

    Raises:
        UsageError: a word that is not among an option's choices.
    """
    checked = (each.metadata["limits"].check(each.name, getattr(options, each.name)) for each in fields(options))
    return [wrong for wrong in checked if wrong]


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a head is trained; the text of each field says what it means.

    The defaults are those of the paper. Where the paper is silent, the default is chosen here; these fields are pack,
    max_epochs, patience, min_lr and dev_share.
    """

    # Options that were removed, with the value at which they did nothing: run folders still hold them.
    REMOVED: ClassVar[Mapping[str, object]] = {"spans": False}

    features: str = option("glove+cse+elmo", "What the head reads, as --features spells it.")
    head: str = option(
        "paper",
        "A recipe, that is, a value for each option below: 'paper' is the head of Hiai et al. (2021, eq. 1-10), 'best' "
        "is more accurate and about 20 times as fast to train.",
        choices=tuple(RECIPES),
    )
    seed: int = option(1, "Seed of the initial weights, the order of the batches and dropout.", least=0)
    optimizer: str = option("sgd", "Optimiser. The paper uses plain sgd.", choices=OPTIMIZERS)
    lr: float = option(
        0.1, "Learning rate at the start. The paper uses 0.1 with sgd; 0.001 to 0.002 suits adamw.", above=0
    )
    batch_size: int = option(32, "Number of instances in a batch.", least=1)
    # It matters in the sentence context alone, where a sentence is projected once for all its pairs in a batch: on
    # ChemProt, packs of 4 leave 43 % of the rows to project that single pairs leave, and a batch of 32 still holds 11
    # sentences.
    pack: int = option(
        4, "Number of pairs of one sentence that stay together when batches are drawn; it saves time.", least=1
    )
    hidden: int = option(256, "Hidden units of the Bi-LSTM in each direction.", least=1)
    dropout: float = option(0.0, "Dropout rate of the input vectors and before the output layer.", least=0, below=1)
    project: int = option(
        0, "Number of columns that wider features are mapped to before the Bi-LSTM. 0 maps none.", least=0
    )
    members: int = option(
        1, "Number of heads that are trained with different weights and whose probabilities are averaged.", least=1
    )
    mention_states: bool = option(
        False,
        "Classify the states at which both mentions begin too, besides the mean of all states by attention.",
    )
    standardise: bool = option(False, "Centre and scale each input column by its mean and standard deviation.")
    schedule: str = option(
        "plateau",
        "Course of the learning rate: 'plateau' halves it when the dev score stops rising (see --patience), 'cosine' "
        "lets it fall to 0 at --max-epochs.",
        choices=SCHEDULES,
    )
    warmup: float = option(
        0.0, "Share of all steps in which the rate of the cosine schedule rises from 0.", least=0, below=1
    )
    average: float = option(
        0.0,
        "Decay of the moving average of the weights that is evaluated in their place. 0 averages nothing.",
        least=0,
        below=1,
    )
    consistency: float = option(
        0.0,
        "Weight of R-Drop (Liang et al. 2021): each batch is scored under two dropouts, which must agree. It needs "
        "dropout. 0 scores each batch once.",
        least=0,
    )
    smoothing: float = option(
        0.0,
        "Share of each label that is spread evenly over all labels while the head learns (label smoothing, Szegedy et "
        "al. 2016).",
        least=0,
        below=1,
    )
    weight_decay: float = option(0.01, "Weight decay of AdamW (Loshchilov and Hutter 2019).", least=0)
    favour: bool = option(
        False,
        "After training, raise the scores of the positive labels by the amount that is best on the dev part. The "
        "smaller the dev part, the smaller the amount.",
    )
    calibrate: bool = option(
        False,
        "After training, divide the scores by the temperature that fits the dev part best (Guo et al. 2017), so that "
        "of the pairs with a probability of 0.8 about 80 % are right. The predicted labels stay.",
    )
    refit: bool = option(
        False,
        "After the dev part has chosen the epoch and the amounts of --favour and --calibrate, train a new head on the "
        "train and the dev part together for that many epochs. It suits a model that is to be used: more labels are "
        "learnt from, but no part is left to choose by.",
    )
    teacher: str = option(
        "",
        "A trained run, of any system (its folder, its address, or its name below --runs), whose probabilities the "
        "head learns besides the labels (distillation, Hinton et al. 2015). So a fast head takes over a part of what a "
        "slow model knows. The run must have the fold trained, on the same corpus, marked alike.",
    )
    teacher_share: float = option(
        0.5, "Share of the teacher's probabilities in what the head learns; the labels have the rest.", above=0, most=1
    )
    unlabelled: str = option(
        "",
        "Documents with mentions, in a file, a folder or at an address, whose pairs the head learns besides, as the "
        "teacher judges them. They need no labels; `cli entities tag` writes them from plain text, and `cli featurize "
        "--unlabelled` encodes them. Pairs whose text is in the corpus's dev or test part are left out.",
    )
    max_epochs: int = option(100, "Largest number of epochs. With the cosine schedule it is the exact number.", least=1)
    patience: int = option(
        3, "Number of epochs without improvement on the dev part after which 'plateau' halves the rate.", least=1
    )
    min_lr: float = option(
        0.01,
        "Share of the initial learning rate below which 'plateau' ends the training.",
        above=0,
        most=1,
    )
    dev_share: float = option(
        0.1, "Share of the training part that becomes the dev part where the corpus has none.", above=0, below=1
    )
    train_share: float = option(
        1.0,
        "Share of the training part that is learnt from, by whole sentences, the same ones for every seed. Runs with "
        "0.25, 0.5 and 1 are a learning curve: they show what more labels would bring.",
        above=0,
        most=1,
    )
    precision: str = option("float32", "Precision of the matrix products.", choices=PRECISIONS)
    # A part of the configuration, because sums depend on it in the last digit.
    threads: int = option(1, "Number of threads of the matrix products.", least=1)

    def __post_init__(self) -> None:
        broken = broken_limits(self)
        if self.consistency and not self.dropout:
            broken.append(f"consistency is {self.consistency:g}, which needs a dropout above 0")
        if self.teacher_share != 0.5 and not self.teacher:
            broken.append(f"teacher_share is {self.teacher_share:g}, which needs a teacher (--teacher RUN)")
        if self.unlabelled and not self.teacher:
            broken.append(f"unlabelled is {self.unlabelled}, which needs a teacher (--teacher RUN)")
        if broken:
            raise UsageError(f"the training options cannot be used: {'; '.join(broken)}.")

    def head_config(self, inputs: tuple[InputConfig, ...], labels: int, tags: int) -> HeadConfig:
        """Return what determines the head: its inputs, numbers of labels and tags, and what is configured here."""
        own = asdict(self)
        shared = {f.name: own[f.name] for f in fields(HeadConfig) if f.name in own}
        return HeadConfig(inputs, labels, tags, **shared)

    def share_of_rate(self, done: float) -> float:
        """Return the share of ``lr`` that the schedule prescribes when the share ``done`` of all steps is done."""
        return 1.0 if self.schedule == "plateau" else rise_and_cosine(done, self.warmup)


def rise_and_cosine(done: float, warmup: float) -> float:
    """Return the share of the highest rate when the share ``done`` of all steps is done: up in a line, then a cosine.

    Args:
        done: from 0 to 1.
        warmup: share of all steps in which the rate rises.
    """
    if done < warmup:
        return done / warmup
    return (1 + math.cos(math.pi * (done - warmup) / (1 - warmup))) / 2


def recipe(head: str = DEFAULT_HEAD, **given: Any) -> TrainConfig:
    """Return the options of a recipe, with those ``given`` in the place of its own; None: not given.

    Raises:
        UsageError: no such recipe, or an option out of range.
    """
    check_choice("head", head, tuple(RECIPES))
    chosen = {name: value for name, value in given.items() if value is not None}
    return TrainConfig(head=head, **{**RECIPES[head], **chosen})
