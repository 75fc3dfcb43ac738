"""The tables of ChemProt and of DrugProt, row by row.

In: the columns of a row. Out: the text of an abstract, or what a row says of a mention. The document reader
(:mod:`featstore.formats.chemprot`) and the corpus readers (:mod:`featstore.corpora.chemprot_files`,
:mod:`featstore.corpora.drugprot`) share them: the first reads files of any length and leaves out a bad mention, the
others read a whole release.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from featstore.errors import count_of
from featstore.formats.content import Flaw, number

# The columns; the files have no header.
ABSTRACT = ("document", "title", "abstract")
ENTITY = ("document", "id", "type", "start", "end", "mention")


@dataclass(frozen=True, slots=True)
class EntityRow:
    """What a row says of a mention; nothing has been compared with the text yet.

    Attributes:
        document: the id of the document.
        id: the id of the mention, unique in the document.
        type: its type.
        start: its first character, counted from 0.
        end: the character after its last.
        mention: its characters.
    """

    document: str
    id: str
    type: str
    start: int
    end: int
    mention: str


def abstract_of(columns: Sequence[str]) -> tuple[str, str]:
    """Return the id and the text of a document; the text is title + line break + abstract, as the offsets count.

    Raises:
        Flaw: there are not three columns.
    """
    _check_columns(columns, ABSTRACT)
    id_, title, abstract = columns
    return id_, f"{title}\n{abstract}"


def entity_of(columns: Sequence[str]) -> EntityRow:
    """Return what a row of the entities says.

    Raises:
        Flaw: there are not six columns, or an offset is not a number.
    """
    _check_columns(columns, ENTITY)
    document, id_, type_, start, end, mention = columns
    return EntityRow(document, id_, type_, number(start, "start"), number(end, "end"), mention)


def _check_columns(columns: Sequence[str], wanted: Sequence[str]) -> None:
    if len(columns) != len(wanted):
        raise Flaw(f"{count_of(len(columns), 'column')}; {len(wanted)} are wanted: {', '.join(wanted)}.")
