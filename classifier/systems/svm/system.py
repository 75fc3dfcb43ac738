"""The system ``svm``: its options and its place in the table. scikit-learn is imported when it is fitted or read.

In: what the contract of systems gives. Out: an :class:`~classifier.systems.svm.ensemble.SvmEnsemble`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.systems.contract import Fit, FitTask
from classifier.systems.svm.config import SvmOptions
from featstore.errors import UsageError

if TYPE_CHECKING:
    from classifier.systems.svm.ensemble import SvmEnsemble


class Svm:
    """The system ``svm``; see :class:`classifier.systems.contract.System`."""

    about = "an ensemble of support vector machines (E-SVM)"
    options = SvmOptions
    packages = ("scikit-learn", "scipy")

    def label(self, options: SvmOptions) -> str:
        """Return ``svm``, with the stored features if they are not the usual ones."""
        usual = SvmOptions().features
        return "svm" if options.features == usual else f"svm:{options.features or 'text'}"

    def sources(self, options: SvmOptions) -> Mapping[str, str]:  # noqa: ARG002
        """Return nothing: all that it reads is in the corpus and the store. It is checked that scikit-learn is there.

        Raises:
            UsageError: scikit-learn is not installed.
        """
        with _installed():
            import sklearn.svm  # noqa: F401
        return {}

    def fit(self, task: FitTask[SvmOptions]) -> Fit:
        """Fit the ensemble; after each part that was held out its scores are kept."""
        with _installed():
            from classifier.systems.svm.fitting import fit
        return fit(task)

    def load(self, folder: Path, options: SvmOptions, labels: tuple[str, ...], /) -> SvmEnsemble:
        """Read what an ensemble's ``save`` wrote."""
        with _installed():
            from classifier.systems.svm.ensemble import SvmEnsemble
        return SvmEnsemble.load(folder, options.features, labels)


@contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UsageError("the system 'svm' needs scikit-learn; run: pip install 'featstore[svm]'") from error


SVM = Svm()
