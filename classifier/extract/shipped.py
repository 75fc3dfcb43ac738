"""The trained models that come with featstore.

In: nothing, or the name of one. Out: what is installed below ``data/models``: bundles of relation heads, and a tagger.
Their encoders are not in them: they come with featstore too and are named by their identities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier.entities.checkpoint import FACTS, MADE_BY
from classifier.extract.bundle import CARD, MANIFEST
from classifier.runs.checkpoint import RUN, read_json
from featstore.bundled import bundled
from featstore.errors import MissingFileError, UsageError, did_you_mean

DEFAULT = "chemprot"
MODELS = "models"


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A model that comes with featstore.

    Attributes:
        name: what ``--model`` calls it.
        kind: ``relations`` or ``tagger``.
        finds: the labels that say that there is a relation, or the types of mentions.
        pairs: for relations the types that are paired, as the tags spell them.
        features: what it reads, joined by ``+``.
        trained_on: names of its corpora.
        fingerprint: hex digest of what it is.
        bytes: size of its files.
        folder: where it is.
    """

    name: str
    kind: str
    finds: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    features: str
    trained_on: tuple[str, ...]
    fingerprint: str
    bytes: int
    folder: Path

    @property
    def card(self) -> str:
        """Its card, as Markdown."""
        return (self.folder / CARD).read_text(encoding="utf-8")


def shipped_models() -> tuple[ShippedModel, ...]:
    """Return the models that are installed, by name."""
    try:
        root = bundled(MODELS)
    except MissingFileError:
        return ()
    found = [_model(folder) for folder in sorted(root.iterdir()) if folder.is_dir()]
    return tuple(model for model in found if model is not None)


def shipped_model(name: str) -> ShippedModel:
    """Return one of them.

    Raises:
        UsageError: there is none of that name.
    """
    found = {model.name: model for model in shipped_models()}
    if name not in found:
        known = ", ".join(found) or "none: install featstore again"
        raise UsageError(f"no model '{name}' comes with featstore; there is {known}.{did_you_mean(name, list(found))}")
    return found[name]


def model_folder(given: str | Path | None) -> Path:
    """Return the folder of a relation model: of a path that is there, of a shipped one's name, or of the default.

    Raises:
        UsageError: neither a folder nor the name of a shipped model of relations.
    """
    if given is not None and Path(given).exists():
        return Path(given)
    model = shipped_model(DEFAULT if given is None else str(given))
    if model.kind != "relations":
        raise UsageError(f"'{model.name}' finds mentions, not relations; choose another with cli models ls.")
    return model.folder


def _model(folder: Path) -> ShippedModel | None:
    """Return what a folder holds; None if that is no model."""
    pairs: tuple[tuple[str, str], ...] = ()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if (folder / FACTS).is_file():
        facts: Mapping[str, Any] = read_json(folder / FACTS, MADE_BY)
        trained_on = tuple(corpus["name"] for corpus in facts["corpora"])
        finds, kind = tuple(facts["network"]["types"]), "tagger"
        fingerprint = str(facts["fingerprint"])
    elif (folder / MANIFEST).is_file():
        facts = read_json(folder / RUN, "`cli bundle` makes it")
        trained_on = (str(facts["corpus"]["name"]),)
        pairs = tuple((head, tail) for head, tail in facts["pairing"]["kinds"])
        finds, kind = tuple(facts["positive"]), "relations"
        fingerprint = str(read_json(folder / MANIFEST, "`cli bundle` makes it")["fingerprint"])
    else:
        return None
    features = "+".join(spec["name"] for spec in facts["features"])
    return ShippedModel(folder.name, kind, finds, pairs, features, trained_on, fingerprint, size, folder)
