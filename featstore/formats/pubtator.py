"""PubTator: title, abstract, annotations and relations of a document, with a blank line after each document.

    7|t|Aspirin and COX-2.
    7|a|Aspirin blocks COX-2.
    7<TAB>19<TAB>26<TAB>Aspirin<TAB>Chemical<TAB>MESH:D001241
    7<TAB>CPR:4<TAB>MESH:D001241<TAB>5743<TAB>0.912345

In: such a file. Out: its documents; and the other way round. The text is title + one character (here a line break) +
abstract, which is what the offsets run over, in characters. The last column of an annotation is its concept, which may
be missing; annotations have no ids of their own and are ``T1``, ``T2``, .. by their order. They may stand before the
abstract (BioREx writes so), and blank lines may stand anywhere.

Relations are between concepts, not mentions: a line has the label and the two concepts. Written are the label, the two
concepts (an entity that has none is named by its own id, in its annotation too) and, as the fifth column, the
probability; of several pairs with the same concepts and label the highest. The format has no place for the model. A
line cannot hold a line break: the first one in the text ends the title, and each further one, and each tab, is written
as a blank, one for one, so that the offsets hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from featstore.documents import Document, Entity, Relation, StatedRelation
from featstore.errors import DataError, count_of
from featstore.formats.content import Flaw, number, on_one_line
from featstore.formats.contract import BadDocument, ModelFacts, Nothing
from featstore.formats.draft import Draft, place_of, title_and_abstract
from featstore.formats.source import Line, lines

separator = ""

_TITLE = re.compile(r"([^|\t]+)\|t\|(.*)", re.DOTALL)
_NUMBERED = re.compile(r"[-+]?\d")
_TITLE_RAW = re.compile(rb"[^|\t]+\|t\|")


def read(path: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of a file."""
    for count, block in enumerate(_blocks(_each_line(lines(path)))):
        first = block.lines[0]
        if count == 0 and not _TITLE_RAW.match(first.raw):
            raise DataError(f"{place_of(path, first.number)}: not PubTator; ID|t|TITLE is wanted.")
        try:
            yield _document(path, block)
        except Flaw as flaw:
            id_ = block.id.decode("utf-8", errors="replace")
            yield BadDocument(id_, place_of(path, flaw.line or first.number), flaw.why)


def header(model: ModelFacts, collection: Mapping[str, object] | None = None) -> str:  # noqa: ARG001
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


@dataclass(slots=True)
class _Block:
    """The lines of one document.

    Attributes:
        id: what they begin with.
        lines: title, abstract, annotations and relations, in the order of the file.
    """

    id: bytes
    lines: list[Line]


def _blocks(found: Iterator[Line]) -> Iterator[_Block]:
    """Yield the lines of each document: up to the next title, or the next line of another id after a blank line.

    A blank line ends no document by itself: some files have one before the annotations.
    """
    block: _Block | None = None
    blank = False
    for line in found:
        if not line.raw.strip():
            blank = True
            continue
        id_ = re.split(rb"[|\t]", line.raw, maxsplit=1)[0]
        begins = _TITLE_RAW.match(line.raw) or (blank and block is not None and id_ != block.id)
        if block and id_ == block.id and not _TITLE_RAW.match(block.lines[0].raw):
            begins = None  # its title comes late: the whole of it is refused, not the part before the title alone
        if block is None or begins:
            if block:
                yield block
            block = _Block(id_, [])
        block.lines.append(line)
        blank = False
    if block:
        yield block


def _each_line(found: Iterator[Line]) -> Iterator[Line]:
    """Yield lines, cut where one holds others: those of a file whose line ends are mixed."""
    for line in found:
        id_ = re.split(rb"[|\t]", line.raw, maxsplit=1)[0]
        if b"\r" not in line.raw:
            yield line
            continue
        begins = rb"\r+(?=" + re.escape(id_) + rb"(?:\|[a-z]\||\t)|[^|\t\r]+\|t\|)"
        yield from (Line(line.number, part) for part in re.split(begins, line.raw))


def _document(path: Path, block: _Block) -> Document:
    """Return the document of its lines; those of the text come first, wherever they stand."""
    first, *rest = block.lines
    title = _TITLE.fullmatch(first.text)
    if title is None:
        raise Flaw("a document begins with ID|t|TITLE.")
    id_, text = title[1], title[2]
    abstracts = [line for line in rest if line.raw.startswith(block.id + b"|")]
    for line in abstracts:
        start, sign, abstract = line.text.partition("|a|")
        if start != id_ or not sign or line is not abstracts[0]:
            raise Flaw(
                f"'{line.text[:60]}' is not a part of the text; one ID|a|ABSTRACT may follow ID|t|TITLE.", line.number
            )
        text += "\n" + abstract
    draft = Draft(id_, text, path, first.number, passages=title_and_abstract(text))
    for line in rest:
        if line not in abstracts:
            with draft.part(line.number):
                _add(draft, line)
    return draft.document()


def _add(draft: Draft, line: Line) -> None:
    """Add the mention or relation of a line: a mention's second column is a number."""
    fields = line.text.split("\t")
    if fields[0] != draft.id:
        raise Flaw(f"the line is of document '{fields[0][:60]}', but lies among those of {draft.id}.")
    numbered = len(fields) > 1 and _NUMBERED.match(fields[1])
    if not numbered and len(fields) in (4, 5) and not _names_characters(draft, fields):
        draft.relations.append(StatedRelation(fields[1], tuple(fields[2:4]), line.number))
        return
    if not 5 <= len(fields) <= 7:
        raise Flaw(f"{count_of(len(fields), 'column')}; 5 to 7 are wanted for an annotation, 4 or 5 for a relation.")
    span = number(fields[1], "start"), number(fields[2], "end")
    concept = fields[5] if len(fields) > 5 else None
    draft.mention(f"T{len(draft.entities) + 1}", fields[4], [span], mention=fields[3], concept=concept)


def _names_characters(draft: Draft, fields: list[str]) -> bool:
    """Tell whether a line whose second column is no number is a mention all the same: its end and characters hold."""
    return fields[2].isdecimal() and draft.text[: int(fields[2][:12])].endswith(fields[3] or "\n\n")


def _concept(entity: Entity) -> str:
    return entity.concept or entity.id
