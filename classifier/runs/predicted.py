"""The predictions of an evaluated fold as a table of typed rows, read from its ``predictions.tsv``.

In: the folder of a fold. Out: a row for each instance of its test part: the gold label, the predicted one and the
probability of each label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

from classifier.runs.config import PREDICTIONS
from featstore.errors import DataError
from featstore.files import read_text
from featstore.frame import dataframe

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class PredictedPair:
    """What a model says of one pair of the test part.

    Attributes:
        id: of the instance in its corpus.
        gold: its gold label.
        predicted: the likeliest label.
        probabilities: of all labels, to six digits.
    """

    id: str
    gold: str
    predicted: str
    probabilities: Mapping[str, float]

    @property
    def probability(self) -> float:
        """The probability of the predicted label."""
        return self.probabilities[self.predicted]


class PredictionTable(Sequence[PredictedPair]):
    """The predictions of a fold, in the order of its test part.

    Args:
        rows: one for each instance.
    """

    def __init__(self, rows: Sequence[PredictedPair]) -> None:
        self._rows = tuple(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[PredictedPair]:
        return iter(self._rows)

    @overload
    def __getitem__(self, index: int) -> PredictedPair: ...

    @overload
    def __getitem__(self, index: slice) -> PredictionTable: ...

    def __getitem__(self, index: int | slice) -> PredictedPair | PredictionTable:
        return PredictionTable(self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def __repr__(self) -> str:
        return f"<PredictionTable of {len(self):,} rows>"

    def to_dataframe(self) -> DataFrame:
        """Return a table with the columns ``id``, ``gold``, ``predicted`` and ``p(LABEL)`` for each label.

        Raises:
            UsageError: pandas is not installed.
        """
        return dataframe(
            {
                "id": row.id,
                "gold": row.gold,
                "predicted": row.predicted,
                **{f"p({label})": value for label, value in row.probabilities.items()},
            }
            for row in self
        )


def read_table(folder: Path) -> PredictionTable:
    """Read the predictions of a fold.

    Raises:
        MissingFileError: the fold was not evaluated.
        DataError: the table is not as it was written.
    """
    path = folder / PREDICTIONS
    header, *lines = read_text(path, "; `cli eval` makes it.").splitlines() or [""]
    labels = [name.removeprefix("p(").removesuffix(")") for name in header.split("\t")[3:]]
    try:
        return PredictionTable([_row(line, labels) for line in lines])
    except ValueError as error:
        raise DataError(f"{path} is not a table of predictions ({error}); evaluate the fold again.") from error


def _row(line: str, labels: Sequence[str]) -> PredictedPair:
    id_, gold, predicted, *given = line.split("\t")
    if predicted not in labels:
        raise ValueError(f"'{predicted}' is none of its labels")
    return PredictedPair(id_, gold, predicted, dict(zip(labels, map(float, given), strict=True)))
