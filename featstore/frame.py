"""Rows of a table as a pandas ``DataFrame``, for those who have pandas.

In: rows, each a mapping from the name of a column to its value. Out: a table. pandas is not among the dependencies: it
is imported here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from featstore.errors import UsageError

if TYPE_CHECKING:
    from pandas import DataFrame


def dataframe(rows: Iterable[Mapping[str, object]]) -> DataFrame:
    """Return a table with one line a row; its columns are those of the first row.

    Raises:
        UsageError: pandas is not installed; the text says how to install it.
    """
    try:
        import pandas
    except ImportError as error:
        raise UsageError(
            "a DataFrame needs pandas, which is not installed; install it with: pip install 'featstore[pandas]'"
        ) from error
    return pandas.DataFrame.from_records(list(map(dict, rows)))
