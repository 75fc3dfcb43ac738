"""The system ``mixture``: several trained runs whose probabilities are averaged.

In: the folders of runs that were trained on one corpus. Out: a system that scores an instance with each of them. Models
of different kinds make different errors, so the mean of their probabilities is often better than each of them. A
fine-tuned transformer and a head are such a pair; heads of different features hardly are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from classifier.systems.contract import SystemOptions
from classifier.training.config import option
from featstore.copies import on_this_machine

if TYPE_CHECKING:
    from classifier.runs.config import RunConfig


@dataclass(frozen=True, slots=True)
class MixtureOptions(SystemOptions):
    """How runs are mixed."""

    SPEC: ClassVar[str] = "mix"

    mix: str = option(
        "",
        "Runs to mix (folders, addresses, or names below --runs), joined by commas. Each must have the fold trained.",
    )
    weights: str = option(
        "equal",
        "Weights of the members: 'equal', or 'dev', which takes those with the highest likelihood on the dev part.",
        choices=("equal", "dev"),
    )

    @property
    def runs(self) -> tuple[Path, ...]:
        """The folders of the members."""
        return tuple(Path(name.strip()) for name in self.mix.split(",") if name.strip())

    @property
    def configs(self) -> tuple[RunConfig, ...]:
        """The configuration of each member.

        Raises:
            MissingFileError, DataError: a folder that is no run.
        """
        from classifier.runs.config import read_config  # it needs numpy, which the command line must not wait for

        return tuple(read_config(run) for run in self.runs)

    @property
    def features(self) -> str:
        """The features that the members read, each once, as ``--features`` spells them.

        Each names the encoder that its member was trained on, for a store may hold several of a name.

        Raises:
            DataError, MismatchError: what a member says of itself cannot be read.
        """
        from classifier.data.features import Feature  # these need numpy, too
        from classifier.runs.config import trained_folds
        from classifier.runs.facts import read_run

        folds = (run / f"fold-{fold}" for run in self.runs for fold in trained_folds(run)[:1])
        specs = (spec for fold in folds for spec in read_run(on_this_machine(fold)).features)
        return "+".join(dict.fromkeys(str(Feature(spec.name, spec.layer, spec.identity[:16])) for spec in specs))
