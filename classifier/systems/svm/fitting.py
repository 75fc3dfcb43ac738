"""The fit of the ensemble.

In: the train part of a fold. Out: the ensemble, fitted on all of it. Everything that is chosen is chosen by
cross-validation inside the train part: its sentences are cut into parts, each part is scored by machines (and a space)
that were fitted on the others, and these scores choose each machine's cost of errors, its sigmoid and the shift of the
positive labels. The dev part is scored once, at the end, and nothing is chosen by it. With ``refit`` all this is done
once more with the train and the dev part together.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from classifier.scores.metrics import score
from classifier.systems.contract import Fit, FitTask, Keeper, KeptState
from classifier.systems.svm.calibration import probabilities_of, sigmoids_of
from classifier.systems.svm.config import SvmOptions
from classifier.systems.svm.ensemble import SvmEnsemble, combined
from classifier.systems.svm.members import MEMBERS, FittedMember, fit_machine
from classifier.systems.svm.space import FeatureNames, Matrix, Space, describe
from classifier.training.epoch import Epoch, Notice
from classifier.training.favour import PRIOR, best_shift
from featstore.errors import DataError, count_of
from featstore.records import Instance

Gold = NDArray[np.int64]
_REFIT = "refit"


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """What the parts that were held out chose.

    Attributes:
        costs: the C of each machine.
        sigmoids: of each machine. Shape: (machines, 2) each.
        probabilities: of each machine, on the instances as they were held out. Shape: (members, n, labels).
    """

    costs: tuple[float, ...]
    sigmoids: tuple[Matrix, ...]
    probabilities: Matrix


def fit(task: FitTask[SvmOptions]) -> Fit:
    """Fit the ensemble.

    Raises:
        DataError: a label without a training instance, or too few sentences for the parts.
    """
    with threadpool_limits(task.options.threads):
        kept = task.keeper.load()
        if kept and _REFIT in kept.facts:  # a refit has begun, so the fit to the train part is over
            epoch = Epoch(**kept.facts[_REFIT])
        else:
            start = time.perf_counter()
            ensemble, loss = _fitted(task, task.train, {})
            epoch = _epoch(task, ensemble, loss, start)
            task.progress(epoch)
            if not task.options.refit:
                return Fit(ensemble, (epoch,))
        ensemble, loss = _fitted(task, [*task.train, *task.dev], {_REFIT: asdict(epoch)})
    return Fit(ensemble, (epoch,), (loss,))


def _fitted(
    task: FitTask[SvmOptions], instances: Sequence[Instance], facts: Mapping[str, Any]
) -> tuple[SvmEnsemble, float]:
    """Fit the ensemble to some instances; return it and its loss on them as they were held out.

    Args:
        facts: what is kept beside the scores of the parts that were held out; kept scores with other facts are not of
            these instances.
    """
    options, gold = task.options, _gold(instances, task.labels)
    described = describe(instances, options.features, task.stores)
    held = _choose(_held_out(task, instances, described, facts), options, gold, len(task.labels))
    space = Space.fit(described, gold, least=options.least, select=options.select)
    rows = space.rows(described)
    members = []
    for name, cost, sigmoids in zip(options.names, held.costs, held.sigmoids, strict=True):
        member = MEMBERS[name]
        machine = fit_machine(
            member, cost, rows, gold, labels=len(task.labels), seed=options.seed, sample=sampled(gold, options)
        )
        members.append(FittedMember(name, member, cost, machine, sigmoids))
    shifts = _shifts(task, held, gold)
    ensemble = SvmEnsemble(options.features, task.labels, space, tuple(members), shifts)
    return ensemble, _loss(combined(held.probabilities, shifts), gold)


def _epoch(task: FitTask[SvmOptions], ensemble: SvmEnsemble, loss: float, start: float) -> Epoch:
    """Return what is told of the fit to the train part, with its score on the dev part."""
    dev, gold = ensemble.probabilities(task.dev, task.stores), _gold(task.dev, task.labels)
    return Epoch(
        number=1,
        of=1,
        train_loss=loss,
        dev_loss=_loss(dev.astype(np.float64), gold),
        dev_f1=score(gold, dev.argmax(1), task.labels, task.positive).micro.f1 or 0.0,
        lr=0.0,
        best=True,
        seconds=time.perf_counter() - start,
    )


def candidates(options: SvmOptions) -> list[tuple[str, float]]:
    """Return each machine with each cost that is tried."""
    return [(name, cost) for name in options.names for cost in MEMBERS[name].costs]


def parts_of(instances: Sequence[Instance], gold: Gold, labels: tuple[str, ...], count: int, seed: int) -> Gold:
    """Return the part of each instance, from 0; instances of one sentence share it. Shape: (n,).

    Raises:
        DataError: there are too few sentences, in all or with a label.
    """
    groups = np.array([instance.sentence for instance in instances])
    for number, label in enumerate(labels):
        sentences = len(set(groups[gold == number]))
        if sentences < 2:
            raise DataError(
                f"the training part has {count_of(sentences, 'sentence')} with the label '{label}', "
                "and the SVMs need two or more of each label: one to learn from, one to be calibrated on."
            )
    count = min(count, len(set(groups)))
    parts = np.zeros(len(instances), dtype=np.int64)
    # A label may have fewer sentences than there are parts; that parts lack it does no harm.
    strata = np.where(np.bincount(gold)[gold] < count, 0, gold)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    for number, (_, out) in enumerate(splitter.split(gold, strata, groups)):
        parts[out] = number
    for number, label in enumerate(labels):
        if len(set(parts[gold == number])) < 2:
            raise DataError(
                f"all sentences with the label '{label}' fell into one of the {count} parts that are held out in turn; "
                "give another --seed or more --calibration-parts."
            )
    return parts


def sampled(gold: Gold, options: SvmOptions) -> Gold:
    """Return the places of the instances that a member with a kernel is fitted on, rising; Shape: (s,)."""
    everything = np.arange(len(gold))
    if len(gold) <= options.kernel_rows:
        return everything
    drawn = np.random.default_rng(options.seed).permutation(everything)
    first = np.unique(gold[drawn], return_index=True)[1]  # so that no label is lost
    drawn = np.concatenate([drawn[first], np.delete(drawn, first)])
    positive, negative = drawn[gold[drawn] > 0], drawn[gold[drawn] == 0]
    # A third are negative where there are so many, so that there is something to learn against.
    share = min(len(positive), options.kernel_rows - min(len(negative), options.kernel_rows // 3))
    return np.sort(np.concatenate([positive[:share], negative[: options.kernel_rows - share]]))


def _gold(instances: Sequence[Instance], labels: tuple[str, ...]) -> Gold:
    return np.array([labels.index(instance.label or "") for instance in instances], dtype=np.int64)


def _held_out(
    task: FitTask[SvmOptions], instances: Sequence[Instance], described: FeatureNames, facts: Mapping[str, Any]
) -> Matrix:
    """Return the scores of each candidate on each instance as it was held out; Shape: (candidates, n, machines)."""
    options, labels, gold = task.options, len(task.labels), _gold(instances, task.labels)
    parts = parts_of(instances, gold, task.labels, options.calibration_parts, options.seed)
    count, tried = int(parts.max()) + 1, candidates(options)
    shape = (len(tried), len(gold), labels if labels > 2 else 1)
    scores, done = _resumed(task.keeper, shape, facts)
    for part in range(done, count):
        rest, out = np.flatnonzero(parts != part), np.flatnonzero(parts == part)
        space = Space.fit(described.take(rest), gold[rest], least=options.least, select=options.select)
        sample = sampled(gold[rest], options)
        rows, held = space.rows(described.take(rest)), space.rows(described.take(out))
        for number, (name, cost) in enumerate(tried):
            member = MEMBERS[name]
            machine = fit_machine(member, cost, rows, gold[rest], labels=labels, seed=options.seed, sample=sample)
            scores[number, out] = machine.scores(member, held)
        task.keeper.save(KeptState({"scores": torch.from_numpy(scores)}, {"done": part + 1, **facts}))
        task.progress(Notice(f"part {part + 1} of {count} was held out and scored."))
    return scores


def _resumed(keeper: Keeper, shape: tuple[int, ...], facts: Mapping[str, Any]) -> tuple[Matrix, int]:
    """Return the scores of the parts that an interrupted fit held out, and how many parts these are."""
    kept = keeper.load()
    if kept is None or kept.facts.keys() - {"done"} != facts.keys():
        return np.zeros(shape), 0
    return kept.tensors["scores"].numpy().copy(), int(kept.facts["done"])


def _choose(scores: Matrix, options: SvmOptions, gold: Gold, labels: int) -> _Held:
    """Choose the cost with the smallest loss of each machine."""
    costs, chosen, kept = [], [], []
    tried = candidates(options)
    for name in options.names:
        numbers = [number for number, (of, _) in enumerate(tried) if of == name]
        sigmoids = [sigmoids_of(scores[number], gold) for number in numbers]
        found = [probabilities_of(scores[n], each) for n, each in zip(numbers, sigmoids, strict=True)]
        best = int(np.argmin([_loss(each, gold) for each in found]))
        costs.append(tried[numbers[best]][1])
        chosen.append(sigmoids[best])
        kept.append(found[best])
    probabilities = np.stack(kept)
    assert probabilities.shape[2] == labels
    return _Held(tuple(costs), tuple(chosen), probabilities)


def _shifts(task: FitTask[SvmOptions], held: _Held, gold: Gold) -> Matrix:
    """Return what is added to the logarithm of each label's probability; Shape: (labels,)."""
    favoured = np.array([label in task.positive for label in task.labels], dtype=np.float64)
    if not task.options.favour:
        return 0 * favoured
    shift = best_shift(held.probabilities.astype(np.float32), gold, task.labels, task.positive)
    return favoured * shift * len(gold) / (len(gold) + PRIOR)


def _loss(probabilities: Matrix, gold: Gold) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(gold)), gold], 1e-12)).mean())
