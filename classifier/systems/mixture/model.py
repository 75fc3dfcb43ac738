"""The members of a mixture, their weights, and the mean of their probabilities.

In: folds of trained runs. Out: a system that scores instances with each of them. A member is kept as the folder of its
fold, so that it is read back, and checked, as that fold would be.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from classifier.data.features import FeatureSpec
from classifier.runs.checkpoint import Checkpoint, load_checkpoint
from classifier.runs.classify import classify
from classifier.runs.facts import RUN, WEIGHTS, RunFacts, read_run
from classifier.scores.metrics import score
from classifier.systems.contract import Fit, FitTask, FittedSystem
from classifier.systems.mixture.options import MixtureOptions
from classifier.systems.saved import MODEL, load_fitted
from classifier.training.epoch import Epoch, Notice
from featstore.addresses import spelled
from featstore.copies import on_this_machine
from featstore.errors import DataError, MismatchError
from featstore.files import make_folder, write_file
from featstore.records import Instance
from featstore.stores import FeatureStore

WEIGHTS_OF_MEMBERS = "weights.json"
# Rounds of expectation maximisation. After n of them the mean log-likelihood of k members lies within log(k) / n of its
# highest value (Cover 1984).
ROUNDS = 1000


class Member(Protocol):
    """A member that is read back."""

    def probabilities(self, instances: Sequence[Instance], stores: Sequence[FeatureStore]) -> NDArray[np.float32]:
        """Return the probability of each label. Shape: (n, labels)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class HeadMember:
    """A head as a member.

    Attributes:
        checkpoint: the head.
    """

    checkpoint: Checkpoint

    def probabilities(self, instances: Sequence[Instance], stores: Sequence[FeatureStore]) -> NDArray[np.float32]:
        """Score instances whose vectors are in ``stores``."""
        return classify(self.checkpoint, instances, _picked(self.checkpoint.features, stores)).probabilities


@dataclass(frozen=True, slots=True, eq=False)
class SystemMember:
    """Another system as a member.

    Attributes:
        model: the fitted system.
        features: what it reads of the stores.
    """

    model: FittedSystem
    features: tuple[FeatureSpec, ...]

    def probabilities(self, instances: Sequence[Instance], stores: Sequence[FeatureStore]) -> NDArray[np.float32]:
        """Score instances."""
        return self.model.probabilities(instances, _picked(self.features, stores))


def _picked(features: Sequence[FeatureSpec], stores: Sequence[FeatureStore]) -> list[FeatureStore]:
    """Return the store of each feature.

    Raises:
        MismatchError: one is missing, or holds the vectors of another encoder.
    """
    at_hand = {store.meta.identity: store for store in stores}
    missing = [spec for spec in features if spec.identity not in at_hand]
    if missing:
        raise MismatchError(
            f"a member of the mixture was trained on {missing[0]}, and the store holds another set of that name; "
            "featurize with the encoder that it was trained on."
        )
    return [at_hand[spec.identity] for spec in features]


@dataclass(frozen=True, slots=True, eq=False)
class MixtureModel:
    """A mixture that is fitted.

    Attributes:
        folders: the folder of each member's fold.
        members: the members.
        weights: of the members; they sum to 1.
        parameters: the numbers of all members.
    """

    folders: tuple[Path, ...]
    members: tuple[Member, ...]
    weights: tuple[float, ...]
    parameters: int

    def probabilities(self, instances: Sequence[Instance], stores: Sequence[FeatureStore] = ()) -> NDArray[np.float32]:
        """Return the weighted mean of the members' probabilities. Shape: (n, labels)."""
        each = [member.probabilities(instances, stores) for member in self.members]
        mixed = sum(weight * found.astype(np.float64) for weight, found in zip(self.weights, each, strict=True))
        return np.asarray(mixed, np.float32)

    def save(self, folder: Path) -> None:
        """Write the weights, and the fold of each member below its number."""
        for number, source in enumerate(self.folders, start=1):
            target = folder / str(number)
            facts = read_run(source)
            names = [WEIGHTS] if facts.system is None else [f"{MODEL}/{name}" for name in facts.system.files]
            for name in (*names, RUN):
                make_folder((target / name).parent)
                shutil.copyfile(source / name, target / name)
        write_file(folder / WEIGHTS_OF_MEMBERS, json.dumps(self.weights).encode())


def fit_mixture(task: FitTask[MixtureOptions]) -> Fit:
    """Read the members and choose their weights.

    Raises:
        MissingFileError: a member has not trained this fold.
        MismatchError: a member was trained on another corpus, or marked otherwise.
    """
    start = time.perf_counter()
    folders = tuple(on_this_machine(run / f"fold-{task.fold}") for run in task.options.runs)
    facts = [read_run(folder) for folder in folders]
    for folder, each in zip(folders, facts, strict=True):
        _check_fits(folder, each, task)
    members = tuple(_member(folder, each) for folder, each in zip(folders, facts, strict=True))
    gold = np.array([task.labels.index(instance.label or "") for instance in task.dev])
    found = np.stack([member.probabilities(task.dev, task.stores) for member in members])
    likelihood = found[:, np.arange(len(gold)), gold].astype(np.float64)
    equal = np.full(len(members), 1 / len(members))
    weights = equal if task.options.weights == "equal" else likeliest_weights(likelihood)
    model = MixtureModel(folders, members, tuple(map(float, weights)), sum(map(_parameters, members)))
    told = ", ".join(
        f"{weight:.2f} {run}" for weight, run in zip(model.weights, map(spelled, task.options.runs), strict=True)
    )
    task.progress(Notice(f"weights of the members: {told}"))
    mixed = np.tensordot(weights, found, 1)
    f1 = score(gold, mixed.argmax(1), task.labels, task.positive).micro.f1 or 0.0
    loss = float(-np.log(np.maximum(weights @ likelihood, np.finfo(np.float32).tiny)).mean())
    epoch = Epoch(1, 1, loss, loss, f1, 0.0, best=True, seconds=time.perf_counter() - start)
    task.progress(epoch)
    return Fit(model, (epoch,))


def likeliest_weights(likelihood: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of a mixture with the highest likelihood, by expectation maximisation from equal weights.

    Args:
        likelihood: that each member gives each instance's label. Shape: (members, n).
    """
    likelihood = np.maximum(likelihood, np.finfo(np.float64).tiny)
    weights = np.full(len(likelihood), 1 / len(likelihood))
    for _ in range(ROUNDS):
        share = weights[:, None] * likelihood
        weights = (share / share.sum(0)).mean(1)
    return weights


def load_mixture(folder: Path, options: MixtureOptions, labels: tuple[str, ...]) -> MixtureModel:
    """Read what :meth:`MixtureModel.save` wrote.

    Raises:
        DataError: it is not as it was written.
    """
    folders = tuple(folder / str(number) for number in range(1, len(options.runs) + 1))
    facts = [read_run(each) for each in folders]
    try:
        weights = tuple(float(weight) for weight in json.loads((folder / WEIGHTS_OF_MEMBERS).read_text("utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder / WEIGHTS_OF_MEMBERS} does not hold weights ({error}); train the fold again."
        ) from error
    proper = len(weights) == len(folders) and min(weights) >= 0 and np.isclose(sum(weights), 1)
    if not proper or any(each.labels != labels for each in facts):
        raise DataError(f"{folder} has members that do not belong together; train the fold again.")
    members = tuple(_member(path, each) for path, each in zip(folders, facts, strict=True))
    return MixtureModel(folders, members, weights, sum(map(_parameters, members)))


def _member(folder: Path, facts: RunFacts) -> Member:
    if facts.system is None:
        return HeadMember(load_checkpoint(folder))
    fitted = load_fitted(folder)
    return SystemMember(fitted.model, facts.features)


def _parameters(member: Member) -> int:
    if isinstance(member, HeadMember):
        return sum(parameter.numel() for parameter in member.checkpoint.head.parameters())
    assert isinstance(member, SystemMember)
    return member.model.parameters


def _check_fits(folder: Path, facts: RunFacts, task: FitTask[MixtureOptions]) -> None:
    if facts.corpus != task.corpus or facts.labels != task.labels:
        raise MismatchError(
            f"{folder} was trained on {facts.corpus.spec} ({facts.corpus.indicators}, {facts.corpus.context}, digest "
            f"{facts.corpus.digest[:12]}), which is not the corpus of the mixture as it is marked here. Mix runs of "
            "one corpus, with the same indicators and context."
        )
