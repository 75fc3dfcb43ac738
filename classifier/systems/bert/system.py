"""The system ``bert``: any BERT-like checkpoint of Hugging Face's transformers, fine-tuned on the pairs of a corpus.

In: a folder with a checkpoint, and instances. Out: a classifier of pairs. Two protocols are usual and both are here:
that of BioBERT (Lee et al. 2020), in which one word stands in place of each mention (``--indicators replace``) and the
output layer reads ``[CLS]``; and that of Baldini Soares et al. (2019), in which marks stand around the mentions and the
output layer reads the states of the two opening marks (``--readout starts``). This module is light; what needs torch
lies beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.head.config import PRECISIONS
from classifier.systems.contract import Fit, FitTask, SystemOptions
from classifier.training.config import option
from featstore.errors import DataError, MissingFileError, UsageError
from featstore.fingerprint import file_sha256

if TYPE_CHECKING:
    from classifier.systems.bert.fitted import FineTuned

READOUTS = ("starts", "cls")
DEVICES = ("cpu", "cuda")
# The files of a checkpoint that decide what a fit starts from.
_SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".bin")


@dataclass(frozen=True, slots=True)
class BertOptions(SystemOptions):
    """How a transformer is fine-tuned; the text of each field says what it means."""

    encoder: str = option("", "The checkpoint, as bert:DIR: a folder that transformers can load.")
    readout: str = option(
        "starts",
        "The states that the output layer reads: those at the starts of the two mentions (Baldini Soares et al. 2019), "
        "or that of [CLS], as BioBERT does it.",
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


class Bert:
    """The system ``bert``; see :class:`classifier.systems.contract.System`."""

    about = "a pre-trained transformer that is fine-tuned (--encoder bert:DIR)"
    options = BertOptions
    packages = ("transformers", "tokenizers")

    def label(self, options: BertOptions) -> str:
        """Return ``bert:`` and the name of the checkpoint's folder."""
        return f"bert:{options.folder.name}"

    def sources(self, options: BertOptions) -> Mapping[str, str]:
        """Return the digests of the checkpoint's files; see :meth:`classifier.systems.contract.System.sources`."""
        folder = options.folder
        if not (folder / "config.json").is_file():
            raise MissingFileError(
                f"{folder}/config.json does not exist; bert:DIR needs a folder with a checkpoint of transformers."
            )
        if options.device == "cuda":
            import torch

            if not torch.cuda.is_available():
                raise UsageError("--device cuda needs a GPU, and torch sees none here; leave it out.")
        files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())
        return {path.name: file_sha256(path) for path in files}

    def fit(self, task: FitTask[BertOptions]) -> Fit:
        """Fine-tune the checkpoint; see :meth:`classifier.systems.contract.System.fit`."""
        from classifier.systems.bert.tuning import fine_tune

        return fine_tune(task)

    def load(self, folder: Path, options: BertOptions, labels: tuple[str, ...], /) -> FineTuned:
        """Read what was saved; see :meth:`classifier.systems.contract.System.load`."""
        from classifier.systems.bert.fitted import load_fine_tuned

        try:
            return load_fine_tuned(folder, options, len(labels))
        except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"{folder} does not hold a fine-tuned model as it was written ({error}).") from error


BERT = Bert()
