"""PubTator: title, abstract, annotations and relations of a document, with a blank line after each document.

    7|t|Aspirin and COX-2.
    7|a|Aspirin blocks COX-2.
    7<TAB>19<TAB>26<TAB>Aspirin<TAB>Chemical<TAB>MESH:D001241
    7<TAB>CPR:4<TAB>MESH:D001241<TAB>5743<TAB>0.912345

In: such a file. Out: its documents; and the other way round. The text is title + one character (here a line break) +
abstract, which is what the offsets run over, in characters. The last column of an annotation is its concept, which may
be missing; annotations have no ids of their own and are ``T1``, ``T2``, .. by their order.

Relations are between concepts, not mentions: a line has the label and the two concepts. Written are the label, the two
concepts (an entity that has none is named by its own id, in its annotation too) and, as the fifth column, the
probability; of several pairs with the same concepts and label the highest. The format has no place for the model. A
line cannot hold a line break: the first one in the text ends the title, and each further one, and each tab, is written
as a blank, one for one, so that the offsets hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from featstore.errors import DataError
from featstore.formats.content import Flaw, make_document, make_entity, number, on_one_line
from featstore.formats.contract import BadDocument, ModelFacts, Nothing
from featstore.formats.source import Line, lines
from featstore.records import Document, Entity, Relation, StatedRelation

separator = ""

_TITLE = re.compile(r"([^|\t]+)\|t\|(.*)", re.DOTALL)
_TITLE_RAW = re.compile(rb"[^|\t]+\|t\|")


def read(path: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of a file."""
    for count, block in enumerate(_blocks(lines(path))):
        if count == 0 and not _TITLE_RAW.match(block[0].raw):
            raise DataError(f"{path}, line {block[0].number}: not PubTator; ID|t|TITLE is wanted.")
        id_ = re.split(rb"[|\t]", block[0].raw, maxsplit=1)[0].decode("utf-8", errors="replace")
        try:
            yield _document(block)
        except Flaw as flaw:
            yield BadDocument(id_, f"{path}, line {flaw.line or block[0].number}", flaw.why)


def header(model: ModelFacts) -> str:  # noqa: ARG001
    """Return nothing: the format begins with its first document."""
    return ""


def document(
    document: Document,
    relations: Sequence[Relation],
    model: ModelFacts,  # noqa: ARG001
    nothing: Nothing | None = None,  # noqa: ARG001
) -> str:
    """Return the document with its relations.

    Raises:
        DataError: its id holds the sign that ends an id.
    """
    id_ = document.id
    if "|" in id_:
        raise DataError(f"document '{id_}' has a '|' in its id, which PubTator cannot hold; write another format.")
    title, line_break, abstract = document.text.partition("\n")
    written = [f"{id_}|t|{on_one_line(title)}"]
    if line_break:
        written.append(f"{id_}|a|{on_one_line(abstract)}")
    written += [
        "\t".join((id_, str(e.start), str(e.end), on_one_line(e.text), e.type, _concept(e))) for e in document.entities
    ]
    best: dict[tuple[str, str, str], float] = {}
    for r in relations:
        key = r.label, _concept(r.head), _concept(r.tail)
        best[key] = max(r.probability, best.get(key, 0.0))
    written += ["\t".join((id_, *key, f"{probability:.6f}")) for key, probability in best.items()]
    return "\n".join(written) + "\n\n"


def footer() -> str:
    """Return nothing."""
    return ""


def _blocks(found: Iterator[Line]) -> Iterator[list[Line]]:
    """Yield the lines of each document: up to a blank line or the next title."""
    block: list[Line] = []
    for line in found:
        blank = not line.raw.strip()
        if block and (blank or _TITLE_RAW.match(line.raw)):
            yield block
            block = []
        if not blank:
            block.append(line)
    if block:
        yield block


def _document(block: list[Line]) -> Document:
    """Return the document of its lines."""
    first, *rest = block
    title = _TITLE.fullmatch(first.text)
    if title is None:
        raise Flaw("a document begins with ID|t|TITLE.")
    id_, text = title[1], title[2]
    if rest and rest[0].text.startswith(f"{id_}|a|"):
        text += "\n" + rest.pop(0).text.removeprefix(f"{id_}|a|")
    entities: list[Entity] = []
    relations: list[StatedRelation] = []
    for line in rest:
        fields = line.text.split("\t")
        try:
            entities += _annotation(id_, text, f"T{len(entities) + 1}", fields)
        except Flaw as flaw:
            raise Flaw(flaw.why, line.number) from flaw
        if _is_relation(fields):
            relations.append(StatedRelation(fields[1], tuple(fields[2:4]), line.number))
    return replace(make_document(id_, text, entities), relations=tuple(relations))


def _annotation(id_: str, text: str, entity_id: str, fields: list[str]) -> list[Entity]:
    """Return the entity of a line, or nothing if it is a relation: those have four columns or five and no offsets."""
    if fields[0] != id_:
        raise Flaw(f"the line is of document '{fields[0][:60]}', but stands in {id_}.")
    if not 4 <= len(fields) <= 7:
        raise Flaw(f"{len(fields)} columns; 5 to 7 are wanted for an annotation, 4 or 5 for a relation.")
    if _is_relation(fields):
        return []
    concept = fields[5] if len(fields) > 5 else None
    start, end = number(fields[1], "start"), number(fields[2], "end")
    return [make_entity(text, entity_id, fields[4], start, end, mention=fields[3], concept=concept)]


def _is_relation(fields: list[str]) -> bool:
    """Tell whether a line is a relation: four columns, or five (the last says more of it) without offsets."""
    return len(fields) == 4 or (len(fields) == 5 and not (fields[1].isdecimal() and fields[2].isdecimal()))


def _concept(entity: Entity) -> str:
    return entity.concept or entity.id
