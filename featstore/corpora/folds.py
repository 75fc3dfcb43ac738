"""The files of BioBERT's folds: masked gene-disease sentences, ten times split.

In: a folder with ``1 .. K``, each holding ``train.tsv`` (sentence, label; no header) and ``test.tsv`` (a header, then
index, sentence, label). Out: the rows of the test files by fold; and whether the train files belong to them.

Each train.tsv must hold exactly the rows of the other folds' test files, repeats counted. The released data do;
if they did not, a score by fold would not mean what the paper's does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from featstore.corpora.lines import Row, read_rows
from featstore.errors import DataError, MissingFileError

LABELS = ("0", "1")
POSITIVE = ("1",)
GENE, DISEASE = "@GENE$", "@DISEASE$"  # the words that BioBERT's release has in place of the mentions


@dataclass(frozen=True, slots=True)
class FoldRows:
    """The folds of a folder.

    Attributes:
        tests: fold -> the rows (index, sentence, label) of its test file, in the order of the file.
        paths: the files read.
    """

    tests: Mapping[int, tuple[Row, ...]]
    paths: tuple[Path, ...]


def read_fold_rows(name: str, folder: Path) -> FoldRows:
    """Read the folds.

    Args:
        name: what ids begin with: ``NAME:FOLD:INDEX``.
        folder: holds ``1 .. K``.

    Raises:
        MissingFileError: a fold or a file is not there.
        DataError: a malformed row, or an index given twice.
    """
    folds = _folds(folder)
    tests = {
        fold: tuple(read_rows(path / "test.tsv", ("index", "sentence", "label"), header=True))
        for fold, path in folds.items()
    }
    ids = Counter(row_id(name, fold, row) for fold, rows in tests.items() for row in rows)
    repeated = [id_ for id_, count in ids.items() if count > 1]
    if repeated:
        raise DataError(
            f"{folder}: the row {repeated[0]} (NAME:FOLD:INDEX) occurs twice; an index must be unique in its fold."
        )
    return FoldRows(tests, tuple(path / file for path in folds.values() for file in ("train.tsv", "test.tsv")))


def check_trains(folder: Path, folds: FoldRows) -> None:
    """Check that each fold's train.tsv holds the other folds' test rows, no more and no fewer.

    Raises:
        MissingFileError: a train.tsv is not there.
        DataError: it does not; the text names the file and the row.
    """
    for fold in folds.tests:
        others = [row for other, rows in folds.tests.items() if other != fold for row in rows]
        _check_train(folder / str(fold) / "train.tsv", others)


def row_id(name: str, fold: int, row: Row) -> str:
    """Return the id of the instance of a test row.

    Raises:
        DataError: its index is no number.
    """
    return f"{name}:{fold}:{row.integer(0, 'index')}"


def row_label(row: Row) -> str:
    """Return the label of a test row.

    Raises:
        DataError: it is neither 0 nor 1.
    """
    label = row.fields[2]
    if label not in LABELS:
        raise row.error(f"the label is '{label}'; 0 or 1 is wanted.")
    return label


def holds_folds(folder: Path) -> bool:
    """Tell whether a folder holds at least the first fold."""
    return (folder / "1" / "test.tsv").is_file()


def _folds(folder: Path) -> dict[int, Path]:
    """Return the folders of the folds by number: 1, 2, .. without a gap."""
    folds = {int(p.name): p for p in folder.iterdir() if p.is_dir() and p.name.isascii() and p.name.isdigit()}
    if not folds or sorted(folds) != list(range(1, len(folds) + 1)):
        given = ", ".join(map(str, sorted(folds))) or "none"
        raise MissingFileError(f"{folder} holds the folds {given}; folders 1, 2, .. without a gap are wanted.")
    return dict(sorted(folds.items()))


def _check_train(path: Path, others: list[Row]) -> None:
    wanted = Counter(row.fields[1:] for row in others)
    for row in read_rows(path, ("sentence", "label")):
        if wanted[row.fields] == 0:
            raise row.error(
                "this row is in no other fold's test.tsv (or fewer times); a fold's train.tsv must hold those rows."
            )
        wanted[row.fields] -= 1
    for row in others:
        if wanted[row.fields[1:]]:
            raise DataError(
                f"{path} lacks the row of {row.path}, line {row.line}; it must hold the other folds' test rows."
            )
