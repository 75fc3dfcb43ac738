"""The system ``mixture`` in the table: light, so that the command line can read its options.

In: the folders or addresses of runs. Out: :mod:`classifier.systems.mixture.model`, imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from classifier.systems.contract import Fit, FitTask, FittedSystem
from classifier.systems.mixture.options import MixtureOptions
from featstore.addresses import spelled
from featstore.copies import on_this_machine
from featstore.errors import UsageError
from featstore.fingerprint import file_sha256


class Mixture:
    """The mixture as a system; see :class:`classifier.systems.contract.System`."""

    about = "runs whose probabilities are averaged"
    options = MixtureOptions
    packages: tuple[str, ...] = ()

    def label(self, options: MixtureOptions) -> str:
        return "mixture:" + ",".join(config.label for config in options.configs)

    def sources(self, options: MixtureOptions) -> Mapping[str, str]:
        from classifier.runs.config import CONFIG  # it needs numpy, which the command line must not wait for

        if len(options.runs) < 2 or len(set(options.runs)) < len(options.runs):
            raise UsageError(
                f"--mix is '{options.mix}', but a mixture needs two or more different runs; name their folders, joined "
                "by commas. `cli runs ls` lists them."
            )
        for run, config in zip(options.runs, options.configs, strict=True):
            if config.system_name == "mixture":
                raise UsageError(f"--mix names {spelled(run)}, which is a mixture itself; name the runs that it mixes.")
        return {spelled(run / CONFIG): file_sha256(on_this_machine(run / CONFIG)) for run in options.runs}

    def fit(self, task: FitTask[MixtureOptions]) -> Fit:
        from classifier.systems.mixture.model import fit_mixture

        return fit_mixture(task)

    def load(self, folder: Path, options: MixtureOptions, labels: tuple[str, ...]) -> FittedSystem:
        from classifier.systems.mixture.model import load_mixture

        return load_mixture(folder, options, labels)


MIXTURE = Mixture()
