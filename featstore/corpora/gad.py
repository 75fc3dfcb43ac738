"""GAD and EU-ADR, in the form that BioBERT released: gene-disease sentences in folds.

In: a folder with ``1 .. K``, each holding ``train.tsv`` (sentence, label; no header) and ``test.tsv`` (a header, then
index, sentence, label). Out: one instance for each row of the test files, with its fold.

The entities come already replaced, by ``@GENE$`` and ``@DISEASE$``, one of each in a row. Each is one token. With tags
these words stand between the tags; in place of mentions they are the indicator themselves. Sentences repeat
(with the same label): an instance is a row, and rows with the same masked sentence have the same group.

Each train.tsv must hold exactly the rows of the other folds' test files, repeats counted. The released data do;
if they did not, a score by fold would not mean what the paper's does.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from featstore.corpora.home import corpus_folder
from featstore.corpora.lines import Row, files_digest, read_rows
from featstore.corpora.mark import Marking, Mention, mark
from featstore.corpora.text import tokenise
from featstore.errors import DataError, MissingFileError, UsageError
from featstore.records import Corpus, Instance, sentence_key

LABELS = ("0", "1")
POSITIVE = ("1",)
_GENE, _DISEASE = "@GENE$", "@DISEASE$"


def read_gad(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read GAD; see :func:`read_folds`."""
    return read_folds("gad", corpus_folder("gad", path), marking, instances)


def read_euadr(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read EU-ADR; see :func:`read_folds`."""
    return read_folds("euadr", corpus_folder("euadr", path), marking, instances)


def read_folds(name: str, folder: Path, marking: Marking, instances: Path | None = None) -> Corpus:
    """Read a corpus in this form.

    Args:
        name: what the ids begin with: ``NAME:FOLD:INDEX``.

    Raises:
        UsageError: ``instances`` is given, the rows are the instances here; or ``blind`` is asked for.
        MissingFileError: a fold or a file is not there.
        DataError: a malformed row, or a train.tsv that is not the other folds' test rows.
    """
    if instances is not None:
        raise UsageError(f"{name} has no list of instances: each row is one. Leave {instances} out.")
    if marking.indicators == "blind":
        raise UsageError(
            f"{name} marks no mention beside the masked pair, so there is nothing to blind; use tags or replace."
        )
    folds = _folds(folder)
    tests = {
        fold: list(read_rows(path / "test.tsv", ("index", "sentence", "label"), header=True))
        for fold, path in folds.items()
    }
    found = [_instance(name, fold, row, marking) for fold, rows in tests.items() for row in rows]
    repeated = [id_ for id_, count in Counter(i.id for i in found).items() if count > 1]
    if repeated:
        raise DataError(
            f"{folder}: the row {repeated[0]} (NAME:FOLD:INDEX) occurs twice; an index must be unique in its fold."
        )
    for fold, path in folds.items():
        _check_train(path / "train.tsv", [row for other, rows in tests.items() if other != fold for row in rows])
    return Corpus(
        spec=f"{name}:{folder}",
        name=name,
        instances=tuple(found),
        labels=LABELS,
        positive=POSITIVE,
        indicators=marking.indicators,
        context=marking.context,
        digest=files_digest(path / file for path in folds.values() for file in ("train.tsv", "test.tsv")),
        notes={"repeated rows": len(found) - len({i.group for i in found})},
    )


def _folds(folder: Path) -> dict[int, Path]:
    """Return the folders of the folds by number: 1, 2, .. without a gap."""
    folds = {int(p.name): p for p in folder.iterdir() if p.is_dir() and p.name.isascii() and p.name.isdigit()}
    if not folds or sorted(folds) != list(range(1, len(folds) + 1)):
        given = ", ".join(map(str, sorted(folds))) or "none"
        raise MissingFileError(f"{folder} holds the folds {given}; folders 1, 2, .. without a gap are wanted.")
    return dict(sorted(folds.items()))


def _instance(name: str, fold: int, row: Row, marking: Marking) -> Instance:
    _, sentence, label = row.fields
    index = row.integer(0, "index")
    if label not in LABELS:
        raise row.error(f"the label is '{label}'; 0 or 1 is wanted.")
    gene, disease = _mention(row, _GENE, "gene"), _mention(row, _DISEASE, "dise")
    masked = (gene.span, disease.span)
    plain = tokenise(sentence, (0, len(sentence)), masked, whole=masked)
    marked = mark(plain, gene, disease, marking)
    return Instance(
        id=f"{name}:{fold}:{index}",
        tokens=marked.tokens,
        layout=marked.layout,
        tags=marked.tags,
        head=marked.head,
        tail=marked.tail,
        head_type="gene",
        tail_type="dise",
        label=label,
        fold=fold,
        group=sentence_key(plain.tokens).hex(),
        offsets=marked.offsets,
        source={"fold": str(fold), "index": str(index)},
    )


def _mention(row: Row, word: str, kind: str) -> Mention:
    """Return the one place where a masking word stands."""
    sentence = row.fields[1]
    if sentence.count(word) != 1:
        raise row.error(f"the sentence holds {word} {sentence.count(word)} times; once is wanted.")
    start = sentence.index(word)
    return Mention((start, start + len(word)), kind, word)


def _check_train(path: Path, others: list[Row]) -> None:
    """Check that a train.tsv holds the other folds' test rows, no more and no fewer.

    Raises:
        DataError: it does not; the text names the file and the row.
    """
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
