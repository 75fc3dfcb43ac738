"""A checkpoint of transformers with random weights: two layers, and the words that the toy corpora have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

WORDS = (
    *("the", "level", "of", "in", "patients", "with", "was", "not", "and", "cells", "a", "study", "unrelated"),
    *("inhibits", "gene", "drug", "chem", "compound", "##0", "##1", "##2", "kinase", "measured", "<", ">", "/", "."),
)


def write_checkpoint(folder: Path, words: Sequence[str] = WORDS, positions: int = 64) -> Path:
    """Write the checkpoint and return its folder."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), model_max_length=positions).save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        config = BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=24,
            max_position_embeddings=positions,
            initializer_range=0.3,
        )
        BertModel(config).save_pretrained(folder)
    return folder
