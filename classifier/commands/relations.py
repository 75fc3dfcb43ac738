"""Relations for the eye: a table on the terminal, for each document its sentences with both mentions marked.

In: documents with their relations. Out: text, as a writer of formats gives it (:class:`featstore.formats.Writer`), so
that extraction writes it as any other output, document by document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from featstore.documents import Document, Entity, Relation
from featstore.formats import ModelFacts, Nothing
from featstore.formats.content import on_one_line
from featstore.labels import meaning_of

TABLE = "table"
_MOST_SEEN = 3  # words that the head looked at most


class RelationTable:
    """A writer of tables.

    Args:
        width: of the terminal, in characters.
        colour: whether it shows colours; without them brackets mark the mentions.
    """

    separator = ""

    def __init__(self, width: int, *, colour: bool) -> None:
        self._width, self._colour = width, colour

    def header(self, model: ModelFacts, collection: Mapping[str, object] | None = None) -> str:  # noqa: ARG002
        """Return nothing: each document is a table of its own."""
        return ""

    def document(
        self, document: Document, relations: Sequence[Relation], model: ModelFacts, nothing: Nothing | None = None
    ) -> str:
        """Return a document's relations as a table, or why it has none as a line."""
        name = Text(on_one_line(document.id), style="bold")
        if not relations:
            return self._shown(Text.assemble(name, ": no relation, ", nothing.why if nothing else ""))
        table = Table(title=name, title_justify="left", expand=True)
        table.add_column("sentence", ratio=3)
        table.add_column("relation", ratio=2)
        table.add_column("p", justify="right")
        explained = any(relation.attention for relation in relations)
        if explained:
            table.add_column("looks at")
        for relation in relations:
            seen = [_most_seen(document, relation)] if explained else []
            probability = f"{relation.probability:.2f}"
            table.add_row(self._sentence(document, relation), _in_words(relation, model), probability, *seen)
        return self._shown(table)

    def footer(self) -> str:
        """Return nothing."""
        return ""

    def _sentence(self, document: Document, relation: Relation) -> Text:
        """Return the sentence with both mentions marked."""
        start, end = relation.sentence
        if self._colour:
            text = Text(on_one_line(document.text[start:end]))
            for entity, style in ((relation.head, "bold cyan"), (relation.tail, "bold magenta")):
                text.stylize(style, entity.start - start, entity.end - start)
            return text
        return Text(_bracketed(document.text, (start, end), (relation.head, relation.tail)))

    def _shown(self, what: Text | Table) -> str:
        file = StringIO()
        console = Console(file=file, width=self._width, force_terminal=self._colour, highlight=False)
        console.print(what)
        return file.getvalue()


def _bracketed(text: str, span: tuple[int, int], entities: Sequence[Entity]) -> str:
    """Return a stretch of text with brackets around mentions; where two end together, or begin, both have theirs."""
    opening = [(e.start, 1, -e.end, "[") for e in entities]
    closing = [(e.end, 0, -e.start, "]") for e in entities]
    pieces, at = [], span[0]
    for place, *_, bracket in sorted(opening + closing):
        pieces += [text[at:place], bracket]
        at = place
    return on_one_line("".join([*pieces, text[at : span[1]]]))


def _in_words(relation: Relation, model: ModelFacts) -> Text:
    """Return what a relation says: both mentions, the label and its meaning."""
    meaning = meaning_of(relation.label, model.corpus)
    pair = f"{on_one_line(relation.head.text)} → {on_one_line(relation.tail.text)}\n"
    label = f"{on_one_line(relation.label)}{f' {meaning.name}' if meaning else ''}"
    detail = f"\n{meaning.detail}" if meaning and meaning.detail else ""
    return Text.assemble(pair, (label, "bold"), (detail, "dim"))


def _most_seen(document: Document, relation: Relation) -> Text:
    """Return the words that the head looked at most, each with its share of the attention."""
    most = sorted(relation.attention, key=lambda seen: -seen[2])[:_MOST_SEEN]
    return Text("\n".join(f"{on_one_line(document.text[a:b])} {weight:.2f}" for a, b, weight in most))
