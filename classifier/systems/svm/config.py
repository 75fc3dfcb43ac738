"""The options of the system ``svm``. Importing this module needs no scikit-learn.

In: values. Out: :class:`SvmOptions`, checked.
"""

from __future__ import annotations

from dataclasses import dataclass

from classifier.systems.contract import SystemOptions
from classifier.training.config import option
from featstore.errors import UsageError, check_choice

MEMBERS = ("linear", "quadratic", "mentions", "context")


@dataclass(frozen=True, slots=True)
class SvmOptions(SystemOptions):
    """How the ensemble is fitted; the text of each field says what it means."""

    features: str = option(
        "glove+bioglove", "Stored vectors whose averages the SVMs read, as --features spells them. Empty for none."
    )
    machines: str = option(
        "+".join(MEMBERS),
        "The SVMs of the ensemble, joined by '+': 'linear' and 'quadratic' read everything, 'mentions' reads the pair "
        "(RBF kernel), and 'context' reads the words around it and the second mention's vector (quadratic kernel).",
    )
    least: int = option(2, "Number of training instances that must have a feature before it counts.", least=1)
    select: int = option(
        20_000, "Number of features that are kept of each family at most: those with the highest chi-squared.", least=1
    )
    calibration_parts: int = option(
        3,
        "Number of parts of the training part's sentences that are held out in turn, to choose the cost of errors, "
        "to turn scores into probabilities and for --favour.",
        least=2,
    )
    kernel_rows: int = option(
        6000,
        "Largest number of training instances that an SVM with a kernel is fitted on; of the negative ones, a sample "
        "fills the number. Memory and time rise with its square.",
        least=100,
    )
    favour: bool = option(
        True, "Raise the scores of the positive labels by the amount that is best on the parts that were held out."
    )

    refit: bool = option(
        False,
        "Fit the ensemble anew to the train and the dev part together, once its F1 on the dev part is known. It suits "
        "a model that is to be used.",
    )

    def __post_init__(self) -> None:
        SystemOptions.__post_init__(self)
        for name in self.names:
            check_choice("machine", name, MEMBERS)
        if len(set(self.names)) < len(self.names):
            raise UsageError(f"--machines '{self.machines}' names a machine twice; name each once.")

    @property
    def names(self) -> tuple[str, ...]:
        """The machines, by name."""
        return tuple(name.strip() for name in self.machines.split("+"))
