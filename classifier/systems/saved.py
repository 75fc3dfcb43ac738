"""A fitted system on disk: its own files below ``model/``, and ``run.json`` with their digests beside them.

In: a fitted system and what it was fitted on. Out: the folder of a fold, and the same system back. ``run.json`` is
written last, so a folder without it holds no fitted system. What is read may come from anywhere: names and digests are
checked before a file is opened.
"""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from classifier.data.features import Feature, FeatureSpec
from classifier.data.pairing import Pairing
from classifier.runs.config import SystemChoice
from classifier.runs.facts import (
    FORMAT_VERSION,
    RUN,
    CorpusFacts,
    MachineFacts,
    PartSizes,
    RunFacts,
    SystemFacts,
    TrainingFacts,
    read_run,
    to_json,
)
from classifier.systems.choice import options_of
from classifier.systems.contract import FittedSystem
from classifier.systems.table import find_system
from classifier.training.epoch import Epoch
from featstore.errors import DataError, MismatchError, MissingFileError, UsageError
from featstore.files import clear_errors, make_folder, write_file
from featstore.fingerprint import file_sha256

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
    seconds: float
    peak_memory: int | None
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fitted system that was read back.

    Attributes:
        model: the system.
        facts: the content of ``run.json``.
    """

    model: FittedSystem
    facts: RunFacts

    @property
    def parsed_features(self) -> tuple[Feature, ...]:
        """The features that it reads as ``--features`` would name them, any encoder of the name."""
        return tuple(Feature(spec.name, spec.layer) for spec in self.facts.features)


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
        ),
        versions=described.versions,
        machine=MachineFacts(platform.machine(), platform.system()),
    )
    write_file(folder / RUN, to_json(facts))
    return facts


def load_fitted(folder: Path) -> Fitted:
    """Read what :func:`save_fitted` wrote.

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
    choice = SystemChoice(system.name, system.label, tuple(system.options.items()))
    model = find_system(system.name).load(folder / MODEL, options_of(choice), facts.labels)
    return Fitted(model, facts)
