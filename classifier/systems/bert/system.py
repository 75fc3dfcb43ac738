"""The system ``bert``: any BERT-like checkpoint of Hugging Face's transformers, fine-tuned on the pairs of a corpus.

In: a folder with a checkpoint, and instances. Out: a classifier of pairs. Two protocols are usual and both are here:
that of BioBERT (Lee et al. 2020), in which one word stands in place of each mention (``--indicators replace``) and the
output layer reads ``[CLS]``; and that of Baldini Soares et al. (2019), in which marks stand around the mentions and the
output layer reads the states of the two opening marks (``--readout starts``). This module is light; what needs torch
lies beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.systems.bert.options import BertOptions
from classifier.systems.contract import Fit, FitTask
from featstore.errors import DataError, MissingFileError, UsageError
from featstore.fingerprint import file_sha256

if TYPE_CHECKING:
    from classifier.systems.bert.fitted import FineTuned

# The files of a checkpoint that decide what a fit starts from.
_SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".bin")


# Checkpoints that the paper or its successors use: what their folder is called, and their name on the Hugging Face hub.
_KNOWN = {
    "scibert": "allenai/scibert_scivocab_uncased",
    "biobert": "dmis-lab/biobert-v1.1",
    "pubmedbert": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract-fulltext",
    "biolinkbert": "michiyasunaga/BioLinkBERT-base",
}


def _to_download(folder: Path) -> str:
    """Return what a user must fetch who lacks a checkpoint, and where to put it."""
    name = folder.name.lower().replace("-", "").replace("_", "")
    what = next((hub for known, hub in _KNOWN.items() if known in name), "a checkpoint of the BERT family")
    return (
        f"Download {what} from the Hugging Face hub and put config.json, the weights (model.safetensors or "
        f"pytorch_model.bin) and the tokenizer (tokenizer.json or vocab.txt) into {folder}."
    )


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
            raise MissingFileError(f"{folder}/config.json does not exist. {_to_download(folder)}")
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
