"""GAD and EU-ADR: gene-disease sentences in the ten folds of BioBERT, masked or as their authors published them.

In: a folder with the folds (:mod:`featstore.corpora.folds`) and, for the original sentences, the published table
(:mod:`featstore.corpora.befree`) in it. Out: one instance for each row of the test files, with its fold.

*Original.* Where the published table is there, the mentions keep their surfaces, and the folds say only which row is
tested where. The folds are then sought in the folder itself, in a folder of the corpus's name inside of it, and in one
beside it.

*Masked.* Where it is not, the entities come already replaced, by ``@GENE$`` and ``@DISEASE$``, one of each in a row.
Each is one token. With tags these words stand between the tags; in place of mentions they are the indicator
themselves. Sentences repeat (with the same label): an instance is a row, and rows with the same masked sentence have
the same group.
"""

from __future__ import annotations

from pathlib import Path

from featstore.corpora import befree, befree_tables
from featstore.corpora.folds import (
    DISEASE,
    GENE,
    LABELS,
    POSITIVE,
    check_trains,
    holds_folds,
    read_fold_rows,
    row_id,
    row_label,
)
from featstore.corpora.home import corpus_folder
from featstore.corpora.lines import Row, files_digest
from featstore.corpora.mark import Marking, Mention, mark
from featstore.corpora.text import tokenise
from featstore.errors import MissingFileError, UsageError
from featstore.records import Corpus, Instance, sentence_key


def read_gad(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read GAD; see :func:`read`."""
    return read("gad", path, marking, instances)


def read_euadr(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read EU-ADR; see :func:`read`."""
    return read("euadr", path, marking, instances)


def read(name: str, path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read the original corpus where the published table is in the folder, else the masked one.

    Raises:
        UsageError: as :func:`read_folds`.
        MissingFileError, DataError: as :func:`read_folds` and :func:`featstore.corpora.befree.read_original`.
    """
    folder = corpus_folder(name, path)
    tables = befree_tables.published_tables(name, folder)
    if not tables:
        return read_folds(name, folder, marking, instances)
    _refuse_list(name, instances)
    return befree.read_original(name, folder, tables, folds_beside(name, folder), marking)


def folds_beside(name: str, folder: Path) -> Path:
    """Return the folder of the folds that belong to a published table.

    Raises:
        MissingFileError: there are none.
    """
    places = (folder, folder / name, folder.parent / name)
    for place in places:
        if holds_folds(place):
            return place
    raise MissingFileError(
        f"{folder} holds the published table of {name}, but BioBERT's folds (1/test.tsv, ..) are in none of "
        f"{', '.join(map(str, places))}; put the folders 1 .. 10 of its release into one of them."
    )


def read_folds(name: str, folder: Path, marking: Marking, instances: Path | None = None) -> Corpus:
    """Read the masked form.

    Args:
        name: what the ids begin with: ``NAME:FOLD:INDEX``.
        folder: holds the folds.
        marking: indicators and context.
        instances: must be None.

    Raises:
        UsageError: ``instances`` is given, the rows are the instances here; or ``blind`` is asked for.
        MissingFileError: a fold or a file is not there.
        DataError: a malformed row, or a train.tsv that is not the other folds' test rows.
    """
    _refuse_list(name, instances)
    if marking.indicators == "blind":
        raise UsageError(
            f"{name} marks no mention beside the masked pair, so there is nothing to blind; use tags or replace."
        )
    folds = read_fold_rows(name, folder)
    found = [_instance(name, fold, row, marking) for fold, rows in folds.tests.items() for row in rows]
    check_trains(folder, folds)
    return Corpus(
        spec=f"{name}:{folder}",
        name=name,
        instances=tuple(found),
        labels=LABELS,
        positive=POSITIVE,
        indicators=marking.indicators,
        context=marking.context,
        digest=files_digest(folds.paths),
        notes={"repeated rows": len(found) - len({i.group for i in found})},
    )


def _refuse_list(name: str, instances: Path | None) -> None:
    if instances is not None:
        raise UsageError(f"{name} has no list of instances: each row is one. Leave {instances} out.")


def _instance(name: str, fold: int, row: Row, marking: Marking) -> Instance:
    sentence, label = row.fields[1], row_label(row)
    gene, disease = _mention(row, GENE, "gene"), _mention(row, DISEASE, "dise")
    masked = (gene.span, disease.span)
    plain = tokenise(sentence, (0, len(sentence)), masked, whole=masked)
    marked = mark(plain, gene, disease, marking)
    return Instance(
        id=row_id(name, fold, row),
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
        source={"fold": str(fold), "index": str(row.integer(0, "index"))},
    )


def _mention(row: Row, word: str, kind: str) -> Mention:
    """Return the one place where a masking word stands."""
    sentence = row.fields[1]
    if sentence.count(word) != 1:
        raise row.error(f"the sentence holds {word} {sentence.count(word)} times; once is wanted.")
    start = sentence.index(word)
    return Mention((start, start + len(word)), kind, word)
