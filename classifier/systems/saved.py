"""A fitted system on disk: its own files below ``model/``, and ``run.json`` with their digests beside them.

In: a fitted system and what it was fitted on. Out: the folder of a fold, and the same system back. ``run.json`` is
written last, so a folder without it holds no fitted system. What is read may come from anywhere: names and digests are
checked before a file is opened.
"""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from classifier.data.features import Feature, FeatureSpec
from classifier.runs.checkpoint import Checkpoint, load_checkpoint
from classifier.runs.classify import classify
from classifier.runs.config import SystemChoice
from classifier.runs.facts import (
    FORMAT_VERSION,
    RUN,
    CorpusFacts,
    MachineFacts,
    PartSizes,
    RunFacts,
    Scalar,
    SystemFacts,
    TrainingFacts,
    read_run,
    to_json,
)
from classifier.systems.choice import options_of
from classifier.systems.contract import FittedSystem
from classifier.systems.table import find_system
from classifier.training.epoch import Epoch
from classifier.training.predictions import Predictions
from featstore.errors import DataError, MismatchError, MissingFileError, UsageError
from featstore.files import clear_errors, make_folder, open_output, write_file
from featstore.fingerprint import file_sha256, fingerprint
from featstore.pairing import Pairing
from featstore.records import Instance
from featstore.stores import FeatureStore

_BETWEEN = ":,+"  # between the paths of an option
MODEL = "model"  # the folder of a system's own files
# No pickle, and no way out of the folder. A mixture keeps a folder for each of its members.
_NAME = re.compile(r"((?!\.)[\w.-]+/){0,2}(?!\.)[\w.-]+\.(safetensors|json|txt)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Described:
    """What is known of a fit besides the fitted system.

    Attributes:
        choice: the system and its options.
        sources: sha256 of each file that it was fitted from.
        corpus: the corpus.
        fold: the fold.
        features: what it reads of the store.
        labels: all labels.
        positive: those that the official score counts.
        pairing: how the pairs were made.
        encoders: for each encoder that it reads the facts behind its identity.
        sizes: instances of the train and of the dev part.
        epochs: every epoch.
        refit: the loss of each epoch on both parts together, if it was fitted anew.
        seconds: wall time of the fit.
        peak_memory: bytes resident at most; None where the system does not tell.
        versions: of python and the libraries.
    """

    choice: SystemChoice
    sources: Mapping[str, str]
    corpus: CorpusFacts
    fold: int
    features: tuple[FeatureSpec, ...]
    labels: tuple[str, ...]
    positive: tuple[str, ...]
    pairing: Pairing
    encoders: Mapping[str, Mapping[str, object]]
    sizes: tuple[int, int]
    epochs: tuple[Epoch, ...]
    refit: tuple[float, ...] = ()
    seconds: float
    peak_memory: int | None
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fitted system that was read back.

    Attributes:
        model: the system.
        facts: the content of ``run.json``.
        precision: of its matrix products where it is not the one that it was fitted with; else None.
        has_attention: whether its predictions hold weights of the tokens.
    """

    model: FittedSystem
    facts: RunFacts
    precision: str | None = None
    has_attention: ClassVar[bool] = False

    @property
    def features(self) -> tuple[FeatureSpec, ...]:
        """What it reads of a store, in order."""
        return self.facts.features

    @property
    def labels(self) -> tuple[str, ...]:
        """Its labels, in the order of its probabilities."""
        return self.facts.labels

    @property
    def positive(self) -> tuple[str, ...]:
        """The labels that the corpus's official score counts."""
        return self.facts.positive

    @property
    def corpus(self) -> CorpusFacts:
        """The corpus that it was fitted on."""
        return self.facts.corpus

    @property
    def pairing(self) -> Pairing | None:
        """How the pairs that it was fitted on were made."""
        return self.facts.pairing

    @property
    def encoders(self) -> Mapping[str, Mapping[str, object]]:
        """For each encoder that it reads the facts behind its identity."""
        return self.facts.encoders

    @property
    def fingerprint(self) -> str:
        """A digest (64 hex digits) of all that its answers depend on: files, encoders, labels, marking."""
        corpus, system = self.facts.corpus, self.facts.system
        facts = {
            "files": dict(system.files) if system else {},
            "features": [asdict(spec) for spec in self.features],
            "labels": self.labels,
            "marking": {"indicators": corpus.indicators, "context": corpus.context},
            "pairing": asdict(self.pairing) if self.pairing else None,
        }
        return fingerprint(facts if self.precision is None else {**facts, "precision": self.precision})

    @property
    def parsed_features(self) -> tuple[Feature, ...]:
        """The features that it reads as ``--features`` would name them, any encoder of the name."""
        return tuple(Feature(spec.name, spec.layer) for spec in self.features)


AnyModel = Checkpoint | Fitted  # a trained head, or a fitted system


def load_model(folder: Path, device: str | None = None) -> AnyModel:
    """Read the head or the other system that a fold's folder, or a bundle, holds.

    Args:
        folder: the folder.
        device: that a system runs on which can choose one; None: the one that it was fitted on.

    Raises:
        MissingFileError, UsageError, DataError, MismatchError: as
            :func:`classifier.runs.checkpoint.load_checkpoint` and :func:`load_fitted`.
    """
    return load_checkpoint(folder) if read_run(folder).system is None else load_fitted(folder, device)


def scored(model: AnyModel, instances: Sequence[Instance], stores: Sequence[FeatureStore]) -> Predictions:
    """Score instances with any model.

    Args:
        model: the model.
        instances: marked as the model's corpus was.
        stores: a set for each of the model's features, in their order.
    """
    if isinstance(model, Fitted):
        found = model.model.probabilities(instances, stores)
        return Predictions(found, (np.zeros(0, dtype=np.float32),) * len(found))
    return classify(model, instances, stores)


def copy_fitted(source: Path, target: Path) -> RunFacts:
    """Copy a fitted system from a fold's folder to a bundle, which nobody's paths go into; return its facts there.

    Raises:
        MissingFileError, DataError, MismatchError: as :func:`load_fitted`.
    """
    facts = load_fitted(source).facts
    system = facts.system
    assert system is not None  # load_fitted refuses a head
    for name in system.files:
        make_folder((target / MODEL / name).parent)
        with (source / MODEL / name).open("rb") as file, open_output(target / MODEL / name) as copy:
            shutil.copyfileobj(file, copy)
    options = {name: _without_folders(value) for name, value in system.options.items()}
    corpus = facts.corpus.without_path()
    facts = replace(facts, corpus=corpus, system=replace(system, options=options), evaluation=None)
    write_file(target / RUN, to_json(facts))
    return facts


def _without_folders(value: Scalar) -> Scalar:
    """Return an option's value without the folders of the paths that it names: ``bert:DIR``, ``RUN,RUN``, ``A+B``."""
    if not isinstance(value, str) or "/" not in value:
        return value
    return "".join(piece if piece in _BETWEEN else Path(piece).name for piece in re.split(f"([{_BETWEEN}])", value))


def save_fitted(folder: Path, model: FittedSystem, described: Described) -> RunFacts:
    """Write a fitted system and then ``run.json`` into ``folder``, which is created; return the facts."""
    (folder / RUN).unlink(missing_ok=True)  # the old facts must not stand beside the new files
    with clear_errors(folder / MODEL):
        shutil.rmtree(folder / MODEL, ignore_errors=True)
    make_folder(folder / MODEL)
    model.save(folder / MODEL)
    choice = described.choice
    facts = RunFacts(
        format=FORMAT_VERSION,
        corpus=described.corpus,
        fold=described.fold,
        features=described.features,
        labels=described.labels,
        positive=described.positive,
        tags=(),
        pairing=described.pairing,
        encoders=described.encoders,
        system=SystemFacts(
            name=choice.name,
            label=choice.label,
            options=dict(choice.options),
            sources=dict(described.sources),
            parameters=model.parameters,
            files={
                path.relative_to(folder / MODEL).as_posix(): file_sha256(path)
                for path in sorted((folder / MODEL).rglob("*"))
                if path.is_file()
            },
        ),
        training=TrainingFacts(
            instances=PartSizes(*described.sizes),
            best_epoch=max(epoch.number for epoch in described.epochs if epoch.best),
            seconds=described.seconds,
            peak_memory=described.peak_memory,
            epochs=described.epochs,
            refit=described.refit,
        ),
        versions=described.versions,
        machine=MachineFacts(platform.machine(), platform.system()),
    )
    write_file(folder / RUN, to_json(facts))
    return facts


def load_fitted(folder: Path, device: str | None = None) -> Fitted:
    """Read what :func:`save_fitted` wrote.

    Args:
        folder: the folder.
        device: see :func:`load_model`.

    Raises:
        MissingFileError: there is no finished fit, or one of its files is gone.
        UsageError: it is a fold of a head, or of a system that this version does not have.
        DataError: a file that is not as it was written.
        MismatchError: a file that is not the one that ``run.json`` lists, or a format that this version does not know.
    """
    facts = read_run(folder)
    if facts.system is None:
        raise UsageError(f"{folder} holds a head, not another system.")
    if facts.format != FORMAT_VERSION:
        raise MismatchError(
            f"{folder / RUN} has format {facts.format}; this version reads format {FORMAT_VERSION}. Train it again."
        )
    for name, digest in facts.system.files.items():
        if not _NAME.fullmatch(name):
            raise DataError(f"{folder / RUN} lists {name[:80]!r}, which is no name of a file of a fitted system.")
        path = folder / MODEL / name
        if not path.is_file():
            raise MissingFileError(f"{path} does not exist, though {RUN} lists it; train the fold again.")
        if file_sha256(path) != digest:
            raise MismatchError(f"{path} is not the file that {RUN} describes; train the fold again.")
    system = facts.system
    told = {name: device if device and name == "device" else value for name, value in system.options.items()}
    choice = SystemChoice(system.name, system.label, tuple(told.items()))
    model = find_system(system.name).load(folder / MODEL, options_of(choice), facts.labels)
    return Fitted(model, facts)
