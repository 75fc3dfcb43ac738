"""What a system is: fitted on a corpus's training part, it gives probabilities for instances.

In: the instances of the train and the dev part of a fold, and options. Out: a fitted system that scores instances, and
files from which it is read back. Everything else is shared by all systems and lives elsewhere: the command line makes
its options from the fields of the options' class, :mod:`classifier.systems.folds` writes the run's folder, and `cli
eval`, `cli runs` and `cli ablate` read it.

A module that is named in the table of systems is imported whenever the command line starts. It imports this module and
other light ones; torch, scikit-learn and the like are imported inside its functions, or in a module beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from classifier.training.config import broken_limits, option
from featstore.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from classifier.runs.facts import CorpusFacts
    from classifier.training.epoch import Epoch, Notice
    from featstore.records import Instance
    from featstore.stores import FeatureStore


@dataclass(frozen=True, slots=True)
class SystemOptions:
    """How a system is fitted; the base of every system's own options.

    A subclass is a frozen dataclass with slots. It adds fields made by
    :func:`classifier.training.config.option`: a text, a number or a boolean each, which becomes an option of the
    command line. An option that several systems have, or a system and the head, has one type. A subclass that checks
    more calls ``SystemOptions.__post_init__(self)`` first.

    ``SPEC`` names the option that ``NAME:VALUE`` sets in ``cli ablate --systems``, if there is one; with
    ``SPEC_IS_WHOLE`` its value is the whole word.

    A field ``refit`` makes the system learn once more, from the train and the dev part together, what it has learnt
    from the train part when the dev part has chosen (:attr:`Fit.refit`). ``CHOOSES_EPOCH`` says that an epoch is all
    that is chosen, so that a refit can begin with what a fit without ``refit`` has chosen (:attr:`FitTask.chosen`).

    A field ``features``, spelled as ``--features``, makes the system read stored vectors: the sets are opened before it
    is fitted and before it scores.
    """

    SPEC: ClassVar[str] = ""
    SPEC_IS_WHOLE: ClassVar[bool] = False
    CHOOSES_EPOCH: ClassVar[bool] = False

    seed: int = option(1, "Seed of everything random.", least=0)
    threads: int = option(1, "Number of threads of the matrix products.", least=1)
    dev_share: float = option(
        0.1, "Share of the training part that becomes the dev part where the corpus has none.", above=0, below=1
    )

    def __post_init__(self) -> None:
        if broken := broken_limits(self):
            raise UsageError(f"the options of the system cannot be used: {'; '.join(broken)}.")

    @property
    def epochs(self) -> int:
        """The largest number of epochs that the fit goes through; 1 for a system that is fitted in one go."""
        return 1


O = TypeVar("O", bound=SystemOptions)  # noqa: E741  (of options)


@dataclass(frozen=True, slots=True, eq=False)
class KeptState:
    """Where an unfinished fit stands; together with the task it determines all that follows.

    Attributes:
        tensors: by name.
        facts: plain data, as JSON holds it.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)


class Keeper(Protocol):
    """Keeps the state of an unfinished fit in its fold's folder, so that an interrupted fit goes on from there."""

    def load(self) -> KeptState | None:
        """Return the state that an earlier fit of the same task kept last, or None."""
        ...

    def save(self, state: KeptState) -> None:
        """Keep a state in the place of the one before; it is on the disk, whole, when this returns."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FitTask(Generic[O]):
    """What a system is fitted on.

    Attributes:
        options: how.
        train: the instances to learn from, all with a label.
        dev: the instances to choose by (an epoch, a number of features), all with a label. A system learns nothing else
            from them.
        labels: all labels, the negative one first; a label's number is its place here.
        positive: the labels that the official score counts.
        stores: an open feature set for each word of ``options.features``; they hold the sentences of all instances.
        progress: is called after each epoch, and with what the user should know.
        corpus: the corpus; None in a task that was made by hand.
        fold: the fold.
        chosen: the epochs of the same fit without ``refit``, if they are known; then only the refit is left.
        keeper: keeps the state of the unfinished fit. A fit that takes more than a few minutes calls it about once a
            minute, and goes on from what it loads; an interrupted fit ends with the same bytes as an uninterrupted one.
    """

    options: O
    train: Sequence[Instance]
    dev: Sequence[Instance]
    labels: tuple[str, ...]
    positive: tuple[str, ...]
    stores: Sequence[FeatureStore]
    progress: Callable[[Epoch | Notice], None]
    keeper: Keeper
    corpus: CorpusFacts | None = None
    fold: int = 1
    chosen: tuple[Epoch, ...] = ()


class FittedSystem(Protocol):
    """A fitted system."""

    @property
    def parameters(self) -> int:
        """How many numbers were fitted."""
        ...

    def probabilities(self, instances: Sequence[Instance], stores: Sequence[FeatureStore], /) -> NDArray[np.float32]:
        """Return the probability of each label for each instance.

        Args:
            instances: with a label or without; a label is never looked at.
            stores: as in :class:`FitTask`, for these instances.

        Returns:
            Shape: (n, labels); each row sums to 1. A row does not depend on the other instances, but for the rounding
            of the system's precision.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write all that :meth:`System.load` needs into an empty folder, or into folders in it.

        The names end in .safetensors, .json or .txt: no pickle, and no path of this machine in any file. The same fit
        writes the same bytes.
        """
        ...


@runtime_checkable
class ChangeablePrecision(Protocol):
    """A fitted system that can compute at another precision than its fit, when it is to score."""

    def at_precision(self, precision: str, to_bytes: Callable[[nn.Module], None]) -> FittedSystem:
        """Return the system at a precision; it can no longer be saved, and this object is used up.

        Args:
            precision: ``float32``, ``bfloat16`` or ``int8``.
            to_bytes: replaces the linear layers below a module by products of bytes.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The outcome of a fit.

    Attributes:
        model: the fitted system.
        epochs: every epoch; the last one that is ``best`` is the one that was kept. A system without epochs tells of
            one, with its losses and its F1 on the dev part.
        refit: the loss of each epoch on the train and the dev part together, if the model was fitted anew to both.
    """

    model: FittedSystem
    epochs: tuple[Epoch, ...]
    refit: tuple[float, ...] = ()


class System(Protocol[O]):
    """A system; one object of it stands in the table.

    Attributes:
        about: what it is, for the help of ``--system``: a few words after its name.
        options: the class of its options.
        packages: the packages whose versions a run records besides those that every run records.
    """

    about: str
    options: type[O]
    packages: tuple[str, ...]

    def label(self, options: O) -> str:
        """Return what tables call the system with these options; it begins with the system's name and has no blank."""
        ...

    def sources(self, options: O) -> Mapping[str, str]:
        """Return the sha256 of each file that a fit reads besides the corpus and the store, by the file's name.

        Everything that the options name is checked here, before any work.

        Raises:
            UsageError, MissingFileError, DataError: something that is needed is not given, or not what it should be.
        """
        ...

    def fit(self, task: FitTask[O]) -> Fit:
        """Fit the system. Torch's random numbers follow ``task.options.seed`` already."""
        ...

    def load(self, folder: Path, options: O, labels: tuple[str, ...], /) -> FittedSystem:
        """Read what :meth:`FittedSystem.save` wrote; the files' digests were checked.

        Raises:
            DataError: it is not as it was written.
        """
        ...
