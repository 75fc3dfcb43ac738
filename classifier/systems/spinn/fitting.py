"""Fitting SPINN: vocabulary, networks, and the shift of the positive labels.

In: a task. Out: a :class:`~classifier.systems.spinn.fitted.FittedSpinn` and every epoch. With ``refit`` the networks
are trained once more, on the train and the dev part together, for the epochs that the dev part has chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from classifier.systems.contract import Fit, FitTask, KeptState
from classifier.systems.spinn.examples import Examples
from classifier.systems.spinn.fitted import FittedSpinn, SpinnFacts, shape_of
from classifier.systems.spinn.network import Spinn
from classifier.systems.spinn.options import SpinnOptions
from classifier.systems.spinn.sources import TreeSource, parse_choice
from classifier.systems.spinn.training import LabelledPart, MemberState, Weights, predict, refit_member, train_member
from classifier.systems.spinn.trees import Tree
from classifier.systems.spinn.words import Vocabulary, build_vocabulary, vector_files
from classifier.training.epoch import Epoch, Notice
from classifier.training.favour import PRIOR, best_shift
from featstore.fingerprint import file_sha256
from featstore.records import Instance

_PARTS = ("weights", "average", "best", "optimizer")


def fit_spinn(task: FitTask[SpinnOptions]) -> Fit:
    """Fit SPINN; see :meth:`classifier.systems.contract.System.fit`."""
    options, source = task.options, TreeSource(task.options.trees)
    trees = source.trees(task.train), source.trees(task.dev)
    vocabulary = build_vocabulary(vector_files(options.word_vectors), trees[0])
    kept = _Kept.of(task.keeper.load())
    if kept.shift is None:
        parts = _part(task, task.train, trees[0], vocabulary), _part(task, task.dev, trees[1], vocabulary)
        networks, epochs = _trained(task, vocabulary, parts, kept)
        kept = _Kept((), epochs, MemberState(), _shift(task, networks, parts[1]))
        if not options.refit:
            return Fit(_fitted(task, networks, vocabulary, kept), epochs)
    together = [*trees[0], *trees[1]]
    vocabulary = build_vocabulary(vector_files(options.word_vectors), together)
    both = _part(task, [*task.train, *task.dev], together, vocabulary)
    networks, losses = _refitted(task, vocabulary, both, kept)
    return Fit(_fitted(task, networks, vocabulary, kept), kept.epochs, losses)


def _part(
    task: FitTask[SpinnOptions], instances: Sequence[Instance], trees: Sequence[Tree], vocabulary: Vocabulary
) -> LabelledPart:
    numbers = {label: number for number, label in enumerate(task.labels)}
    gold = np.array([numbers[instance.label or ""] for instance in instances])
    return LabelledPart(Examples(instances, trees, vocabulary), gold)


def _trained(
    task: FitTask[SpinnOptions], vocabulary: Vocabulary, parts: tuple[LabelledPart, LabelledPart], kept: _Kept
) -> tuple[list[Spinn], tuple[Epoch, ...]]:
    """Train the networks that an earlier fit has not trained yet; return all, and all their epochs."""
    options, done, epochs, state = task.options, list(kept.done), kept.epochs, kept.state
    networks = _initial(task, vocabulary)
    for member, network in _untrained(networks, done):

        def after(
            now: MemberState, done: tuple[Weights, ...] = tuple(done), epochs: tuple[Epoch, ...] = epochs
        ) -> None:
            task.keeper.save(_Kept(done, epochs, now).kept_state())
            task.progress(now.epochs[-1])

        epochs += train_member(network, parts, options, member, task.labels, task.positive, state, after)
        state = MemberState()
    return networks, epochs


def _refitted(
    task: FitTask[SpinnOptions], vocabulary: Vocabulary, both: LabelledPart, kept: _Kept
) -> tuple[list[Spinn], tuple[float, ...]]:
    """Train new networks on both parts, each for the epochs that were best; return them and the losses."""
    options, done, losses, state = task.options, list(kept.done), kept.losses, kept.state
    networks = _initial(task, vocabulary)
    for member, network in _untrained(networks, done):
        first = member * options.max_epochs
        own = kept.epochs[first : first + options.max_epochs]
        last = max(number for number, epoch in enumerate(own, start=1) if epoch.best)

        def after(
            now: MemberState,
            seconds: float,
            done: tuple[Weights, ...] = tuple(done),
            losses: tuple[float, ...] = losses,
            last: int = last,
        ) -> None:
            task.keeper.save(_Kept(done, kept.epochs, now, kept.shift, losses).kept_state())
            task.progress(
                Notice(
                    f"epoch {len(now.losses)} of {last} on the train and the dev part: loss {now.losses[-1]:.4f}, "
                    f"{seconds:.1f} s"
                )
            )

        losses += refit_member(network, both, options, member, last, state, after)
        state = MemberState()
    return networks, losses


def _untrained(networks: Sequence[Spinn], done: list[Weights]) -> Iterator[tuple[int, Spinn]]:
    """Yield the networks that have to be trained, with their numbers; the others get the weights that they had.

    Args:
        networks: all, as initialised.
        done: the weights of those that are trained; each that was yielded is added before the next one is.
    """
    for member, network in enumerate(networks):
        if member < len(done):
            network.load_state_dict(done[member])
        else:
            yield member, network
            done.append(network.state_dict())


def _initial(task: FitTask[SpinnOptions], vocabulary: Vocabulary) -> list[Spinn]:
    """Return the networks as they are before they learn; the same ones every time."""
    width = vocabulary.vectors.shape[1]
    config = shape_of(task.options, len(task.labels), len(vocabulary.learned), width)
    networks = []
    for member in range(task.options.members):
        torch.manual_seed(_member_seed(task.options.seed, member))
        networks.append(Spinn(config))
    return networks


def _shift(task: FitTask[SpinnOptions], networks: Sequence[Spinn], dev: LabelledPart) -> float:
    """Return what is added to the scores of the positive labels."""
    if not task.options.favour:
        return 0.0
    each = np.stack([predict(network, dev.examples) for network in networks])
    shift = best_shift(each, dev.labels, task.labels, task.positive)
    return shift * len(dev.labels) / (len(dev.labels) + PRIOR)


def _fitted(task: FitTask[SpinnOptions], networks: Sequence[Spinn], vocabulary: Vocabulary, kept: _Kept) -> FittedSpinn:
    favoured = tuple(task.labels.index(label) for label in task.positive)
    table = parse_choice(task.options.trees).table
    digest = file_sha256(table) if table else None
    facts = SpinnFacts(vocabulary.fixed, vocabulary.learned, favoured, kept.shift or 0.0, digest)
    return FittedSpinn(task.options, networks, vocabulary, facts)


def _member_seed(seed: int, member: int) -> int:
    """Return the seed of the initial weights of a network."""
    return int(np.random.SeedSequence((seed, member)).generate_state(1)[0])


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """An unfinished fit.

    Attributes:
        done: the weights of the networks that are trained; once a refit has begun, of those that are trained anew.
        epochs: the epochs of the networks that are trained; once a refit has begun, all epochs.
        state: of the network that is being trained.
        shift: of the positive labels, which the dev part has chosen; None until it has. Then the refit is what goes on.
        losses: of the epochs on both parts of the networks in ``done``.
    """

    done: tuple[Weights, ...]
    epochs: tuple[Epoch, ...]
    state: MemberState
    shift: float | None = None
    losses: tuple[float, ...] = ()

    @classmethod
    def of(cls, kept: KeptState | None) -> _Kept:
        """Read a kept state; None is the beginning."""
        if kept is None:
            return cls((), (), MemberState())
        parts: dict[str, dict[str, Tensor]] = {}
        for key, value in kept.tensors.items():
            part, _, name = key.partition("/")
            parts.setdefault(part, {})[name] = value
        epochs = tuple(Epoch(**epoch) for epoch in kept.facts["epochs"])
        finished = int(kept.facts["finished"])  # epochs of the networks that are trained
        losses = tuple(map(float, kept.facts["losses"]))
        own = len(losses) - int(kept.facts["own_losses"])
        state = MemberState(epochs[finished:], **{part: parts.get(part, {}) for part in _PARTS}, losses=losses[own:])
        done = tuple(parts[f"done{number}"] for number in range(int(kept.facts["done"])))
        return cls(done, epochs[:finished], state, kept.facts["shift"], losses[:own])

    def kept_state(self) -> KeptState:
        """Return it as a keeper keeps it."""
        parts = {f"done{number}": weights for number, weights in enumerate(self.done)}
        parts |= {part: getattr(self.state, part) for part in _PARTS}
        tensors = {f"{part}/{name}": value for part, own in parts.items() for name, value in own.items()}
        facts = {
            "epochs": [asdict(epoch) for epoch in (*self.epochs, *self.state.epochs)],
            "finished": len(self.epochs),
            "done": len(self.done),
            "shift": self.shift,
            "losses": [*self.losses, *self.state.losses],
            "own_losses": len(self.state.losses),
        }
        return KeptState(tensors, facts)
