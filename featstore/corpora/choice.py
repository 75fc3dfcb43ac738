"""Which corpus, and marked how: one value in place of four arguments.

In: the words of the command line, or of a run's configuration. Out: a :class:`CorpusChoice`, checked, which
:func:`featstore.corpora.table.read_corpus` loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from featstore.corpora.mark import Marking


@dataclass(frozen=True, slots=True)
class CorpusChoice:
    """Which corpus, and marked how.

    Attributes:
        spec: ``NAME`` or ``NAME:PATH``, see :func:`featstore.corpora.table.load_corpus`.
        indicators: ``tags``, ``replace`` or ``blind``.
        context: ``tagged`` or ``sentence``.
        instances: a file that lists the instances to take; None: the corpus's own choice.

    Raises:
        UsageError: unknown indicators, or an unknown context.
    """

    spec: str = "sample"
    indicators: str = "tags"
    context: str = "tagged"
    instances: Path | None = None

    def __post_init__(self) -> None:
        _ = self.marking  # which checks the two

    @property
    def name(self) -> str:
        """The corpus's name: the spec without its path."""
        return self.spec.partition(":")[0]

    @property
    def marking(self) -> Marking:
        """How the pairs are marked."""
        return Marking(self.indicators, self.context)
