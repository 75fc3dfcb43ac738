"""An adaptive softmax (Grave et al. 2017): true log-probabilities over a large vocabulary at a fraction of the cost.

In: vectors and the words to predict, numbered by falling frequency. Out: the mean loss. The head scores the frequent
words and one entry for each cluster of rarer words. The words of a cluster are scored through a narrower projection,
and only where the target is one of them. Torch's own module fails under bfloat16 autocast. An encoder does not need
this layer, and AllenNLP's format has no place for it. It is therefore written to a file of its own beside the weights,
so that the perplexity can be measured again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from featstore.encoders.weights import checked
from featstore.errors import DataError, MissingFileError
from featstore.pretrain.checkpoint import load_checkpoint, save_checkpoint

SOFTMAX = "softmax.safetensors"


def cutoffs_of(vocabulary: int) -> list[int]:
    """Return where the clusters of a vocabulary begin."""
    return [c for c in (1000, 8000) if c < vocabulary - 1] or [vocabulary // 2]


class AdaptiveSoftmax(nn.Module):
    """Loss of a softmax over ``vocabulary`` words in a head and clusters.

    Args:
        width: columns of the vectors.
        vocabulary: number of words.
        cutoffs: where each cluster begins; ascending.
        shrink: each cluster is projected to a ``shrink``-th of the width of the one before.
    """

    def __init__(self, width: int, vocabulary: int, cutoffs: Sequence[int], shrink: int = 2) -> None:
        super().__init__()
        self.edges = [*cutoffs, vocabulary]
        self.head = nn.Linear(width, cutoffs[0] + len(cutoffs))
        sizes = [after - before for before, after in zip(self.edges, self.edges[1:], strict=False)]
        narrow = [max(8, width // shrink ** (i + 1)) for i in range(len(sizes))]
        self.tails = nn.ModuleList(
            nn.Sequential(nn.Linear(width, n, bias=False), nn.Linear(n, size))
            for n, size in zip(narrow, sizes, strict=True)
        )

    def forward(self, vectors: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss in nats; Shape: vectors (N, width), targets (N,)."""
        head_targets, total = targets.clone(), vectors.new_zeros((), dtype=torch.float32)
        for i, (tail, begin, end) in enumerate(zip(self.tails, self.edges, self.edges[1:], strict=False)):
            inside = (targets >= begin) & (targets < end)
            head_targets[inside] = self.edges[0] + i
            logits = tail(vectors[inside]).float()
            total = total + nn.functional.cross_entropy(logits, targets[inside] - begin, reduction="sum")
        total = total + nn.functional.cross_entropy(self.head(vectors).float(), head_targets, reduction="sum")
        return total / len(targets)


@dataclass(frozen=True, slots=True, eq=False)
class WordSoftmax:
    """The output layer of a trained word model.

    Attributes:
        words: the words that it predicts, by number.
        weights: an :class:`AdaptiveSoftmax`'s tensors, cut at :func:`cutoffs_of` the number of words.
    """

    words: tuple[str, ...]
    weights: Mapping[str, Tensor]


def save_softmax(folder: Path, softmax: WordSoftmax, dtype: str) -> None:
    """Write ``softmax.safetensors`` into ``folder``, its tensors in ``dtype``, float16 or float32.

    Raises:
        ResourceError: the disk is full.
    """
    weights = {name: tensor.to(getattr(torch, dtype)) for name, tensor in softmax.weights.items()}
    save_checkpoint(folder / SOFTMAX, weights, {"words": softmax.words})


def load_softmax(folder: Path, width: int) -> WordSoftmax:
    """Read ``softmax.safetensors`` of ``folder``; the tensors come as float32.

    Args:
        width: columns of the vectors that it reads.

    Raises:
        MissingFileError: there is none.
        DataError: the file is damaged, or its layer reads vectors of another width.
    """
    path = folder / SOFTMAX
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; `cli pretrain elmo` writes it, AllenNLP's models have none.")
    weights, facts = load_checkpoint(path)
    if "words" not in facts:
        raise DataError(f"{path} holds no words; it is not the output layer of a word model.")
    words = tuple(map(str, facts["words"]))
    fitting = AdaptiveSoftmax(width, len(words), cutoffs_of(len(words))).state_dict()
    return WordSoftmax(words, checked(path, weights, {name: tuple(t.shape) for name, t in fitting.items()}))
