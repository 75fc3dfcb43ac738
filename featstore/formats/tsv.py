"""TSV: one relation a line, for a spreadsheet or a script. Written only.

In: documents with their relations. Out: a header and, for each relation, both mentions with their offsets in the
document, the label with its probability, the sentence and the model. Offsets are half-open, in characters. A mention
that holds a tab or a line break has blanks in their place, one for one.
"""

from __future__ import annotations

from collections.abc import Sequence

from featstore.formats.content import on_one_line
from featstore.formats.contract import ModelFacts
from featstore.records import Document, Entity, Relation

separator = ""

_ENTITY = ("id", "type", "start", "end", "text")
COLUMNS = (
    "document",
    *(f"head_{name}" for name in _ENTITY),
    *(f"tail_{name}" for name in _ENTITY),
    "label",
    "probability",
    "sentence_start",
    "sentence_end",
    "model",
)


def header(model: ModelFacts) -> str:  # noqa: ARG001
    """Return the names of the columns."""
    return "\t".join(COLUMNS) + "\n"


def document(document: Document, relations: Sequence[Relation], model: ModelFacts) -> str:
    """Return a line for each relation."""
    return "".join(
        "\t".join(
            (
                document.id,
                *_fields(relation.head),
                *_fields(relation.tail),
                relation.label,
                f"{relation.probability:.6f}",
                *map(str, relation.sentence),
                model.fingerprint,
            )
        )
        + "\n"
        for relation in relations
    )


def footer() -> str:
    """Return nothing."""
    return ""


def _fields(entity: Entity) -> list[str]:
    return [entity.id, entity.type, str(entity.start), str(entity.end), on_one_line(entity.text)]
