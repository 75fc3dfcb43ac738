"""A checkpoint of transformers with random weights: two layers, and the words that the toy corpora have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

WORDS = (
    *("the", "level", "of", "in", "patients", "with", "was", "not", "and", "cells", "a", "study", "unrelated"),
    *("inhibits", "gene", "drug", "chem", "compound", "##0", "##1", "##2", "kinase", "measured", "<", ">", "/", "."),
)


SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def write_checkpoint(folder: Path, words: Sequence[str] = WORDS, positions: int = 64, kind: str = "bert") -> Path:
    """Write the checkpoint of a ``kind`` of model (bert, roberta, distilbert) and return its folder."""
    import torch
    from transformers import AutoConfig, AutoModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), model_max_length=positions).save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        shape = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24} if kind == "distilbert" else SHAPE
        config = AutoConfig.for_model(
            kind,
            vocab_size=len(vocabulary),
            max_position_embeddings=positions,
            initializer_range=0.3,
            **shape,
        )
        AutoModel.from_config(config).save_pretrained(folder)
    return folder
