"""SPINN as a system: shift-reduce composition along a binary tree, after Lim and Kang (2018).

In: instances and ``--trees``. Out: what :class:`~classifier.systems.contract.System` promises. torch is imported when a
system is fitted or read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from classifier.systems.contract import Fit, FitTask, FittedSystem
from classifier.systems.spinn.options import SpinnOptions


class SpinnSystem:
    """The system ``spinn``; see :class:`~classifier.systems.contract.System`."""

    about = "the shift-reduce recursive network of Lim and Kang (2018) over binary trees (--trees)"
    options = SpinnOptions
    packages: tuple[str, ...] = ("torch", "numpy", "safetensors")

    def label(self, options: SpinnOptions) -> str:
        """Return ``spinn`` with the kind of trees; several networks are counted."""
        from classifier.systems.spinn.sources import parse_choice

        members = f"-x{options.members}" if options.members > 1 else ""
        return f"spinn:{parse_choice(options.trees).shape or 'parsed'}{members}"

    def sources(self, options: SpinnOptions) -> Mapping[str, str]:
        """Return the digests of the table of trees and of the word vectors."""
        from classifier.systems.spinn.sources import parse_choice
        from classifier.systems.spinn.words import vector_files
        from featstore.files import check_input
        from featstore.fingerprint import file_sha256

        table = parse_choice(options.trees).table
        paths = [*([table] if table else []), *vector_files(options.word_vectors)]
        for path in paths:
            check_input(path)
        return {path.name: file_sha256(path) for path in paths}

    def fit(self, task: FitTask[SpinnOptions]) -> Fit:
        """Fit the networks."""
        from classifier.systems.spinn.fitting import fit_spinn

        return fit_spinn(task)

    def load(self, folder: Path, options: SpinnOptions, labels: tuple[str, ...]) -> FittedSystem:
        """Read a fitted system."""
        from classifier.systems.spinn.fitted import load_spinn

        return load_spinn(folder, options, labels)


SPINN = SpinnSystem()
