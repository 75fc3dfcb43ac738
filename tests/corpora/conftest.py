"""Tiny corpora in the official layouts, written by hand, and where the real ones are."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

_REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"

ABSTRACT = "Aspirin inhibits COX-2. It had no effect on Akt in rats, but caffeine activates estrogen receptor."
TITLE = "Aspirin and COX-2."


def write(path: Path, text: str) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))
    return path


def rows(*fields: tuple[str, ...]) -> str:
    return "".join("\t".join(row) + "\n" for row in fields)


@pytest.fixture
def chemprot_dir(tmp_path: Path) -> Path:
    """A release with one document a split: a pair in the title, two scored pairs, a nested mention, a pair across."""
    text = f"{TITLE}\n{ABSTRACT}"

    def entity(pmid: str, id_: str, kind: str, mention: str, after: int = 0) -> tuple[str, ...]:
        start = text.index(mention, after)
        return (pmid, id_, kind, str(start), str(start + len(mention)), mention)

    folder = tmp_path / "chemprot"
    for split, pmid in (("training", "1"), ("development", "2"), ("test", "3")):
        part, suffix = ("chemprot_test_gs", "_gs") if split == "test" else (f"chemprot_{split}", "")
        name = f"{part}/chemprot_{split}"
        body = len(TITLE) + 1
        entities = [
            entity(pmid, "T1", "CHEMICAL", "Aspirin"),
            entity(pmid, "T2", "GENE-Y", "COX-2"),
            entity(pmid, "T3", "CHEMICAL", "Aspirin", body),
            entity(pmid, "T4", "GENE-Y", "COX-2", body),
            entity(pmid, "T5", "GENE-N", "Akt"),
            entity(pmid, "T6", "CHEMICAL", "caffeine"),
            entity(pmid, "T7", "GENE-Y", "estrogen receptor"),
            entity(pmid, "T8", "CHEMICAL", "estrogen"),
        ]
        relations = [
            (pmid, "CPR:4", "Y ", "INHIBITOR", "Arg1:T3", "Arg2:T4"),
            (pmid, "CPR:10", "N ", "NOT", "Arg1:T3", "Arg2:T5"),
            (pmid, "CPR:3", "Y ", "ACTIVATOR", "Arg1:T6", "Arg2:T7"),
            (pmid, "CPR:5", "Y ", "AGONIST", "Arg1:T6", "Arg2:T7"),
        ]
        standard = [(p, group, one, two) for p, group, flag, _, one, two in relations if flag == "Y "]
        write(folder / f"{name}_abstracts{suffix}.tsv", rows((pmid, TITLE, ABSTRACT)))
        write(folder / f"{name}_entities{suffix}.tsv", rows(*entities))
        write(folder / f"{name}_relations{suffix}.tsv", rows(*relations))
        write(folder / f"{name}_gold_standard.tsv", rows(*standard))
    return folder


@pytest.fixture
def real() -> Path:
    """The folder of the real corpora, where they are at hand."""
    if not _REAL.is_dir():
        pytest.skip("the real corpora are not here")
    return _REAL


GAD_ROWS = [
    ("@GENE$ is linked to @DISEASE$.", "1"),
    ("No link of @DISEASE$ to @GENE$ was seen.", "0"),
    ("@GENE$ raises the risk of @DISEASE$ in men.", "1"),
    ("@GENE$ is linked to @DISEASE$.", "1"),
    ("We asked whether @GENE$-deficient mice have @DISEASE$.", "0"),
    ("The @GENE$(-308) allele: risk for @DISEASE$-like signs.", "1"),
]


@pytest.fixture
def gad_rows() -> list[tuple[str, str]]:
    return GAD_ROWS


@pytest.fixture
def write_gad(tmp_path: Path) -> Callable[..., Path]:
    """Write rows as folds: row i in the test file of fold i mod ``folds`` + 1."""

    def written(given: list[tuple[str, str]] = GAD_ROWS, folds: int = 3, name: str = "gad") -> Path:
        folder = tmp_path / name
        for fold in range(folds):
            test = [row for i, row in enumerate(given) if i % folds == fold]
            train = [row for i, row in enumerate(given) if i % folds != fold]
            indexed = [(str(i), *row) for i, row in enumerate(test)]
            write(folder / str(fold + 1) / "test.tsv", rows(("index", "sentence", "label"), *indexed))
            write(folder / str(fold + 1) / "train.tsv", rows(*train))
        return folder

    return written
