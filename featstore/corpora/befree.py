"""GAD and EU-ADR as their authors published them: tables of sentences with the two mentions and their offsets.

In: the published tables (BeFree, Bravo et al. 2015, for GAD; van Mulligen et al. 2012 for EU-ADR) and BioBERT's folds.
Out: one instance for each row of the folds' test files, with the mentions as they stand in the sentence.

*Which row is which.* A fold's row belongs to the published row that gives it when its two mentions are replaced by
``@GENE$`` and ``@DISEASE$``, and that has the same label. Where several do (their texts differ in nothing that the
folds show), they are taken in the order of the table.

*Labels.* 1 is an association of any kind (GAD: Y, N and P; EU-ADR: PA, SA and NA), 0 is a sentence in which both
are named only (GAD: F; EU-ADR: FA), as in BioBERT's release.

*Damage.* A spreadsheet has turned some gene names into dates (``Sep15`` into ``09/15/14``). Where the mention
looks like a date and the text at its offsets like what a spreadsheet takes for one, the text is believed and the
row is counted in the notes. Any other mention that is not its characters is a problem, and its row is left out.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from featstore.corpora.befree_tables import PublishedRow, read_tables
from featstore.corpora.folds import (
    DISEASE,
    GENE,
    LABELS,
    POSITIVE,
    FoldRows,
    check_trains,
    read_fold_rows,
    row_id,
    row_label,
)
from featstore.corpora.lines import Row, files_digest
from featstore.corpora.mark import Marking, Mention, mark
from featstore.corpora.text import Sentence, Span, tokenise
from featstore.documents import Problem
from featstore.records import Corpus, Instance, sentence_key


def read_original(name: str, folder: Path, tables: Sequence[Path], folds_folder: Path, marking: Marking) -> Corpus:
    """Read the original corpus; what is wrong with single rows is in the corpus's problems.

    Args:
        name: ``gad`` or ``euadr``.
        folder: what the user named.
        tables: what :func:`published_tables` found.
        folds_folder: holds BioBERT's folds.
        marking: indicators and context; ``blind`` puts a noun in place of each of the two mentions.

    Raises:
        MissingFileError, DataError: as :func:`featstore.corpora.folds.read_fold_rows`; a table that cannot be read.
    """
    problems: list[Problem] = []
    notes = {"published rows": 0, "mentions": 0, "mentions agreeing": 0, "dates that were gene names": 0}
    published = read_tables(name, tables, notes, problems)
    folds = read_fold_rows(name, folds_folder)
    matched = list(_matched(name, folds, published, problems))
    check_trains(folds_folder, folds)
    instances = _instances(name, matched, marking)
    notes["repeated rows"] = len(instances) - len({(i.group, i.head, i.tail) for i in instances})
    return Corpus(
        spec=f"{name}:{folder}",
        name=name,
        instances=instances,
        labels=LABELS,
        positive=POSITIVE,
        indicators=marking.indicators,
        context=marking.context,
        digest=files_digest([*tables, *folds.paths]),
        notes=notes,
        problems=tuple(problems),
    )


def _matched(
    name: str, folds: FoldRows, published: Sequence[tuple[Row, PublishedRow]], problems: list[Problem]
) -> Iterator[tuple[int, Row, PublishedRow]]:
    """Yield each test row with its fold and the published row that it comes from."""
    waiting: dict[tuple[str, str], deque[tuple[Row, PublishedRow]]] = defaultdict(deque)
    for row, each in published:
        waiting[each.masked, each.label].append((row, each))
    for fold, rows in folds.tests.items():
        for row in rows:
            sentence, label = row.fields[1], row_label(row)
            if candidates := waiting[sentence, label]:
                yield fold, row, candidates.popleft()[1]
            else:
                why = f"no row of the published table of {name} gives this sentence with the label {label}."
                problems.append(Problem.of(row.error(why)))
    for left in waiting.values():
        for row, _ in left:
            problems.append(Problem.of(row.error("this row is in no fold's test.tsv.")))


def _instances(name: str, matched: Sequence[tuple[int, Row, PublishedRow]], marking: Marking) -> tuple[Instance, ...]:
    """Return the instances; one tokenisation serves all pairs of a sentence, so that it can be encoded once."""
    edges: dict[str, set[Span]] = defaultdict(set)
    for _, _, each in matched:
        edges[each.sentence] |= {each.gene, each.disease}
    plain = {text: tokenise(text, (0, len(text)), spans) for text, spans in edges.items()}
    return tuple(
        _instance(row_id(name, fold, row), fold, row, each, plain[each.sentence], marking)
        for fold, row, each in matched
    )


def _instance(id_: str, fold: int, row: Row, each: PublishedRow, plain: Sentence, marking: Marking) -> Instance:
    gene, disease = Mention(each.gene, "gene", GENE), Mention(each.disease, "dise", DISEASE)
    # In place of the mentions: cut at the pair's edges alone, which gives the tokens of BioBERT's sentence.
    own = (0, len(each.sentence)), (each.gene, each.disease)
    marked = mark(plain if marking.indicators == "tags" else tokenise(each.sentence, *own), gene, disease, marking)
    return Instance(
        id=id_,
        tokens=marked.tokens,
        layout=marked.layout,
        tags=marked.tags,
        head=marked.head,
        tail=marked.tail,
        head_type="gene",
        tail_type="dise",
        label=each.label,
        fold=fold,
        group=sentence_key(plain.tokens).hex(),
        offsets=marked.offsets,
        source={
            "fold": str(fold),
            "index": str(row.integer(0, "index")),
            "gene": each.sentence[slice(*each.gene)],
            "disease": each.sentence[slice(*each.disease)],
        },
    )
