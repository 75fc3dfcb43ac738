"""The options of the system ``bert``: how a transformer is fine-tuned. Light: the command line reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from classifier.head.config import PRECISIONS
from classifier.systems.contract import SystemOptions
from classifier.training.config import option
from featstore.errors import UsageError

READOUTS = ("starts", "cls", "shared")
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True, slots=True)
class BertOptions(SystemOptions):
    """How a transformer is fine-tuned; the text of each field says what it means."""

    SPEC: ClassVar[str] = "encoder"
    SPEC_IS_WHOLE: ClassVar[bool] = True
    CHOOSES_EPOCH: ClassVar[bool] = True

    encoder: str = option("", "The checkpoint, as bert:DIR: a folder that transformers can load.")
    readout: str = option(
        "starts",
        "The states that the output layer reads: those at the starts of the two mentions (Baldini Soares et al. 2019), "
        "or that of [CLS], as BioBERT does it. With 'shared' a sentence is read once for all its pairs, each of which "
        "has two marks of its own that see the sentence (Zhong and Chen 2021): faster, and less accurate.",
        choices=READOUTS,
    )
    lr: float = option(5e-5, "Learning rate at its peak. 1e-4 suits small models such as MiniLM.", above=0)
    batch_size: int = option(32, "Number of instances in a batch.", least=1)
    accumulate: int = option(
        1, "Number of parts that a batch is split into, one after the other. More parts need less memory.", least=1
    )
    max_epochs: int = option(5, "Number of epochs. The weights of the best one on the dev part are kept.", least=1)
    warmup: float = option(
        0.1, "Share of all steps in which the rate rises from 0; then it falls to 0 in a line.", least=0, below=1
    )
    layer_decay: float = option(
        1.0, "Factor of the learning rate from each layer to the one below it (Sun et al. 2019).", above=0, most=1
    )
    freeze: int = option(
        0, "Number of lowest layers that are not trained. The embeddings are the first of them.", least=0
    )
    weight_decay: float = option(0.01, "Weight decay of AdamW (Loshchilov and Hutter 2019).", least=0)
    clip: float = option(1.0, "Largest norm of the gradient of a batch. 0 clips nothing.", least=0)
    dropout: float = option(0.1, "Dropout rate before the output layer.", least=0, below=1)
    max_length: int = option(
        512,
        "Largest number of word pieces of an instance. Of a longer one, a window around the pair is read.",
        least=16,
    )
    refit: bool = option(
        False,
        "After the dev part has chosen the epoch, fine-tune the checkpoint anew on the train and the dev part together "
        "for that many epochs. It suits a model that is to be used.",
    )
    precision: str = option("float32", "Precision of the matrix products.", choices=PRECISIONS)
    device: str = option("cpu", "Device that it runs on.", choices=DEVICES)

    @property
    def epochs(self) -> int:
        """The number of epochs."""
        return self.max_epochs

    @property
    def folder(self) -> Path:
        """The folder of the checkpoint.

        Raises:
            UsageError: none is named.
        """
        kind, _, path = self.encoder.partition(":")
        if kind != "bert" or not path:
            raise UsageError(
                f"the system 'bert' needs a checkpoint, and --encoder is '{self.encoder}'; give --encoder bert:DIR, "
                "where DIR is a folder that transformers can load (config.json, the weights and a tokenizer.json or "
                "vocab.txt)."
            )
        return Path(path)
