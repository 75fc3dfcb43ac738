"""``pretrain glove``: text files to a table of word vectors that ``glove:FILE`` takes.

In: :class:`GloVeConfig`. Out: ``glove.txt`` in GloVe's text format with a model card, and below ``training/`` the
vocabulary, the pair counts, the checkpoint and the log. The model is that of Pennington et al. (2014). The product of a
word's vector and a context's vector, plus two biases, approaches the logarithm of the pair's count. Squared errors are
weighted by ``min(1, count / top) ** 0.75``, and the final vector of a word is the sum of its word and its context
vector. No maintained library trains it. Here it is one more task of the common loop, so it resumes, logs and reports
like the language models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save
from torch import Tensor, nn

from featstore.errors import DataError, UsageError
from featstore.files import write_file
from featstore.pretrain.card import read_log, settings_of, write_card
from featstore.pretrain.checkpoint import training_folder
from featstore.pretrain.cooccurrence import Pairs, count_pairs
from featstore.pretrain.loop import LOG, train
from featstore.pretrain.parallel import Group, ParallelJob, run_jobs
from featstore.pretrain.schedule import ERROR, PretrainProgress, Schedule, TaskFacts
from featstore.pretrain.sentences import SPECIAL, learn_words
from featstore.pretrain.text import TextSource, sentences

VECTORS, VOCABULARY, PAIRS = "glove.txt", "vocabulary.json", "pairs.safetensors"
# One pair in this many is held out.
_HELD_OUT = 200
_PRIME = 2_147_483_647


def _schedule() -> Schedule:
    return Schedule(epochs=15, learning_rate=1e-2, warmup=0, clip=1e6, evaluate_every=500, checkpoint_every=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class GloVeConfig:
    """A training of word vectors.

    Attributes:
        text: files to learn from, plain or ``.gz``, one sentence, paragraph or abstract a line.
        out: folder for the vectors.
        dim: number of columns.
        window: number of words on either side that count as near.
        vocabulary: number of words; the most frequent ones are taken, in lower case.
        least: number of occurrences that a word needs.
        top: count above which all pairs have the same weight.
        pairs: number of pairs in a batch.
        schedule: length of the training (an epoch is a pass over the pairs) and course of the learning rate.
        fresh: ignore and remove a checkpoint in ``out``.

    Raises:
        UsageError: a value is out of range.
    """

    text: tuple[Path, ...]
    out: Path
    dim: int = 100
    window: int = 10
    vocabulary: int = 50_000
    least: int = 5
    top: float = 100.0
    pairs: int = 32_768
    schedule: Schedule = field(default_factory=_schedule)
    fresh: bool = False

    def __post_init__(self) -> None:
        if not self.text or min(self.dim, self.window, self.vocabulary, self.least, self.pairs) < 1 or self.top <= 0:
            raise UsageError("pre-training needs at least one text file and sizes of at least 1.")

    @property
    def source(self) -> TextSource:
        """The text. No lines are held out, because single pairs are."""
        return TextSource(self.text, self.text)

    def sentences(self) -> Iterator[list[str]]:
        """Yield the sentences of the text in lower case."""
        return (list(map(str.lower, words)) for line in self.source.one_pass() for words in sentences(line))


class GloVeNetwork(nn.Module):
    """Word and context vectors with their biases."""

    def __init__(self, vocabulary: int, dim: int) -> None:
        super().__init__()
        self.words, self.contexts = nn.Embedding(vocabulary, dim), nn.Embedding(vocabulary, dim)
        self.word_bias, self.context_bias = nn.Embedding(vocabulary, 1), nn.Embedding(vocabulary, 1)
        for table in (self.words, self.contexts):
            nn.init.uniform_(table.weight, -0.5 / dim, 0.5 / dim)
        for table in (self.word_bias, self.context_bias):
            nn.init.zeros_(table.weight)

    def forward(self, word: Tensor, context: Tensor) -> Tensor:
        """Return the estimate of the logarithm of the count; Shape: (n,), (n,) to (n,)."""
        dot: Tensor = (self.words(word) * self.contexts(context)).sum(-1, keepdim=True)
        total: Tensor = dot + self.word_bias(word) + self.context_bias(context)
        return total.squeeze(-1)


class GloVeTask:
    """Word vectors in training; see :class:`featstore.pretrain.loop.Task`. A unit is a pair."""

    name = "glove"
    measure = ERROR

    def __init__(self, pairs: Pairs, vocabulary: int, *, dim: int, batch: int, top: float, seed: int) -> None:
        self.model: nn.Module = GloVeNetwork(vocabulary, dim)
        self.units = 0
        self._pairs, self._dim, self._batch, self._top, self._seed = pairs, dim, batch, top, seed
        number = np.arange(len(pairs.weight))
        self._train, self._held_out = number[number % _HELD_OUT != 0], number[number % _HELD_OUT == 0]

    def _next(self) -> NDArray[np.int64]:
        """Return the next batch of pairs. Each pass goes through them with another stride, which is as good as
        shuffling."""
        count = len(self._train)
        epoch, start = divmod(self.units, count)
        generator = np.random.default_rng((self._seed, epoch))
        stride = next(int(s) for s in generator.integers(1, _PRIME, 1000) if np.gcd(s, count) == 1)
        places = (np.arange(start, min(start + self._batch, count)) % count * (stride % count)) % count
        self.units += len(places)
        chosen: NDArray[np.int64] = self._train[places]
        return chosen

    def _loss(self, chosen: NDArray[np.int64]) -> Tensor:
        first = torch.from_numpy(self._pairs.first[chosen]).long()
        second = torch.from_numpy(self._pairs.second[chosen]).long()
        count = torch.from_numpy(self._pairs.weight[chosen])
        weight = (count / self._top).clamp_max(1) ** 0.75
        both = (self.model(first, second), self.model(second, first))  # the counts are symmetric
        loss: Tensor = sum(((guess - count.log()).square() * weight).mean() for guess in both) / 2
        return loss

    def loss(self) -> Tensor:
        """Mean weighted squared error of the next batch."""
        return self._loss(self._next())

    @torch.no_grad()
    def held_out(self) -> float:
        """Mean weighted squared error on the held-out pairs."""
        return self._loss(self._held_out).item()

    def settings(self) -> Mapping[str, object]:
        """The settings that a checkpoint must share with this training."""
        arrays = (self._pairs.first, self._pairs.second, self._pairs.weight)
        digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
        return {"model": "glove", "pairs": digest, "dim": self._dim, "batch": self._batch, "top": self._top}

    def state(self) -> tuple[dict[str, Tensor], TaskFacts]:
        """How many pairs were read."""
        return {}, {"units": self.units}

    def restore(self, tensors: Mapping[str, Tensor], facts: TaskFacts) -> None:  # noqa: ARG002
        """Go on from what :meth:`state` returned."""
        self.units = facts["units"]


def pretrain_glove(config: GloVeConfig, progress: Callable[[PretrainProgress], None] | None = None) -> dict[str, Any]:
    """Train and write word vectors. An interrupted training goes on.

    Args:
        progress: called in this process with the state of the training, about twice a second.

    Returns:
        the encoder's spec, the file and the log.

    Raises:
        MissingFileError, DataError: the text is missing, is not UTF-8, or is too short.
        MismatchError: ``out`` holds a checkpoint of a training with different settings.
        ResourceError: the disk is full, or a process was killed.
    """
    training = training_folder(config.out, fresh=config.fresh)
    _statistics(config, training)  # kept in files, where the training's process finds them
    run_jobs([ParallelJob(_train, (config,))], progress)
    log = read_log(training / LOG)
    write_card(
        config.out,
        title="Word vectors (GloVe)",
        method="Pennington et al. 2014, GloVe: Global Vectors for Word Representation",
        source=TextSource(config.text),
        settings=settings_of(config),
        logs={"glove": log},
        files=(config.out / VECTORS,),
    )
    return {"encoder": f"glove:{config.out / VECTORS}", "file": str(config.out / VECTORS), "log": log}


def _train(config: GloVeConfig, group: Group, report: Callable[[PretrainProgress], None] | None) -> None:
    """Train in this process and write the vectors."""
    training = config.out / "training"
    words, pairs = _statistics(config, training)
    torch.manual_seed(config.schedule.seed)
    shape = {"dim": config.dim, "batch": config.pairs, "seed": config.schedule.seed}
    task = GloVeTask(pairs, len(words), top=config.top, **shape)
    steps = config.schedule.total(len(pairs.weight), config.pairs)
    train(task, config.schedule, steps, training, report, group)
    state = task.model.state_dict()
    vectors = (state["words.weight"] + state["contexts.weight"]).numpy()
    rows = (f"{word} {' '.join(f'{x:.5f}' for x in row)}\n" for word, row in zip(words, vectors, strict=True))
    write_file(config.out / VECTORS, "".join(rows).encode("utf-8"))


def _statistics(config: GloVeConfig, folder: Path) -> tuple[tuple[str, ...], Pairs]:
    """Return the words and the pair counts, made once and then read from ``folder``."""
    chosen = {"window": config.window, "vocabulary": config.vocabulary, "least": config.least}
    facts = {**chosen, **config.source.facts()}
    kept = folder / VOCABULARY
    if kept.exists() and (folder / PAIRS).exists():
        known = json.loads(kept.read_text(encoding="utf-8"))
        if known["facts"] == facts:
            return tuple(known["words"]), Pairs(**load_file(folder / PAIRS))
    learnt, _ = learn_words(config.sentences(), config.vocabulary, config.least)
    words = learnt[len(SPECIAL) :]
    index = {word: i for i, word in enumerate(words)}
    numbers = (np.array([index[w] for w in s if w in index], np.int32) for s in config.sentences())
    pairs = count_pairs(numbers, len(words), config.window)
    if len(pairs.weight) < 2:
        raise DataError(
            f"{', '.join(map(str, config.text))}: no two words occur in one line; a line must hold a sentence, not a "
            "single word."
        )
    arrays = {"first": pairs.first, "second": pairs.second, "weight": pairs.weight}
    write_file(folder / PAIRS, save(arrays))
    write_file(kept, json.dumps({"facts": facts, "words": words}).encode("utf-8"))
    return words, pairs
