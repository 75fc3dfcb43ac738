"""TSV: relations, one a line, for a spreadsheet or a script; it is read as documents.

In: a table (:mod:`featstore.formats.columns`). Out: its documents; and the other way round, from documents with their
relations a header and, for each relation, both mentions with their offsets in the document, their concepts, the label
with its meaning and probability, the sentence and the model. Offsets are half-open, in characters of the document. A
mention or sentence that holds a tab or a line break has blanks in their place, one for one. ``attention``, where it
was asked for, is ``START-END:WEIGHT`` of each token, with blanks between.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from featstore.documents import Document, Entity, Relation
from featstore.formats import columns
from featstore.formats.content import on_one_line
from featstore.formats.contract import BadDocument, ModelFacts, Nothing
from featstore.labels import meaning_of

separator = ""

_ENTITY = ("id", "type", "start", "end", "text", "concept")
COLUMNS = (
    "document",
    *(f"head_{name}" for name in _ENTITY),
    *(f"tail_{name}" for name in _ENTITY),
    "label",
    "meaning",
    "probability",
    "sentence_start",
    "sentence_end",
    "sentence",
    "attention",
    "model",
)


def read(
    path: Path, *, text_column: Sequence[str] = (), id_column: str | None = None
) -> Iterator[Document | BadDocument]:
    """Yield the documents of a table whose cells are separated by tabs."""
    return columns.read(path, text_column=text_column, id_column=id_column, delimiters=("\t",))


def header(model: ModelFacts, collection: Mapping[str, object] | None = None) -> str:  # noqa: ARG001
    """Return the names of the columns."""
    return "\t".join(COLUMNS) + "\n"


def document(
    document: Document,
    relations: Sequence[Relation],
    model: ModelFacts,
    nothing: Nothing | None = None,  # noqa: ARG001
) -> str:
    """Return a line for each relation."""
    lines = io.StringIO()
    # A field with a quotation mark is quoted, so that spreadsheets and the usual readers of tables take it as it is.
    rows = csv.writer(lines, dialect="excel-tab", lineterminator="\n")
    rows.writerows(
        (
            document.id,
            *_fields(relation.head),
            *_fields(relation.tail),
            relation.label,
            str(meaning_of(relation.label, model.corpus) or ""),
            f"{relation.probability:.6f}",
            *map(str, relation.sentence),
            on_one_line(document.text[slice(*relation.sentence)]),
            " ".join(f"{start}-{end}:{weight:.4f}" for start, end, weight in relation.attention),
            model.fingerprint,
        )
        for relation in relations
    )
    return lines.getvalue()


def footer() -> str:
    """Return nothing."""
    return ""


def _fields(entity: Entity) -> list[str]:
    return [entity.id, entity.type, str(entity.start), str(entity.end), on_one_line(entity.text), entity.concept or ""]
