"""The models that come with featstore: which there are, and which one is meant by a name.

In: nothing, or what a user calls a model. Out: the facts of each model that is installed, read from its JSON (no torch
is loaded), or the folder of the one that is meant.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from classifier.entities.facts import FACTS, read_tagger, read_tested
from classifier.extract.manifest import MANIFEST, read_manifest
from classifier.runs.facts import METRICS, RUN, read_metrics, read_run
from classifier.runs.find import fold_folder, is_run
from featstore.bundled import bundled
from featstore.copies import on_this_machine
from featstore.errors import MissingFileError, UsageError, did_you_mean
from featstore.labels import in_words
from featstore.types import shown

DEFAULT = "chemprot"
_FOLDER = "models"
_CARD = "README.md"


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model that comes with featstore.

    Attributes:
        name: what it is called: ``--model NAME``.
        path: its folder.
        task: ``relations`` or ``mentions``.
        finds: the types that it relates (``CHEMICAL with GENE``), or those that it finds.
        labels: what it says of a pair, each label with its meaning; empty for a tagger.
        corpora: what it was trained on.
        encoders: what it reads.
        scores: F1 on the test part of each corpus that it was evaluated on.
        size: bytes.
        licence: of the model; empty if its folder does not say.
    """

    name: str
    path: Path
    task: str
    finds: tuple[str, ...]
    labels: tuple[str, ...]
    corpora: tuple[str, ...]
    encoders: tuple[str, ...]
    scores: Mapping[str, float]
    size: int
    licence: str

    @property
    def card(self) -> str:
        """The model's card, as Markdown; empty if it has none."""
        path = self.path / _CARD
        return path.read_text(encoding="utf-8") if path.is_file() else ""


def installed_models() -> list[InstalledModel]:
    """Return the models that are installed, those for relations first, by name.

    Raises:
        DataError: a damaged or changed file.
    """
    try:
        root = bundled(_FOLDER)
    except MissingFileError:
        return []
    found = [_model(folder) for folder in sorted(root.iterdir()) if folder.is_dir()]
    return sorted((model for model in found if model), key=lambda model: (model.task != "relations", model.name))


def installed_model(name: str) -> InstalledModel:
    """Return an installed model by its name.

    Raises:
        MissingFileError: there is none of the name; the text lists those that there are.
    """
    models = {model.name: model for model in installed_models()}
    if name not in models:
        raise MissingFileError(
            f"there is no model '{name}': no folder of that path, and installed are {', '.join(models) or 'none'}."
            f"{did_you_mean(name, tuple(models))}"
        )
    return models[name]


def model_folder(given: str | Path | None, fold: int | None = None) -> Path:
    """Return the folder of a model: of a bundle, or of a trained fold.

    Args:
        given: a bundle, a trained fold or a run (of each, the folder or its address), or the name of an installed
            model; None: the default one.
        fold: the fold of a run; None: the first that is trained.

    Raises:
        MissingFileError: there is no such folder and no such model, or the run has no such trained fold.
        UsageError: a fold of what is no run.
    """
    place = None if given is None else on_this_machine(given)
    if place is not None and is_run(place) and not (place / RUN).is_file():
        return fold_folder(place, fold)
    if fold is not None:
        raise UsageError(f"{given or DEFAULT} is no run, so it has no fold {fold} to choose; leave the fold out.")
    if place is not None and os.path.exists(place):  # False too where no file can be
        return place
    return installed_model(DEFAULT if given is None else str(given)).path


def _model(folder: Path) -> InstalledModel | None:
    """Return the model of a folder, or None if it holds none."""
    if (folder / FACTS).is_file():
        return _tagger(folder)
    return _relations(folder) if (folder / MANIFEST).is_file() else None


def _relations(folder: Path) -> InstalledModel:
    run, bundle = read_run(folder), read_manifest(folder)
    corpus = run.corpus.name
    f1 = read_metrics(folder).micro.f1 if (folder / METRICS).is_file() else None
    return InstalledModel(
        name=folder.name,
        path=folder,
        task="relations",
        finds=tuple(f"{shown(head)} with {shown(tail)}" for head, tail in (run.pairing.kinds if run.pairing else ())),
        labels=tuple(in_words(label, corpus) for label in run.positive),
        corpora=(corpus,),
        encoders=tuple(feature.name for feature in run.features),
        scores={} if f1 is None else {corpus: f1},
        size=_size(folder),
        licence=bundle.licence,
    )


def _tagger(folder: Path) -> InstalledModel:
    facts = read_tagger(folder)
    scores = {each.corpus: each.exact["all"].f1 for each in read_tested(folder)}
    return InstalledModel(
        name=folder.name,
        path=folder,
        task="mentions",
        finds=facts.network.types,
        labels=(),
        corpora=tuple(corpus.name for corpus in facts.corpora),
        encoders=tuple(feature.name for feature in facts.features),
        scores={corpus: f1 for corpus, f1 in scores.items() if f1 is not None},
        size=_size(folder),
        licence="",
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
