"""How a tagger is trained: every option, its default and what it means.

In: options. Out: a :class:`TaggerConfig`, checked. AdamW with a cosine schedule and averaged weights, as the relation
head's ``best``; docs/results-entities.md has what each option brought on dev parts. Importing this module needs neither
torch nor numpy.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from classifier.head.config import PRECISIONS, InputConfig
from classifier.training.config import option, rise_and_cosine
from featstore.errors import UsageError

KEEP = 0.98  # share of the dev parts' sentences with a pair that a sentence filter keeps, where no other is asked for


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What determines the shape of a tagger and how it computes.

    Attributes:
        inputs: the features, in the order of the rows that :meth:`classifier.entities.model.Network.forward` takes.
        types: the types that it tags.
        hidden: hidden units of each direction.
        dropout: share of the inputs' and of the hidden states' elements that training sets to zero.
        standardise: keep mean and scale of each input column.
        project: width that each wider feature is mapped to by learned weights; 0: none is mapped.
        surface: columns of the learned table of word shapes; 0: there is none.
        precision: of the matrix products, ``float32`` or ``bfloat16``; all else is float32.
    """

    inputs: tuple[InputConfig, ...]
    types: tuple[str, ...]
    hidden: int = 256
    dropout: float = 0.4
    standardise: bool = True
    project: int = 100
    surface: int = 0
    precision: str = "float32"


@dataclass(frozen=True, slots=True)
class TaggerConfig:
    """How a tagger is trained; the text of each field says what it means.

    Attributes:
        corpora: the specs of the corpora, in order; ``NAME:PATH`` each.
    """

    corpora: tuple[str, ...] = field()
    features: str = option("glove+bioglove+elmo", "What the tagger reads: names joined by +, as cli train takes them.")
    with_dev: bool = option(
        False, "Train on the dev parts too. No part is then left to choose the epoch by, and the last one is kept."
    )
    seed: int = option(1, "Seed of the initial weights, the order of the batches and dropout.", least=0)
    lr: float = option(0.003, "Highest learning rate; it rises during --warmup and falls to 0 as a cosine.", above=0)
    warmup: float = option(0.1, "Share of all steps in which the learning rate rises from 0.", least=0, below=1)
    average: float = option(
        0.995, "Decay of the moving average of the weights, which is what is evaluated and kept.", least=0, below=1
    )
    weight_decay: float = option(0.01, "Weight decay of AdamW (Loshchilov and Hutter 2019).", least=0)
    batch_size: int = option(64, "Number of sentences in a batch.", least=1)
    max_epochs: int = option(10, "Number of epochs.", least=1)
    hidden: int = option(128, "Hidden units of the Bi-LSTM in each direction.", least=1)
    dropout: float = option(0.4, "Dropout rate of the inputs and before the output layer.", least=0, below=1)
    project: int = option(
        100, "Number of columns that wider features are mapped to before the Bi-LSTM. 0 maps none.", least=0
    )
    surface: int = option(
        32, "Columns of the learned table of word shapes (spelling, endings, shape). 0 leaves it out.", least=0
    )
    precision: str = option("bfloat16", "Precision of the matrix products.", choices=PRECISIONS)
    # A part of the configuration, because sums depend on it in the last digit.
    threads: int = option(1, "Number of threads of the matrix products.", least=1)

    def __post_init__(self) -> None:
        checked = [f for f in fields(self) if "limits" in f.metadata]
        broken = [f.metadata["limits"].check(f.name, getattr(self, f.name)) for f in checked]
        if not self.corpora:
            broken.append("no corpus is named")
        if any(broken):
            raise UsageError(f"the options of the tagger cannot be used: {'; '.join(filter(None, broken))}.")

    def share_of_rate(self, done: float) -> float:
        """Return the share of ``lr`` that the schedule prescribes when the share ``done`` of all steps is done."""
        return rise_and_cosine(done, self.warmup)
