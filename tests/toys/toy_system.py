"""The smallest system: which words stand with which label. One file and one line in the table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.systems.contract import Fit, FitTask, KeptState, SystemOptions
from classifier.training.config import option
from classifier.training.epoch import Epoch
from featstore.errors import UsageError
from featstore.files import write_file
from featstore.fingerprint import file_sha256
from featstore.records import Instance
from featstore.stores import FeatureStore


@dataclass(frozen=True, slots=True)
class WordsOptions(SystemOptions):
    rounds: int = option(2, "Number of times that the training part is counted.", least=1)
    stops: str = option("", "File of the words that do not count.")
    threads: int = option(1, "Number of threads of the matrix products.", least=1)

    @property
    def epochs(self) -> int:
        return self.rounds


class Counts:
    """How often each word stands with each label, and one more."""

    def __init__(self, words: Mapping[str, int], counts: NDArray[np.float64]) -> None:
        self.words, self.counts = words, counts

    @property
    def parameters(self) -> int:
        return self.counts.size

    def probabilities(self, instances: Sequence[Instance], _stores: Sequence[FeatureStore], /) -> NDArray[np.float32]:
        logs = np.log(self.counts / self.counts.sum(0))
        scores = np.array([logs[[self.words[w] for w in i.tokens if w in self.words]].sum(0) for i in instances])
        likely = np.exp(scores - scores.max(1, keepdims=True))
        shares: NDArray[np.float32] = (likely / likely.sum(1, keepdims=True)).astype(np.float32)
        return shares

    def save(self, folder: Path) -> None:
        text = json.dumps({"words": list(self.words), "counts": self.counts.tolist()})
        write_file(folder / "counts.json", text.encode())


class Words:
    """The system ``words``."""

    about = "counts words"
    options = WordsOptions
    packages = ()

    def label(self, options: WordsOptions) -> str:
        return f"words:{Path(options.stops).stem}" if options.stops else "words"

    def sources(self, options: WordsOptions) -> Mapping[str, str]:
        if not options.stops:
            return {}
        path = Path(options.stops)
        if not path.is_file():
            raise UsageError(f"--stops {path} is no file.")
        return {path.name: file_sha256(path)}

    def fit(self, task: FitTask[WordsOptions]) -> Fit:
        stops = set(Path(task.options.stops).read_text().split()) if task.options.stops else set()
        words = sorted({word for i in task.train for word in i.tokens} - stops)
        fitted = Counts({word: n for n, word in enumerate(words)}, np.ones((len(words), len(task.labels))))
        kept = task.keeper.load()
        epochs = [Epoch(**facts) for facts in kept.facts["epochs"]] if kept else []
        if kept:
            fitted.counts = kept.tensors["counts"].numpy()
        gold = np.array([task.labels.index(i.label or "") for i in task.dev])
        for number in range(len(epochs) + 1, task.options.rounds + 1):
            for instance in task.train:
                for word in set(instance.tokens) - stops:
                    fitted.counts[fitted.words[word], task.labels.index(instance.label or "")] += 1
            right = float((fitted.probabilities(task.dev, ()).argmax(1) == gold).mean())
            best = all(right > each.dev_f1 for each in epochs)
            epochs.append(Epoch(number, task.options.rounds, 0.0, 0.0, right, 0.0, best, 0.0))
            told = [{name: getattr(each, name) for name in Epoch.__slots__} for each in epochs]
            task.keeper.save(KeptState({"counts": torch.from_numpy(fitted.counts)}, {"epochs": told}))
            task.progress(epochs[-1])
        return Fit(fitted, tuple(epochs))

    def load(self, folder: Path, _options: WordsOptions, _labels: tuple[str, ...], /) -> Counts:
        raw = json.loads((folder / "counts.json").read_text())
        return Counts({word: n for n, word in enumerate(raw["words"])}, np.array(raw["counts"]))


WORDS = Words()
