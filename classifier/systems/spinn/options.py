"""The options of SPINN; light, since the command line makes its options from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from classifier.systems.contract import SystemOptions
from classifier.training.config import option
from featstore.errors import UsageError

READOUTS = ("root", "root+pair", "root+max", "root+pair+max")


@dataclass(frozen=True, slots=True)
class SpinnOptions(SystemOptions):
    """How SPINN is fitted; the text of each field says what it means."""

    SPEC: ClassVar[str] = "trees"

    trees: str = option(
        "",
        "Where the trees come from: a table of trees (plain, .gz or .xz) with the columns pmid, chemical, gene and "
        "tree; 'right' or 'balanced' for a tree that is made from the length of the sentence alone; 'right:FILE' or "
        "'balanced:FILE' for such a tree over the words of a table.",
    )
    word_vectors: str = option(
        "bioglove",
        "Word vectors in GloVe's text format, plain or .gz; several files joined by '+' are put side by side. "
        "'bioglove' is the file that comes with featstore.",
    )
    hidden: int = option(64, "Length of the vector of a node.", least=1)
    tracker: int = option(32, "Length of the state of the tracking LSTM.", least=1)
    mlp: int = option(128, "Width of the hidden layer of the classifier.", least=1)
    position: int = option(
        10, "Length of the vector that says how far a word is from either entity. 0 adds none.", least=0
    )
    containment: bool = option(True, "Tell each node which of the two entities its subtree contains.")
    readout: str = option(
        "root+pair+max",
        "What the classifier reads: the root; besides, the smallest subtree that contains both entities (pair), and "
        "the maximum over all nodes (max).",
        choices=READOUTS,
    )
    word_dropout: float = option(0.4, "Dropout rate of the vectors of the leaves.", least=0, below=1)
    dropout: float = option(0.4, "Dropout rate before both layers of the classifier.", least=0, below=1)
    lr: float = option(0.002, "Learning rate of AdamW at its highest.", above=0)
    weight_decay: float = option(0.01, "Weight decay of AdamW (Loshchilov and Hutter 2019).", least=0)
    batch_size: int = option(32, "Number of instances in a batch.", least=1)
    average: float = option(
        0.995,
        "Decay of the moving average of the weights that is evaluated in their place. 0 averages nothing.",
        least=0,
        below=1,
    )
    consistency: float = option(
        1.0,
        "Weight of R-Drop (Liang et al. 2021): each batch is scored under two dropouts, which must agree. 0 scores "
        "each batch once.",
        least=0,
    )
    max_epochs: int = option(8, "Number of epochs; over them the learning rate falls to 0.", least=1)
    members: int = option(
        1, "Number of networks that are trained one after the other and whose probabilities are averaged.", least=1
    )
    favour: bool = option(
        True, "After training, raise the scores of the positive labels by the amount that is best on the dev part."
    )

    refit: bool = option(
        False,
        "After the dev part has chosen the epochs and the amount of --favour, train new networks on the train and the "
        "dev part together for that many epochs. It suits a model that is to be used.",
    )

    def __post_init__(self) -> None:
        SystemOptions.__post_init__(self)
        if self.consistency and not (self.dropout or self.word_dropout):
            raise UsageError(
                f"consistency is {self.consistency:g}, which needs a dropout or a word dropout above 0; raise one "
                "of them, or let --consistency be 0."
            )

    @property
    def epochs(self) -> int:
        """The epochs of all members together."""
        return self.max_epochs * self.members
